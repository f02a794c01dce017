"""What the owners remember after a new life: plain classes on a real ledger, without Ray."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import GetTimeoutError

import actors.risk
from actors.execution import ExecutionActor
from actors.feed import ContextActor, FeedActor
from actors.forecast import ForecastActor
from actors.live_host import LiveHost
from actors.monitor import MonitorActor
from actors.risk import RiskActor
from actors.supervisor import Member, Supervisor
from actors.trainer import TrainerActor
from dexml.costs import CostConfig
from dexml.cycle import run_bar
from dexml.domain import Bar, Signal, Timeframe
from dexml.errors import ActorNotReady, LedgerError, StaleEpoch
from dexml.events import BarsClosed, Decision, Event, Trade
from dexml.execution.paper import PaperBroker
from dexml.experiments.sources import bar_sets
from dexml.ledger import Ledger
from dexml.records import decode_command, encode
from dexml.simulation.market import MarketConfig, plant
from dexml.state import KernelConfig
from dexml.system import initial_state, warm_up
from dexml.universe import UniverseConfig

NAMES = ("BTC/USDT", "ETH/USDT")
RUN = "plain"
MARKET = plant(MarketConfig(instruments=NAMES, n_bars=400, bayes_accuracy=0.8))
SETS = bar_sets(MARKET.history.bars, 400)
FIRST = 300


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A ledger in which a run has just begun."""
    address = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with Ledger.open(address) as ledger:
        state = initial_state(RUN, KernelConfig(), NAMES, Decimal(10_000))
        state = warm_up(state, SETS[:FIRST])
        at = SETS[FIRST - 1][0].closed_at
        ledger.start_run(RUN, at, {"initial_state": encode(state)}, 0)
    return address


def signals(bars: tuple[Bar, ...]) -> tuple[Signal, ...]:
    truth = MARKET.truth["direction"]
    return tuple(
        Signal(
            instrument=bar.instrument,
            closed_at=bar.closed_at,
            probability=float(truth.loc[(bar.closed_at, bar.instrument)]),
            members=(),
        )
        for bar in bars
    )


def opens(row: int) -> dict[str, float]:
    return {bar.instrument: bar.open for bar in SETS[row + 1]}


class Plain:
    """The supervisor of a run over plain objects: a call is a call."""

    def __init__(self, url: str, owners: dict[str, Any]) -> None:
        self.ledger = Ledger.open(url)
        self.supervisor = Supervisor(RUN, self.ledger, send=self.send)
        self.faults: list[Callable[[str, str], None]] = []
        for name, owner in owners.items():
            self.supervisor.add(Member(name=name, handle=owner))

    def send(self, handle: Any, method: str, *args: Any) -> Callable[[float], Any]:
        def answer(_timeout_s: float) -> Any:
            said = getattr(handle, method)(*args)
            for fault in self.faults:
                fault(type(handle).__name__, method)
            return said

        return answer

    def live(self, rows: range, prices: Callable[[int], dict[str, float]] = opens) -> None:
        for row in rows:
            run_bar(LiveHost(self.supervisor.ask), SETS[row], signals(SETS[row]), prices(row))

    def commands(self) -> list[str]:
        return [text for row in self.ledger.events(RUN) for text in row.commands]


def owners(url: str) -> dict[str, Any]:
    broker = PaperBroker(CostConfig())
    return {"risk": RiskActor(RUN, url), "execution": ExecutionActor(RUN, url, broker)}


@pytest.fixture
def plain(url: str) -> Iterator[Plain]:
    made = Plain(url, owners(url))
    yield made
    made.ledger.close()


NEW: dict[type, tuple[Any, ...]] = {
    FeedActor: ("binance", "http://127.0.0.1:1", NAMES, Timeframe.H1, "/nowhere"),
    ContextActor: (None, None, NAMES, (), "/nowhere"),
    ForecastActor: (
        *(RUN, "/nowhere", "/nowhere", "sqlite:////nowhere/l", ("binance",), NAMES),
        UniverseConfig(),
    ),
    RiskActor: (RUN, "sqlite:////nowhere/l"),
    ExecutionActor: (RUN, "sqlite:////nowhere/l", PaperBroker(CostConfig())),
    MonitorActor: (RUN, "sqlite:////nowhere/l"),
    TrainerActor: ("direction", "/nowhere"),
}


@pytest.mark.parametrize("cls", NEW)
def test_before_start_an_actor_touches_nothing_and_answers_only_health(cls: type) -> None:
    actor = cls(*NEW[cls])
    assert actor.health()
    methods = [name for name in vars(cls) if not name.startswith("_")]
    asked = sorted(set(methods) - {"health", "start"})
    assert asked
    for name in asked:
        method = getattr(actor, name)
        with pytest.raises(ActorNotReady, match="start"):
            method(*[None] * len(inspect.signature(method).parameters))


@pytest.mark.parametrize("snapshot_every", [1, 7, 1_000])
def test_a_new_life_knows_what_the_old_one_knew(
    plain: Plain, url: str, monkeypatch: pytest.MonkeyPatch, snapshot_every: int
) -> None:
    monkeypatch.setattr(actors.risk, "SNAPSHOT_EVERY", snapshot_every)
    for row in range(FIRST, FIRST + 12):
        plain.live(range(row, row + 1))
        again = RiskActor(RUN, url)
        again.start(plain.ledger.acquire_epoch("risk", "another life"))
        assert again._state == plain.supervisor._members["risk"].handle._state
        plain.supervisor._begin(plain.supervisor._members["risk"])
    assert any(isinstance(decode_command(text), Trade) for text in plain.commands())


