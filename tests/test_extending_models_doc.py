"""The test file of docs/extending.md runs, and a harmed copy of it fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
(BLOCK,) = re.findall(r"```py\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_own_model.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own_model.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_model_of_the_page_stands_every_check(tmp_path: Path) -> None:
    ended = run(tmp_path, BLOCK)
    assert ended.returncode == 0, ended.stdout
    assert "12 passed" in ended.stdout


def test_a_model_that_looks_ahead_does_not(tmp_path: Path) -> None:
    harmed = BLOCK.replace('["momentum"].fillna', '["momentum"].shift(-3).fillna')
    ended = run(tmp_path, harmed)
    assert ended.returncode == 1
    assert "must not need later rows" in ended.stdout
