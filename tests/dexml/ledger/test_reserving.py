"""What open intents may take is added up where it is written, whoever wants the last of it."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from dexml.errors import LedgerAway, LimitReached, StaleEpoch
from dexml.ledger import Ledger, StepRows
from dexml.ledger.tables import reservations
from dexml.reservations import NOTHING, Reservation, Room
from tests.dexml.ledger.examples import intent

HUNDRED = Reservation(cash=Decimal(100), exposure=Decimal("99.5"))
ROOM = Room(cash=Decimal(150), exposure=Decimal(1_000))


def claim(
    ledger: Ledger, epoch: int, number: int, wanted: Reservation = HUNDRED, **more: Any
) -> bool:
    rows = StepRows(intents=[intent(number)], reservations={f"intent-{number}": wanted}, room=ROOM)
    return ledger.commit_event("risk", epoch, "r", f"event-{number}", "{}", [], rows, **more)


def release(ledger: Ledger, epoch: int, number: int) -> None:
    rows = StepRows(reservations={f"intent-{number}": NOTHING})
    ledger.commit_event("risk", epoch, "r", f"settled-{number}", "{}", [], rows)


def test_what_is_reserved_is_free_again_once_it_is_settled(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    assert claim(ledger, epoch, 1)
    assert ledger.reservations("r") == {"intent-1": HUNDRED}
    with pytest.raises(LimitReached, match="cash that open intents of run 'r' reserve must be at"):
        claim(ledger, epoch, 2)
    release(ledger, epoch, 1)
    assert ledger.reservations("r") == {}
    assert ledger.reservations("r", ["intent-1"]) == {"intent-1": NOTHING}
    assert claim(ledger, epoch, 2)
    assert ledger.reservations("r") == {"intent-2": HUNDRED}


def test_a_claim_above_the_limit_writes_nothing_at_all(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    with pytest.raises(LimitReached, match=r"must be at most 150, was 150\.01"):
        claim(ledger, epoch, 1, Reservation(cash=Decimal("150.01")))
    with pytest.raises(LimitReached, match="exposure that open intents"):
        claim(ledger, epoch, 1, Reservation(exposure=Decimal(1_001)))
    assert ledger.n_events("r") == 0
    assert ledger.outbox("r") == []
    assert claim(ledger, epoch, 1, Reservation(cash=Decimal(150), exposure=Decimal(1_000)))


def test_what_shrinks_a_reservation_is_never_refused(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    claim(ledger, epoch, 1)
    half = Reservation(cash=Decimal(50), exposure=Decimal(50))
    rows = StepRows(reservations={"intent-1": half}, room=Room(cash=Decimal(0)))
    assert ledger.commit_event("risk", epoch, "r", "partly", "{}", [], rows)
    assert ledger.reservations("r") == {"intent-1": half}


def test_runs_do_not_take_from_one_another(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    claim(ledger, epoch, 1)
    rows = StepRows(reservations={"intent-1": HUNDRED}, room=ROOM)
    assert ledger.commit_event("risk", epoch, "other", "event-1", "{}", [], rows)


def test_the_totals_of_the_rows_are_the_sums_of_what_is_open(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    for number in range(1, 4):
        claim(ledger, epoch, number, Reservation(cash=Decimal("0.1"), exposure=Decimal("0.2")))
    release(ledger, epoch, 2)
    with ledger._database.reading() as connection:
        query = sa.select(reservations.c.cash_total, reservations.c.exposure_total)
        totals = connection.execute(query.order_by(reservations.c.seq)).all()
    assert totals == [("0.1", "0.2"), ("0.2", "0.4"), ("0.3", "0.6"), ("0.2", "0.4")]


def test_whoever_decides_without_knowing_every_event_is_refused(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    assert claim(ledger, epoch, 1, NOTHING, after=0)
    with pytest.raises(StaleEpoch, match="must be decided on with all its 1 events known, was 0"):
        claim(ledger, epoch, 2, NOTHING, after=0)
    assert not claim(ledger, epoch, 1, NOTHING, after=0)  # heard before: no decision at all
    assert claim(ledger, epoch, 2, NOTHING, after=1)


def _race(url: str, epochs: list[int], said: Any, **more: Any) -> None:
    """Let each of 20 processes claim the same at the same moment."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(len(epochs))
    told = context.SimpleQueue()

    def compete(number: int, epoch: int) -> None:
        with Ledger.open(url) as ledger:
            start.wait(60)
            told.put(_outcome(lambda: claim(ledger, epoch, number, **more)))

    children = [
        context.Process(target=compete, args=arguments) for arguments in enumerate(epochs, start=1)
    ]
    for child in children:
        child.start()
    said.update(told.get() for _ in children)
    for child in children:
        child.join(60)
        assert child.exitcode == 0


def _outcome(ask: Callable[[], bool]) -> str:
    while True:
        try:
            return str(ask())
        except LedgerAway:  # the lock was not free in time: nothing was written
            continue
        except (LimitReached, StaleEpoch) as error:
            return type(error).__name__


@pytest.mark.parametrize(
    ("n_stale", "more", "refusal"),
    [(0, {}, "LimitReached"), (0, {"after": 0}, "StaleEpoch"), (12, {}, "LimitReached")],
)
def test_of_20_processes_that_claim_the_last_of_a_limit_one_gets_it(
    any_url: str, n_stale: int, more: dict[str, int], refusal: str
) -> None:
    with Ledger.open(any_url) as ledger:
        stale = ledger.acquire_epoch("risk", "old")
        current = ledger.acquire_epoch("risk", "new")
    said: Counter[str] = Counter()
    _race(any_url, [stale] * n_stale + [current] * (20 - n_stale), said, **more)
    expected = Counter({"True": 1, "StaleEpoch": n_stale})
    expected[refusal] += 19 - n_stale
    assert said == +expected
    with Ledger.open(any_url) as ledger:
        assert list(ledger.reservations("r").values()) == [HUNDRED]
        assert len(ledger.outbox("r")) == ledger.n_events("r") == 1
        ledger.verify()
