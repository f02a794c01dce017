"""The owner of alerts over a market whose correlations break: a real ledger, many lives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actors.monitor import CORRELATIONS, MonitorActor
from dexml.domain import Bar, Bars, Timeframe
from dexml.ledger import Ledger
from dexml.monitoring.correlations import CHECK_BARS, REFERENCE_BARS
from dexml.records import encode
from dexml.state import KernelConfig
from dexml.status import status_lines, status_of
from dexml.system import initial_state
from tests.dexml.monitoring.test_correlations import NAMES, moves

RUN = "watched"
BREAK = REFERENCE_BARS + 3 * CHECK_BARS
BEGAN = REFERENCE_BARS + CHECK_BARS // 2
LAST = BREAK + 1_300
STEP = 60  # closes heard at once, as after a rest


def market() -> dict[str, Bars]:
    rows = np.concatenate([moves(0.8, BREAK, seed=1), moves(0.1, LAST - BREAK, seed=2)])
    prices = 100 * np.exp(np.cumsum(rows, axis=0))
    index = pd.date_range("2024-01-01", periods=len(prices), freq="h", tz="UTC")
    return {
        name: Bars.from_frame(name, Timeframe.H1, pd.DataFrame(shape(column), index=index))
        for name, column in zip(NAMES, prices.T, strict=True)
    }


def shape(close: np.ndarray) -> dict[str, np.ndarray]:
    return dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": np.ones(len(close))}


MARKET = market()


def closes(first: int, last: int) -> list[Bar]:
    return [bars.bar(row) for row in range(first, last) for bars in MARKET.values()]


class Run:
    """A run, and the lives of the owner of its alerts."""

    def __init__(self, url: str) -> None:
        self.url, self.ledger, self.row = url, Ledger.open(url), BEGAN
        state = initial_state(RUN, KernelConfig(), NAMES, Decimal(10_000))
        at = MARKET[NAMES[0]].bar(BEGAN - 1).closed_at
        self.ledger.start_run(RUN, at, {"initial_state": encode(state)}, 0)
        self.ledger.acquire_epoch("risk", "test")
        self.monitor = MonitorActor(RUN, url)
        self.begin()

    def begin(self) -> None:
        self.monitor = MonitorActor(RUN, self.url)
        epoch = self.ledger.acquire_epoch("monitor", "test")
        history = {name: bars.take(slice(0, self.row)) for name, bars in MARKET.items()}
        self.monitor.start(epoch, closes(self.row - 32, self.row), history)

    def live(self, until: int) -> None:
        while self.row < until:
            last = min(self.row + STEP, until)
            self.monitor.observe(closes(self.row, last))
            self.row = last

    def told(self) -> list[str]:
        rows = self.ledger.alerts(RUN)
        return [row["severity"] for row in rows if row["subject"] == CORRELATIONS]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield made
    made.ledger.close()


def test_a_break_is_one_alert_and_the_new_order_is_another_however_often_the_owner_dies(
    run: Run,
) -> None:
    run.live(BREAK)
    assert run.told() == []
    for until in range(BREAK, LAST, 400):
        run.live(until)
        run.begin()
    run.live(LAST)
    assert run.told() == ["warning", "info"]
    text = run.ledger.alerts(RUN)[0]["text"]
    assert text.startswith("Correlations have changed: most that of A/USDT and B/USDT, from 0.")
    raised_at = datetime.fromisoformat(run.ledger.alerts(RUN)[0]["at"])
    broke_at = datetime(2024, 1, 1, tzinfo=UTC) + BREAK * timedelta(hours=1)
    assert timedelta(0) < raised_at - broke_at <= timedelta(hours=3 * CHECK_BARS)
    run.ledger.verify()
    lines = list(status_lines(status_of(run.ledger, RUN)))
    assert any("Correlations have changed" in line for line in lines)


def test_an_alarm_that_was_due_while_the_owner_was_dead_is_told_when_it_is_back(run: Run) -> None:
    run.row = BREAK + 4 * CHECK_BARS
    run.begin()
    assert run.told() == []
    run.live(run.row + 2 * STEP)
    assert run.told() == ["warning"]


def test_only_what_stands_can_end(run: Run) -> None:
    epoch = run.ledger.acquire_epoch("monitor", "test")
    alert = {"at": datetime(2024, 1, 1, tzinfo=UTC), "subject": "s", "text": "t"}
    begins, ends = {**alert, "severity": "warning"}, {**alert, "severity": "info"}
    turned = [
        run.ledger.turn_alert("monitor", epoch, RUN, row, ends=row is ends)
        for row in (ends, begins, begins, ends, ends, begins)
    ]
    assert turned == [False, True, False, True, False, True]
