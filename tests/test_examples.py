from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dexml.config import load_settings

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("audit_my_indicator.py", ["leaks: my_mistake", "leaks: none"]),
        ("backtest_my_signal.py", ["right 50% of the time: 0 fills", "right 70% of the time"]),
    ],
)
def test_an_example_runs_and_says_what_it_promises(name: str, words: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    for line, promised in zip(ended.stdout.splitlines(), words, strict=True):
        assert line.startswith(promised)


def test_the_example_configuration_is_accepted() -> None:
    kernel = load_settings(EXAMPLES / "dexml.toml", {}).kernel()
    assert (kernel.costs.pool_fee_bps, kernel.trips.drawdown) == (30, 0.10)
