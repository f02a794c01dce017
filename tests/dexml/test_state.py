"""What the kernel refuses to begin with."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from dexml.costs import CostConfig
from dexml.domain import Timeframe
from dexml.errors import ConfigError
from dexml.risk.limits import LimitConfig
from dexml.risk.orders import OrderLimits
from dexml.risk.policy import PolicyConfig
from dexml.risk.sizing import SizingConfig
from dexml.state import KernelConfig
from dexml.system import initial_state

INF = float("inf")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"policy": PolicyConfig(min_edge=INF)}, r"policy\.min_edge must be finite, was inf"),
        ({"sizing": SizingConfig(min_notional=-INF)}, r"sizing\.min_notional must be finite"),
        (
            {"costs": CostConfig(gas_per_swap_usd=Decimal("Infinity"))},
            r"costs\.gas_per_swap_usd must be finite",
        ),
        ({"warm_up_bars": 19}, r"kernel\.warm_up_bars must be in 20\.\.768, was 19"),
        ({"warm_up_bars": 51, "window_bars": 50}, r"must be in 20\.\.50, was 51"),
        (
            {
                "limits": LimitConfig(slippage=0.05),
                "orders": OrderLimits(price_band=Decimal("0.05")),
            },
            r"limits\.slippage must be below orders\.price_band \(0\.05\), was 0\.05",
        ),
        ({"costs": CostConfig(latency_s=3_600)}, r"costs\.latency_s must be below the 3600 s"),
    ],
)
def test_settings_under_which_no_decision_is_sound_are_refused(
    settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        KernelConfig(**settings)  # type: ignore[arg-type]


def test_settings_at_the_edge_of_what_is_allowed_are_taken() -> None:
    edge = KernelConfig(warm_up_bars=20, window_bars=20, costs=CostConfig(latency_s=3_599))
    assert (edge.warm_up_bars, edge.costs.latency_s) == (20, 3_599)
    assert (edge.bars_per_day, KernelConfig(timeframe=Timeframe.D1).bars_per_day) == (24.0, 1.0)


@pytest.mark.parametrize(
    ("names", "cash", "sentence"),
    [
        ((), "1", "instruments must not be empty"),
        (("BTC/USDT",), "0", "cash must be positive, was 0"),
        (("BTC/USDT",), "-1", "cash must be positive, was -1"),
        (("BTC",), "1", "BTC"),
    ],
)
def test_a_run_needs_money_and_something_to_trade(
    names: Iterable[str], cash: str, sentence: str
) -> None:
    with pytest.raises(Exception, match=sentence) as refused:
        initial_state("run", KernelConfig(), names, Decimal(cash))
    assert refused.type.__module__ == "dexml.errors"


def test_each_instrument_has_one_book_in_the_order_of_the_names() -> None:
    state = initial_state("run", KernelConfig(), ["ETH/USDT", "BTC/USDT", "ETH/USDT"], Decimal(5))
    assert [book.instrument for book in state.books] == ["BTC/USDT", "ETH/USDT"]
    assert (state.cash, state.equity, state.peak, state.open_intents) == (5, 5, 5, ())
