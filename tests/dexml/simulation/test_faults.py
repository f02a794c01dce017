"""The market year with faults, and proof that its judge bites."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import actors.execution
import actors.risk
import actors.supervisor
import dexml.gate
import dexml.simulation.faults.feed
from actors.execution import ExecutionActor
from actors.risk import RiskActor
from benchmarks.faults import INVARIANTS, ProductOwners, line, live
from dexml.domain import Fill, Intent
from dexml.events import Command, Event, Filled, OrderFailed
from dexml.execution.broker import Broker
from dexml.risk.orders import Breach
from dexml.simulation.faults import Fault
from dexml.simulation.faults.kinds import DATA, STRIKES

ROOT = Path(__file__).parents[3]
HOURS = 420  # more than 350 faults in about a quarter of a minute; CI injects 5,000, see `.ci/run`


@pytest.mark.whole
def test_no_invariant_breaks_in_hours_full_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    report = live(0, HOURS)
    with capsys.disabled():
        sys.stdout.write(f"\n{line(report)}\n")
    assert report.violations == []
    assert report.n_injected >= 350
    assert len(report.injected) >= 60
    assert report.n_orders >= 100
    assert min(report.judged[one] for one in INVARIANTS) >= 100
    assert report.n_looks >= HOURS / 3


@pytest.mark.soak
def test_no_invariant_breaks_in_a_market_year_of_one_seed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = live(0, 8_760)
    with capsys.disabled():
        sys.stdout.write(f"\n{line(report)}\n")
    assert report.violations == []
    assert report.n_injected >= 5_000


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    again = "from benchmarks.faults import live; print(live(5, 84).digest)"
    env = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", again], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == live(5, 84).digest


def test_another_seed_gives_other_bytes() -> None:
    assert live(1, 24).digest != live(2, 24).digest


POINTS = [fault for fault, one in STRIKES.items() if one.act in ("die", "fail")]


@pytest.mark.parametrize("fault", [*POINTS, *DATA], ids=lambda fault: fault.name.lower())
@pytest.mark.soak
def test_a_single_kind_of_fault_breaks_nothing(fault: Fault) -> None:
    report = live(3, 168, only=(fault,))
    assert report.violations == []
    assert report.injected[fault] >= 3


class SendsAgain(ExecutionActor):
    """Acts on an intent whose outcome is in the ledger."""

    def work(self, prices: Any, at: datetime) -> list[Filled | OrderFailed]:
        done = [row for row in self._ledger.outbox(self._run)]
        outcomes = super().work(prices, at)
        for row in done:
            intent = actors.execution._INTENT.validate_json(row.intent)
            self._broker.execute(intent, intent.reference_price, at)
        return outcomes


class BooksTooMuch(RiskActor):
    """Hears of a fill that is a little larger than what the venue filled."""

    def handle(self, event: Event) -> list[Command]:
        if isinstance(event, Filled):
            more = event.fill.quote + Decimal("0.01")
            event = replace(event, fill=replace(event.fill, quote=more))
        return super().handle(event)


class TakesSilenceForFailure(ExecutionActor):
    """Books an order without an answer as failed."""

    def _outcome(
        self, intent: Intent, price: Decimal | None, at: datetime
    ) -> Fill | OrderFailed | None:
        try:
            return None if price is None else self._broker.execute(intent, price, at)
        except TimeoutError:
            return OrderFailed(at=at, intent_id=intent.intent_id, reason="no answer")


class KnowsNoEpoch(ExecutionActor):
    """Sends what it once read, whoever owns the account by now."""

    def _outcome(
        self, intent: Intent, price: Decimal | None, at: datetime
    ) -> Fill | OrderFailed | None:
        return None if price is None else self._broker.execute(intent, price, at)


class StartsOnce(RiskActor):
    """Does not come back after its first life."""

    lives = 0

    def start(self, epoch: int) -> None:
        StartsOnce.lives += 1
        if StartsOnce.lives > 1:
            raise RuntimeError("it does not come back")
        super().start(epoch)


class Sabotaged(ProductOwners):
    def __init__(self, cls: type, **also: Any) -> None:
        self._cls = cls

    def risk(self, run: str, url: str) -> Any:
        return (self._cls if issubclass(self._cls, RiskActor) else RiskActor)(run, url)

    def execution(self, run: str, url: str, broker: Broker) -> Any:
        cls = self._cls if issubclass(self._cls, ExecutionActor) else ExecutionActor
        return cls(run, url, broker)


Patch = Callable[[pytest.MonkeyPatch], None]


def _no_limits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dexml.gate, "buying_room", lambda *_: (1e9, Breach.ORDER_NOTIONAL))
    patch.setattr(dexml.gate, "breaches", lambda *_: ())
    patch.setattr(actors.risk, "room", lambda *_: None)  # the ledger's own look at it


def _no_quality(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dexml.simulation.faults.feed, "suspects", lambda *_: {})


def _no_redaction(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(actors.supervisor, "redacted", str)


def _no_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(actors.execution.Ledger, "require_epoch", lambda *_: None)


def _nothing(patch: pytest.MonkeyPatch) -> None:
    StartsOnce.lives = 0


@pytest.mark.parametrize(
    ("invariant", "cls", "patched", "only"),
    [
        ("I1", SendsAgain, _nothing, Fault.ROW_LATE),
        ("I2", BooksTooMuch, _nothing, Fault.ROW_LATE),
        ("I3", object, _no_limits, Fault.ROW_LATE),
        ("I4", object, _no_quality, Fault.ROW_THOUSANDFOLD),
        ("I5", TakesSilenceForFailure, _nothing, Fault.ORDER_PLACED_UNKNOWN),
        ("I6", KnowsNoEpoch, _no_epoch, Fault.EXECUTION_USURPED),
        ("I7", object, _no_redaction, Fault.FEED_FAILS),
        ("I8", StartsOnce, _nothing, Fault.RISK_DIES_BEFORE_HEARING),
    ],
)
def test_the_oracle_names_what_is_broken_on_purpose(
    invariant: str, cls: type, patched: Patch, only: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(monkeypatch)
    report = live(4, 60, Sabotaged(cls), only=(only,))
    assert invariant in {one.invariant for one in report.violations}


def test_the_same_hours_without_the_sabotage_break_nothing() -> None:
    kinds = (Fault.ROW_LATE, Fault.ROW_THOUSANDFOLD, Fault.ORDER_PLACED_UNKNOWN, Fault.FEED_FAILS)
    report = live(4, 84, only=kinds)
    assert report.violations == []
    assert set(kinds) <= report.injected.keys()
