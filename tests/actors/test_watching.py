"""What the loop measures of the world, with real feeds, owners and ledger, and what it leads to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import actors.watching
from actors.feed import FeedActor
from actors.supervisor import Member
from actors.watching import Watch
from dexml.clock import SimulatedClock
from dexml.data.feeds.rows import SETTLE_S
from dexml.data.reference import stated_time
from dexml.domain import Mode, Timeframe
from dexml.events import ModeRequested, VitalsSeen
from dexml.experiments.replay import replay_run, restore
from dexml.records import decode_event, encode
from dexml.simulation.exchanges import ExchangeServers, Fault
from dexml.status import status_lines, status_of
from tests.actors.rig import MARKET, NAMES, RUN, SETS, Rig, begin_run

VENUES = ("binance", "kraken")


class Fed(Rig):
    """The loop of `Rig` with the real feeds of two exchanges, whose clock a test moves."""

    def __init__(self, folder: Path, servers: ExchangeServers, clock: SimulatedClock) -> None:
        self.own, self.servers, self.others = SimulatedClock(clock.now()), servers, clock
        self.is_reached = True
        witnesses = {name: partial(self.stated, servers.urls[name]) for name in VENUES}
        watch = Watch(folder, witnesses, self.own, now=lambda: self.seconds)
        super().__init__(begin_run(f"sqlite:///{folder / 'ledger.sqlite'}"), watch)
        del self.supervisor._members["feed:one"]
        for venue in VENUES:
            feed = FeedActor(venue, servers.urls[venue], NAMES, Timeframe.H1, folder / "store")
            self.supervisor.add(Member(name=f"feed:{venue}", handle=feed))

    def stated(self, url: str) -> datetime | None:
        return stated_time(url) if self.is_reached else None

    def live(self, n_cycles: int) -> None:
        for _ in range(n_cycles):
            by = SETS[self.row][0].closed_at + timedelta(seconds=SETTLE_S) - self.own.now()
            self.own.advance(by)
            self.others.advance(by)
            super().live(1)

    def mode(self) -> Mode:
        return restore(self.ledger, RUN).mode

    def seen(self) -> VitalsSeen:
        events = [decode_event(row.event) for row in self.ledger.events(RUN)]
        return [event for event in events if isinstance(event, VitalsSeen)][-1]

    def resume(self) -> None:
        asked = ModeRequested(at=self.own.now(), mode=Mode.ACTIVE, by="ada")
        self.ledger.add_request(RUN, asked.id, encode(asked), "active", asked.at, "ada")

    def bought(self) -> int:
        return sum(row["side"] == "buy" for row in self.ledger.trades(RUN))


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Fed]:
    clock = SimulatedClock(SETS[300][0].closed_at - timedelta(minutes=30))
    with ExchangeServers(MARKET.history, clock) as servers:
        made = Fed(tmp_path, servers, clock)
        yield made
        made.ledger.close()


def test_while_the_world_is_well_it_is_told_at_each_close_and_turns_nothing(fed: Fed) -> None:
    fed.live(3)
    seen = fed.seen()
    assert fed.mode() is Mode.ACTIVE
    assert seen.bars_behind == pytest.approx(12 / 3600)
    assert (seen.clock_skew_s, seen.reconciliation_gap, seen.restarts) == (0.0, 0.0, 0)
    assert fed.bought() > 0
    assert [row["subject"] for row in fed.ledger.alerts(RUN)] == []
    assert replay_run(fed.ledger, RUN).identical


def test_data_that_stops_leaves_only_reductions_until_it_flows_and_a_person_resumes(
    fed: Fed,
) -> None:
    fed.live(1)
    for venue in VENUES:
        fed.servers.faults.set(Fault.FROZEN, venue=venue)
    fed.live(2)  # the first of them is what they show from now on
    assert (fed.mode(), round(fed.seen().bars_behind or 0)) == (Mode.ACTIVE, 1)
    n_bought = fed.bought()
    fed.live(1)  # the second bar that nobody shows
    shown = status_of(fed.ledger, RUN)
    assert shown["mode"] == "reducing"
    lines = list(status_lines(shown))
    assert any("newest bar 2.00 bars old" in line for line in lines)
    assert any("bars_behind, bars_behind 2.003 (limit 2): only reductions pass" in s for s in lines)
    fed.resume()
    fed.live(2)
    assert fed.mode() is Mode.REDUCING  # a person alone cannot resume against it
    assert fed.alerts("mode_requested") == ["ada cannot resume trading while there is bars_behind."]
    assert fed.bought() == n_bought
    fed.servers.faults.clear()
    fed.live(1)
    assert fed.mode() is Mode.REDUCING  # nor does it resume by itself
    fed.resume()
    fed.live(1)
    assert fed.mode() is Mode.ACTIVE
    assert len(fed.alerts("bars_behind")) == 1
    assert replay_run(fed.ledger, RUN).identical


def test_one_exchange_that_freezes_stops_nothing(fed: Fed) -> None:
    fed.servers.faults.set(Fault.FROZEN, venue="binance")
    fed.live(5)
    assert fed.mode() is Mode.ACTIVE
    assert fed.seen().bars_behind == pytest.approx(12 / 3600)


def test_before_any_bar_was_seen_data_age_is_unknown_and_nothing_is_bought(fed: Fed) -> None:
    for venue in VENUES:
        fed.servers.faults.set(Fault.UNAVAILABLE, venue=venue)
        fed.supervisor._members[f"feed:{venue}"].handle._instruments = ()
    fed.live(1)
    assert fed.seen().bars_behind is None
    assert (fed.mode(), fed.bought()) == (Mode.REDUCING, 0)


@pytest.mark.parametrize("ahead_s", [-3, 3])
def test_a_clock_that_is_off_by_seconds_leaves_only_reductions(fed: Fed, ahead_s: int) -> None:
    (fed.own if ahead_s > 0 else fed.others).advance(timedelta(seconds=abs(ahead_s)))
    fed.supervisor.cycle(SETS[fed.row][0].closed_at)
    assert fed.seen().clock_skew_s == pytest.approx(2 if ahead_s > 0 else 3)
    assert fed.mode() is Mode.REDUCING
    assert "clock_skew_s" in fed.alerts("clock_skew_s")[0]


def test_exchanges_that_tell_no_time_are_trusted_for_two_hours_and_then_nobody_is(fed: Fed) -> None:
    fed.live(1)
    fed.is_reached = False
    fed.seconds += 7_000
    fed.live(1)
    assert (fed.seen().clock_skew_s, fed.mode()) == (0.0, Mode.ACTIVE)
    fed.seconds += 1_000
    fed.live(1)
    assert (fed.seen().clock_skew_s, fed.mode()) == (None, Mode.REDUCING)


def test_an_owner_that_dies_six_times_in_ten_minutes_halts_the_run(fed: Fed) -> None:
    fed.live(1)
    for n_deaths in range(1, 7):
        fed.owners["risk"]._epoch = None
        fed.supervisor.tend()
        if n_deaths == 5:
            fed.live(1)
            assert (fed.seen().restarts, fed.mode()) == (5, Mode.ACTIVE)
    fed.live(1)
    assert (fed.seen().restarts, fed.mode()) == (6, Mode.HALTED)
    fed.seconds += 600
    fed.live(1)
    assert fed.seen().restarts == 0


def test_a_book_that_is_not_what_its_account_was_filled_with_halts_the_run(fed: Fed) -> None:
    fed.live(2)
    risk = fed.owners["risk"]
    assert risk.account_gap() == 0.0
    risk._state = replace(risk._state, cash=risk._state.cash - Decimal(100))  # a bug, for one
    fed.supervisor.look(SETS[fed.row][0].closed_at - timedelta(minutes=20))
    assert fed.seen().reconciliation_gap == pytest.approx(0.01, rel=0.05)
    assert risk._state.mode is Mode.HALTED


def test_between_closes_the_world_is_looked_at_and_live_prices_are_heard(fed: Fed) -> None:
    fed.live(1)
    at = SETS[fed.row][0].closed_at - timedelta(minutes=40)
    by = at - fed.own.now()
    fed.own.advance(by)
    fed.others.advance(by)
    fed.supervisor.look(at)
    assert fed.seen().bars_behind == pytest.approx(1 / 3 + 12 / 3600)
    heard = [decode_event(row.event) for row in fed.ledger.events(RUN)]
    (live,) = (event for event in heard if getattr(event, "phase", "") == "live")
    assert [name for name, _ in live.prices] == list(NAMES)  # type: ignore[union-attr]
    fed.live(1)
    assert fed.decided() == 2 * len(NAMES)
    assert replay_run(fed.ledger, RUN).identical


def test_a_disk_that_runs_full_is_one_alert_and_its_room_is_another(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(fed.supervisor._watch._folder).free  # type: ignore[union-attr]
    monkeypatch.setattr(actors.watching, "LEAST_FREE_BYTES", 2.0 * free)
    fed.live(3)
    monkeypatch.setattr(actors.watching, "LEAST_FREE_BYTES", 1.0)
    fed.live(2)
    failed, well = fed.alerts()
    assert failed.startswith("disk failed, the loop goes on: short: ")
    assert well == "disk works again."


def test_a_ledger_that_takes_its_time_is_one_alert(fed: Fed, tmp_path: Path) -> None:
    slow: Any = fed.ledger
    quick = slow.n_events

    def sleepy(run: str) -> int:
        fed.seconds += 1.5
        return quick(run)

    slow.n_events = sleepy
    fed.live(3)
    del slow.n_events
    fed.live(1)
    assert fed.alerts() == [
        "ledger failed, the loop goes on: short: it took 1.5 s to answer, 1 s are allowed",
        "ledger works again.",
    ]
