"""What people ask of a run is heard at its next bar, and a halt counts before it is heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from dexml.domain import Mode
from dexml.errors import LedgerError, UsageError
from dexml.events import CloseRequested, ModeRequested
from dexml.experiments.replay import replay_run, restore
from dexml.requests import record_request
from tests.actors.rig import NAMES, RUN, SETS, Rig

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def trading(rig: Rig) -> Rig:
    """A loop that has bought."""
    rig.parts["feed:one"].answer = lambda: SimpleNamespace(prices=_opens(rig))
    rig.live(2)
    assert _held(rig) == set(NAMES)
    return rig


def _opens(rig: Rig) -> dict[str, float]:
    return {bar.instrument: bar.open for bar in SETS[rig.row + 1]}


def _held(rig: Rig) -> set[str]:
    return {book.instrument for book in restore(rig.ledger, RUN).books if book.position}


def _ask(rig: Rig, mode: Mode, minutes: int = 0) -> None:
    at = AT + timedelta(minutes=minutes)
    record_request(rig.ledger, RUN, ModeRequested(at=at, mode=mode, by="ada"))


def _mode(rig: Rig) -> Mode:
    return restore(rig.ledger, RUN).mode


def test_a_run_that_is_halted_sends_nothing_until_it_is_resumed(trading: Rig) -> None:
    n_fills = len(trading.ledger.trades(RUN))
    _ask(trading, Mode.HALTED)
    trading.live(30)
    assert _mode(trading) is Mode.HALTED
    assert len(trading.ledger.trades(RUN)) == n_fills
    _ask(trading, Mode.ACTIVE, minutes=1)
    trading.live(1)
    assert _mode(trading) is Mode.ACTIVE


def test_a_request_is_heard_once_and_a_replay_hears_it_too(trading: Rig) -> None:
    _ask(trading, Mode.REDUCING)
    trading.live(3)
    heard = [row.event_id for row in trading.ledger.events(RUN)]
    assert sum(name.startswith("mode_requested") for name in heard) == 1
    assert trading.ledger.unheard_requests(RUN) == []
    assert replay_run(trading.ledger, RUN).identical


def test_a_halt_counts_for_an_order_whose_decision_did_not_know_of_it(rig: Rig) -> None:
    rig.parts["feed:one"].answer = lambda: SimpleNamespace(prices=_opens(rig))
    decide = rig.owners["risk"].handle

    def halt_after_deciding(event: Any) -> Any:
        commands = decide(event)
        if event.kind == "bars_closed":
            _ask(rig, Mode.HALTED)
        return commands

    rig.owners["risk"].handle = halt_after_deciding
    rig.live(1)
    assert len(rig.ledger.outbox(RUN)) == len(rig.ledger.trades(RUN)) == 0
    failed = [row for row in rig.alerts("order_failed") if "halted by ada" in row]
    assert len(failed) == len(NAMES)
    assert all(book.pending is None for book in restore(rig.ledger, RUN).books)


def test_closing_sells_all_at_the_next_prices_and_buys_no_more(trading: Rig) -> None:
    opens = _opens(trading)
    record_request(trading.ledger, RUN, CloseRequested(at=AT, by="ada"))
    trading.live(1)
    sold = trading.ledger.trades(RUN)[-len(NAMES) :]
    assert {(fill["instrument"], fill["side"], fill["reason"]) for fill in sold} == {
        (name, "sell", "request") for name in NAMES
    }
    for fill in sold:  # less the fee and the impact of the pool
        paid = Decimal(fill["price"]) / Decimal(repr(opens[fill["instrument"]]))
        assert Decimal("0.99") < paid < 1
    trading.live(20)
    assert (_held(trading), _mode(trading)) == (set(), Mode.REDUCING)


def test_closing_a_halted_run_sells_too(trading: Rig) -> None:
    _ask(trading, Mode.HALTED)
    trading.live(1)
    record_request(trading.ledger, RUN, CloseRequested(at=AT + timedelta(hours=1), by="ada"))
    trading.live(1)
    assert _held(trading) == set()


def test_a_run_does_not_resume_on_a_ledger_that_was_changed(trading: Rig) -> None:
    _ask(trading, Mode.HALTED)
    with trading.ledger._database.writing() as connection:
        connection.execute(text("UPDATE fills SET base = '9' WHERE side = 'buy'"))
    with pytest.raises(LedgerError, match="must hold what its digest was made from"):
        _ask(trading, Mode.ACTIVE, minutes=1)
    with pytest.raises(LedgerError, match="must hold what its digest was made from"):
        record_request(trading.ledger, RUN, CloseRequested(at=AT + timedelta(hours=1), by="ada"))
    trading.live(1)
    assert _mode(trading) is Mode.HALTED


def test_a_book_is_not_restored_from_events_that_were_changed(trading: Rig) -> None:
    change = "UPDATE events SET event = replace(event, '\"by\"', '\"By\"') || ' '"
    with trading.ledger._database.writing() as connection:
        connection.execute(text(change))
    with pytest.raises(LedgerError, match="must hold what its digest was made from"):
        restore(trading.ledger, RUN)


def test_an_unknown_run_is_named(rig: Rig) -> None:
    with pytest.raises(UsageError, match="run must be in the ledger, was nosuch"):
        record_request(rig.ledger, "nosuch", ModeRequested(at=AT, mode=Mode.HALTED, by="ada"))
