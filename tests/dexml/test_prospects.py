"""What the portfolio gives to whom, through the kernel."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from dexml.assessment import assess, part_limits
from dexml.domain import Bar, Signal
from dexml.errors import DataError
from dexml.events import Action, Alert, BarsClosed, Command, Decision, EquityMarked, Reason, Trade
from dexml.risk.limits import LimitConfig
from dexml.risk.orders import OrderLimits
from dexml.risk.score import parts_shown
from dexml.risk.sizing import SizingConfig
from dexml.state import KernelConfig, State
from dexml.system import initial_state, step, warm_up

START, HOUR = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1)
NAMES = ("AAA/USDT", "BBB/USDT", "CCC/USDT")
N_WARM = 200
# nothing but the portfolio and its limits binds
FREE = KernelConfig(
    limits=LimitConfig(value_at_risk=0.5, weight=0.9), sizing=SizingConfig(kelly_cap=1.0)
)


def closes(seed: int = 0, twins: bool = False) -> np.ndarray:
    """Return closes of three independent coins, or of two that are one and a third."""
    moves = np.random.default_rng(seed).choice([-0.01, 0.01], (N_WARM + 3, 3))
    if twins:
        moves[:, 1] = moves[:, 0]
    return 100 * np.cumprod(1 + moves, axis=0)


def bars(hour: int, prices: np.ndarray, names: tuple[str, ...] = NAMES) -> tuple[Bar, ...]:
    at = START + hour * HOUR
    return tuple(
        Bar(instrument=name, closed_at=at, open=p, high=p * 1.01, low=p * 0.99, close=p, volume=1.0)
        for name, p in zip(NAMES, prices.tolist(), strict=True)
        if name in names
    )


def warmed(config: KernelConfig, table: np.ndarray) -> State:
    state = initial_state("run", config, NAMES, Decimal(10_000))
    return warm_up(state, [bars(hour, table[hour]) for hour in range(N_WARM)])


def decided(
    state: State, table: np.ndarray, said: dict[str, float], seen: tuple[str, ...] = NAMES
) -> tuple[dict[str, Decision], list[Command]]:
    at = START + N_WARM * HOUR
    signals = tuple(Signal(instrument=n, closed_at=at, probability=p) for n, p in said.items())
    close = BarsClosed(at=at, bars=bars(N_WARM, table[N_WARM], seen), signals=signals)
    _, commands = step(state, close)
    return {one.instrument: one for one in commands if isinstance(one, Decision)}, commands


def test_of_two_coins_that_are_one_only_the_better_is_bought() -> None:
    table = closes(twins=True)
    said = dict(zip(NAMES, (0.8, 0.79, 0.8), strict=True))
    got, _ = decided(warmed(FREE, table), table, said)
    assert [got[name].action for name in NAMES] == [Action.ENTER, Action.DECLINE, Action.ENTER]
    assert got["BBB/USDT"].reason is Reason.PORTFOLIO


def test_equal_forecasts_of_independent_coins_get_equal_shares_and_all_the_money() -> None:
    table = closes()
    got, _ = decided(warmed(FREE, table), table, dict.fromkeys(NAMES, 0.95))
    shares = [got[name].portfolio_weight for name in NAMES]
    assert sum(shares) == pytest.approx(1.0, abs=0.01)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.06)
    assert all(got[name].target_weight <= got[name].portfolio_weight + 1e-9 for name in NAMES)


def test_what_pays_nothing_after_costs_has_no_place() -> None:
    table = closes()
    got, _ = decided(warmed(FREE, table), table, {"AAA/USDT": 0.53, "BBB/USDT": 0.9})
    assert (got["AAA/USDT"].portfolio_weight, got["AAA/USDT"].reason) == (0.0, Reason.COST)
    assert got["BBB/USDT"].portfolio_weight == pytest.approx(0.9, abs=0.01)
    assert (got["CCC/USDT"].portfolio_weight, got["CCC/USDT"].reason) == (0.0, Reason.DATA)


def test_a_coin_without_a_bar_has_no_share_and_the_others_go_on() -> None:
    table = closes()
    got, _ = decided(
        warmed(FREE, table), table, dict.fromkeys(NAMES, 0.9), seen=("AAA/USDT", "CCC/USDT")
    )
    assert set(got) == {"AAA/USDT", "CCC/USDT"}
    assert {one.action for one in got.values()} == {Action.ENTER}


def test_a_coin_that_never_moved_is_not_bought_and_keeps_nobody_out() -> None:
    table = closes()
    table[:, 1] = 100.0
    got, commands = decided(warmed(FREE, table), table, dict.fromkeys(NAMES, 0.9))
    assert got["BBB/USDT"].action is Action.DECLINE
    assert got["AAA/USDT"].action is Action.ENTER
    assert not [one for one in commands if isinstance(one, Alert)]


def test_a_young_coin_is_not_taken_for_diversification() -> None:
    table = closes(twins=True)
    state = initial_state("run", FREE, NAMES, Decimal(10_000))
    old = ("AAA/USDT", "CCC/USDT")  # BBB, the twin of AAA, is listed 40 hours before the end
    sets = [bars(h, table[h], old if h < N_WARM - 40 else NAMES) for h in range(N_WARM)]
    got, _ = decided(warm_up(state, sets), table, dict.fromkeys(NAMES, 0.9))
    alone, _ = decided(warmed(FREE, table), table, dict.fromkeys(NAMES, 0.9))
    assert got["BBB/USDT"].portfolio_weight < 1 / 3
    assert alone["BBB/USDT"].portfolio_weight < 1 / 3


def test_limits_on_notionals_make_an_order_smaller_and_the_number_of_orders_ends_them() -> None:
    table = closes()
    orders = OrderLimits(order_notional=Decimal(600), orders_per_minute=2)
    config = KernelConfig(limits=FREE.limits, sizing=FREE.sizing, orders=orders)
    got, commands = decided(warmed(config, table), table, dict.fromkeys(NAMES, 0.95))
    bought = [one.intent for one in commands if isinstance(one, Trade)]
    assert [intent.amount_in for intent in bought] == pytest.approx([Decimal(588)] * 2, abs=1)
    refused = [one for one in got.values() if one.action is Action.DECLINE]
    assert [(one.reason, one.detail) for one in refused] == [(Reason.LIMIT, "orders_per_minute")]


@pytest.mark.parametrize("name", ["instrument_notional", "gross_notional"])
def test_what_is_held_and_under_way_counts_against_a_limit_on_notionals(name: str) -> None:
    table = closes()
    config = KernelConfig(
        limits=FREE.limits, sizing=FREE.sizing, orders=OrderLimits(**{name: Decimal(1_000)})
    )
    got, commands = decided(warmed(config, table), table, dict.fromkeys(NAMES, 0.95))
    total = sum(one.intent.amount_in for one in commands if isinstance(one, Trade))
    n_bought = 1 if name == "gross_notional" else 3
    assert total == pytest.approx(Decimal(1_000 * n_bought), abs=1)
    refused = {(one.reason, one.detail) for one in got.values() if one.action is Action.DECLINE}
    assert refused == ({(Reason.LIMIT, name)} if n_bought == 1 else set())


def test_the_mark_holds_what_the_score_was_made_of() -> None:
    table = closes()
    state = warmed(FREE, table)
    _, commands = decided(state, table, {})
    (mark,) = [one for one in commands if isinstance(one, EquityMarked)]
    score, shown = parts_shown(dict(mark.measured), part_limits(FREE))
    assert score == mark.risk_score == assess(state).score
    assert {one.name for one in shown} == set(dict(mark.measured))


def test_a_single_coin_is_a_portfolio_beside_cash() -> None:
    table = closes()
    state = initial_state("run", KernelConfig(), NAMES[:1], Decimal(10_000))
    state = warm_up(state, [bars(hour, table[hour], NAMES[:1]) for hour in range(N_WARM)])
    got, _ = decided(state, table, {NAMES[0]: 0.9}, seen=NAMES[:1])
    assert 0 < got[NAMES[0]].portfolio_weight <= KernelConfig().limits.weight
    assert got[NAMES[0]].action is Action.ENTER


def test_all_cash_if_nothing_is_expected_to_gain() -> None:
    table = closes()
    got, commands = decided(warmed(FREE, table), table, dict.fromkeys(NAMES, 0.4))
    assert {one.portfolio_weight for one in got.values()} == {0.0}
    assert not [one for one in commands if isinstance(one, Trade | Alert)]


@pytest.mark.parametrize("cash", ["0", "-5"])
def test_a_book_worth_nothing_buys_nothing_and_still_decides(cash: str) -> None:
    table = closes()
    state = replace(warmed(FREE, table), cash=Decimal(cash))
    got, commands = decided(state, table, dict.fromkeys(NAMES, 0.9))
    assert len(got) == len(NAMES)
    assert not [one for one in commands if isinstance(one, Trade)]


def test_a_matrix_that_cannot_be_inverted_is_an_alert_and_no_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DataError("scaled portfolio", "must keep its VaR", 0.2, "Give a VaR that scales.")

    table = closes()
    state = warmed(FREE, table)
    monkeypatch.setattr("dexml.prospects.max_sharpe", fails)
    got, commands = decided(state, table, dict.fromkeys(NAMES, 0.9))
    assert {one.reason for one in got.values()} == {Reason.PORTFOLIO}
    (alert,) = [one for one in commands if isinstance(one, Alert)]
    assert (alert.severity, alert.subject) == ("warning", "portfolio")
    assert "scaled portfolio must keep its VaR" in alert.text