def test_answers_lost_after_their_effect_change_no_byte(plain: Plain, tmp_path: Path) -> None:
    lost = dict[str, int]()

    def lose(owner: str, method: str) -> None:
        lost[method] = lost.get(method, 0) + 1
        if method in {"handle", "work"} and lost[method] % 3 == 0:
            raise GetTimeoutError("the answer was lost")

    plain.live(range(FIRST, FIRST + 40))
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    started = plain.ledger.run(RUN)
    assert started is not None
    with Ledger.open(other) as ledger:
        ledger.start_run(RUN, started["at"], started["config"], 0)
    faulty = Plain(other, owners(other))
    faulty.faults.append(lose)
    faulty.live(range(FIRST, FIRST + 40))
    assert lost["handle"] > 60
    assert faulty.commands() == plain.commands()
    fills = plain.ledger.trades(RUN)
    assert faulty.ledger.trades(RUN) == fills
    assert len(fills) == len({fill["intent_id"] for fill in fills}) > 5
    faulty.ledger.close()


class Torn(RiskActor):
    """Loses the answer of the database after the commit, once."""

    torn = False

    def _commit(self, *args: Any) -> None:
        super()._commit(*args)
        if not self.torn:
            self.torn = True
            raise LedgerError("database", "must answer", "gone", "Check that it runs.")


def closed(row: int) -> Event:
    bars = SETS[row]
    return BarsClosed(at=bars[0].closed_at, bars=bars, signals=signals(bars))


def test_after_a_commit_of_unknown_outcome_only_start_makes_ready(url: str) -> None:
    actor, whole = Torn(RUN, url), RiskActor(RUN, url)
    with Ledger.open(url) as ledger:
        actor.start(ledger.acquire_epoch("risk", "first"))
        with pytest.raises(LedgerError, match="must answer"):
            actor.handle(closed(FIRST))
        for method in (actor.view, lambda: actor.handle(closed(FIRST))):
            with pytest.raises(ActorNotReady):
                method()
        actor.start(ledger.acquire_epoch("risk", "second"))
        told = actor.handle(closed(FIRST))
        assert sum(isinstance(one, Decision) for one in told) == len(NAMES)
        assert len(list(ledger.events(RUN))) == 1
        actor.handle(closed(FIRST + 1))
        whole.start(ledger.acquire_epoch("risk", "third"))
        assert whole._state == actor._state


def test_an_owner_that_was_taken_over_writes_nothing_and_stops(url: str) -> None:
    old, new = RiskActor(RUN, url), RiskActor(RUN, url)
    with Ledger.open(url) as ledger:
        old.start(ledger.acquire_epoch("risk", "old"))
        new.start(ledger.acquire_epoch("risk", "new"))
        with pytest.raises(StaleEpoch):
            old.handle(closed(FIRST))
        with pytest.raises(ActorNotReady):
            old.view()
        assert list(ledger.events(RUN)) == []
        assert new.handle(closed(FIRST))


def test_a_start_that_fails_leaves_no_answers_of_the_former_life(url: str, tmp_path: Path) -> None:
    actor = RiskActor(RUN, url)
    with Ledger.open(url) as ledger:
        actor.start(ledger.acquire_epoch("risk", "first"))
    file = tmp_path / "ledger.sqlite"
    for path in tmp_path.glob("ledger.sqlite-*"):
        path.unlink()
    file.write_bytes(b"no ledger at all" * 100)
    with pytest.raises(LedgerError):
        actor.start(2)
    with pytest.raises(ActorNotReady):
        actor.view()


def test_an_order_without_a_price_is_never_sent_later(plain: Plain) -> None:
    def no_prices(row: int) -> dict[str, float]:
        return {}

    row = FIRST
    while not plain.ledger.outbox(RUN) and not any("order_failed" in t for t in _heard(plain)):
        plain.live(range(row, row + 1), no_prices)
        row += 1
    assert plain.ledger.outbox(RUN) == []
    failed = {t.partition(":")[2] for t in _heard(plain) if t.startswith("order_failed")}
    plain.live(range(row, row + 30))
    fills = {fill["intent_id"] for fill in plain.ledger.trades(RUN)}
    assert fills
    assert not fills & failed


def _heard(plain: Plain) -> list[str]:
    return [row.event_id for row in plain.ledger.events(RUN)]


def test_an_intent_is_carried_out_once_however_often_work_is_asked(url: str) -> None:
    risk, execution = owners(url).values()
    with Ledger.open(url) as ledger:
        risk.start(ledger.acquire_epoch("risk", "me"))
        execution.start(ledger.acquire_epoch("execution", "me"))
        row = FIRST
        while not ledger.outbox(RUN):
            risk.handle(closed(row))
            row += 1
        at = SETS[row - 1][0].closed_at
        told = [execution.work(None, at) for _ in range(3)]
        assert told[0] == told[1] == told[2]
        fills = ledger.trades(RUN)
        assert len(fills) == len({fill["intent_id"] for fill in fills}) == len(told[0])
        for outcome in told[0]:
            risk.handle(outcome)
        assert execution.work(None, at) == []
