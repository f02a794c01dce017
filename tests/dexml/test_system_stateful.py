"""No sequence of orders, fills, crashes and restarts breaks a limit at any instant."""

from __future__ import annotations

import sys

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.dexml.kernel_lives import SEQUENCES, Life


def live(n_sequences: int) -> int:
    before = SEQUENCES["n"]
    some = settings(max_examples=n_sequences, stateful_step_count=30, database=None, deadline=None)
    run_state_machine_as_test(Life, settings=some)
    return SEQUENCES["n"] - before


def test_no_sequence_breaks_a_limit() -> None:
    assert live(200) >= 200


@pytest.mark.soak
def test_ten_thousand_sequences_break_no_limit(capsys: pytest.CaptureFixture[str]) -> None:
    n_lived = live(10_000)
    with capsys.disabled():
        sys.stdout.write(f"\n{n_lived:,} sequences of 30 steps, no limit broken\n")
    assert n_lived >= 10_000
