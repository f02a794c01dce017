"""What refuses a buy, one thing at a time, through the kernel."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dexml.assessment import assess
from dexml.costs import CostConfig
from dexml.domain import Bar, Signal
from dexml.events import Action, BarsClosed, Decision, Reason
from dexml.risk.exits import Levels
from dexml.risk.limits import LimitConfig
from dexml.risk.score import REFUSAL
from dexml.risk.trips import TripLimits
from dexml.state import KernelConfig, Position, State
from dexml.system import initial_state, step, warm_up

START, HOUR = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1)
BTC, ETH, SOL = NAMES = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
NOW = 40
LOOSE = LimitConfig(value_at_risk=0.99, weight=0.99)
SAID = (("direction", 0.8), ("macro", 0.3))  # members that are half apart


def bars(hour: int) -> tuple[Bar, ...]:
    close = 100.0 if hour % 2 else 101.0
    shape = {"open": close, "high": close + 1, "low": close - 1, "close": close}
    at = START + hour * HOUR
    return tuple(Bar(instrument=name, closed_at=at, volume=1.0, **shape) for name in NAMES)


def book_at_risk(config: KernelConfig) -> State:
    """Return a book a fifth in BTC and a tenth below its peak, with SOL unfit."""
    state = initial_state("run", config, NAMES, Decimal(10_000))
    state = warm_up(state, [bars(hour) for hour in range(NOW)])
    btc, _, sol = state.books
    position = Position(
        quantity=Decimal(20),
        paid=Decimal(2_000),
        entered_at=START,
        best=101.0,
        exits=Levels(stop=1.0, take_profit=1_000.0),
    )
    state = state.having(replace(btc, position=position)).having(replace(sol, healthy=False))
    state = replace(state, cash=Decimal(8_000))
    worth = Decimal(8_000) + 20 * Decimal("101.0")  # at the close to come
    return replace(state, peak=worth / Decimal("0.9"))


def decided(state: State) -> Decision:
    """Return what becomes of a strong signal for ETH."""
    at = START + NOW * HOUR
    said = Signal(instrument=ETH, closed_at=at, probability=0.8, members=SAID)
    _, commands = step(state, BarsClosed(at=at, bars=bars(NOW), signals=(said,)))
    (found,) = [c for c in commands if isinstance(c, Decision) and c.instrument == ETH]
    return found


def measured() -> dict[str, float]:
    """Return what the parts of the score for ETH are made from at the close."""
    whole = assess(warm_up(book_at_risk(KernelConfig(limits=LOOSE)), [bars(NOW)]))
    own = {"volatility": whole.volatilities[ETH], "disagreement": 0.8 - 0.3}
    return {**whole.measured, **own}


def limited(part: str, limit: float) -> KernelConfig:
    """Return settings in which nothing binds but one part of the score."""
    if part == "drawdown":
        return KernelConfig(limits=LOOSE, trips=TripLimits(drawdown=limit))
    names = {"concentration": "weight", "data_health": "unhealthy_share"}
    return KernelConfig(limits=replace(LOOSE, **{names.get(part, part): limit}))


def test_a_book_with_something_of_every_risk_may_still_buy() -> None:
    found = decided(book_at_risk(KernelConfig(limits=LOOSE)))
    assert found.action is Action.ENTER
    assert 0 < found.risk_score < REFUSAL
    assert min(measured().values()) > 0


@pytest.mark.parametrize(
    "part",
    ["volatility", "value_at_risk", "drawdown", "concentration", "disagreement", "data_health"],
)
def test_each_part_of_the_score_at_its_limit_alone_blocks_new_risk_and_is_named(part: str) -> None:
    value = measured()[part]
    at_limit = decided(book_at_risk(limited(part, value)))
    assert (at_limit.action, at_limit.reason) == (Action.DECLINE, Reason.RISK)
    assert at_limit.detail == part
    assert at_limit.risk_score >= REFUSAL
    assert decided(book_at_risk(limited(part, 1.9 * value))).action is Action.ENTER


def test_parts_that_only_together_refuse_are_all_named() -> None:
    values = measured()
    limits = replace(LOOSE, volatility=1.05 * values["volatility"])
    limits = replace(limits, disagreement=1.05 * values["disagreement"])
    found = decided(book_at_risk(KernelConfig(limits=limits)))
    assert (found.action, found.reason) == (Action.DECLINE, Reason.RISK)
    assert {"volatility", "disagreement", "drawdown"} <= set(found.detail.split(", "))


def test_a_buy_of_less_than_one_unit_of_the_token_is_too_small() -> None:
    for decimals, action, detail in ((0, Action.DECLINE, "too small"), (4, Action.ENTER, "")):
        config = KernelConfig(limits=LOOSE, costs=CostConfig(base_decimals=decimals))
        state = initial_state("run", config, NAMES, Decimal(300))
        state = warm_up(state, [bars(hour) for hour in range(NOW)])
        found = decided(state)
        assert (found.action, found.detail) == (action, detail)
        assert found.reason is (Reason.COST if detail else Reason.EDGE)
