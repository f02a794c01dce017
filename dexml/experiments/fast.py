"""The decision kernel over one instrument in machine code, for sweeps: same trades, same equity.

`backtest` runs `system.step` on exact decimals for any number of instruments; this runs what of it
one instrument can reach, on float64, hundreds of times as fast. What it cannot do it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dexml.domain import Action, Bars, Reason
from dexml.errors import ConfigError, DataError
from dexml.state import KernelConfig
from dexml.validation.fast.decision import decide_all
from dexml.validation.fast.prospects import prospects_of
from dexml.validation.fast.tape import Tape, empty_tape
from dexml.validation.fast.words import Market, Rules
from dexml.validation.inputs import Positions

__all__ = ["FastReport", "fast_backtest", "market_of", "rules_of"]

SECOND = 1_000_000  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FastReport:
    """What happened to one instrument.

    Attributes
    ----------
    equity : Series
        Quote currency by `closed_at`, after costs, as in `BacktestReport`.
    decisions : DataFrame, index `closed_at`
        Columns `action` and `reason`, the words of the decision kernel.
    fills : DataFrame
        Columns `decided_at` (the close before the fill), `side`, `base`, `quote`, `reason`.
    """

    equity: pd.Series
    decisions: pd.DataFrame
    fills: pd.DataFrame


def fast_backtest(
    bars: Bars, probability: ArrayLike, config: KernelConfig, start_cash: Decimal = Decimal(10_000)
) -> FastReport:
    """Run the decision kernel over the bars of one instrument.

    Parameters
    ----------
    bars : Bars
        Of the timeframe of `config`; holes are allowed, and nothing is filled over them.
    probability : array-like, shape (n_bars,)
        Of a rise over the horizon, made from the bars up to each; NaN for no signal.
    config : KernelConfig
        Anything but another policy than `net_edge`.
    start_cash : Decimal
        Quote currency.

    Notes
    -----
    The subset of `backtest`: one instrument, in good health throughout, signals without the words
    of members (whose disagreement is a part of the risk score), no requests and no vitals from
    outside. Inside a bar the low is lived through before the high, so a bar that touches both
    levels hits the stop, and the stop is paid at the low. Actions and reasons are equal; amounts
    differ by the rounding of float64, about 1e-12 of equity.

    Raises
    ------
    DataError
        If there are no bars, or a probability is outside [0, 1] or too many or too few.
    ConfigError
        If the settings reach beyond the subset.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0},
    ...     index=pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC"),
    ... )
    >>> bars = Bars.from_frame("BTC/USDT", KernelConfig().timeframe, frame)
    >>> fast_backtest(bars, [0.6, 0.6, 0.6], KernelConfig()).equity.tolist()
    [10000.0, 10000.0, 10000.0]
    """
    rules = rules_of(config, start_cash)
    market, tape = market_of(bars, probability, rules), empty_tape(len(bars), rules)
    decide_all(market, rules, tape)
    return _report(bars, tape)


def market_of(bars: Bars, probability: ArrayLike, rules: Rules) -> Market:
    """Return bars and signals as the machine code reads them; may serve many configurations.

    Only `min_edge` and settings of horizon, window, sizing, fee and time step are built in; one
    market serves all rules that share them.
    """
    said = np.asarray(probability, dtype=np.float64)
    if said.shape != (len(bars),) or not len(bars):
        raise DataError("probability", f"must be {len(bars)} numbers", said.shape, "Align them.")
    if ((said < 0) | (said > 1)).any():
        worst = said[(said < 0) | (said > 1)][0]
        raise DataError("probability", "must be in [0, 1]", worst, "Calibrate it, or give NaN.")
    if bars.timeframe.seconds * SECOND != rules.step:
        raise DataError(
            bars.instrument,
            f"must have bars of {rules.step // SECOND} s, as the configuration has",
            f"{bars.timeframe.seconds} s",
            "Set KernelConfig.timeframe to that of the bars.",
        )
    at = bars.closed_at.astype("datetime64[us]").astype(np.int64)
    return prospects_of(at, np.vstack([bars.open, bars.high, bars.low, bars.close]), said, rules)


def rules_of(config: KernelConfig, start_cash: Decimal = Decimal(10_000)) -> Rules:
    """Return the settings as numbers.

    Raises
    ------
    ConfigError
        If they reach beyond the subset: another policy, or order counts that could bind.
    """
    _refuse_beyond(config)
    costs, step = config.costs, config.timeframe.seconds * SECOND
    return Rules(
        step=step,
        latency=costs.latency_s * SECOND,
        holding=step * config.exits.max_holding_bars,
        cooldown=step * config.policy.cooldown_bars,
        stop_window=step * config.policy.stop_window_bars,
        max_stops=config.policy.max_stops,
        low_profit_window=step * config.policy.low_profit_window_bars,
        low_profit_trades=config.policy.low_profit_trades,
        least_profit=config.policy.least_profit,
        horizon=config.policy.horizon,
        window=config.window_bars,
        warm_up=config.warm_up_bars,
        min_outcomes=config.sizing.min_outcomes,
        max_outcomes=config.sizing.max_outcomes,
        shrinkage=float(config.sizing.shrinkage_outcomes),
        kelly_cap=config.sizing.kelly_cap,
        min_notional=config.sizing.min_notional,
        pool_limit=config.sizing.max_pool_share * costs.pool_depth_usd,
        min_edge=config.policy.min_edge,
        no_trade_band=config.policy.no_trade_band,
        abstain_band=config.policy.abstain_band,
        rebalance_band=config.policy.rebalance_band,
        stop_atr=config.exits.stop_atr,
        take_profit_ratio=config.exits.take_profit_ratio,
        var_limit=config.limits.value_at_risk,
        weight_limit=config.limits.weight,
        volatility_limit=config.limits.volatility,
        slippage=config.limits.slippage,
        exit_slippage=config.limits.exit_slippage,
        order_notional=float(config.orders.order_notional),
        instrument_notional=float(config.orders.instrument_notional),
        gross_notional=float(config.orders.gross_notional),
        daily_loss=config.trips.daily_loss,
        drawdown=config.trips.drawdown,
        consecutive_losses=float(config.trips.consecutive_losses),
        slippage_ratio=config.trips.slippage_ratio,
        fee=costs.pool_fee_bps / 10_000,
        gas=float(costs.gas_per_swap_usd),
        depth=float(costs.pool_depth_usd),
        base_unit=float(10**costs.base_decimals),
        quote_unit=float(10**costs.quote_decimals),
        bars_per_day=config.bars_per_day,
        cash=float(start_cash),
    )


def _refuse_beyond(config: KernelConfig) -> None:
    if config.policy.name != "net_edge":
        fix = "Use `backtest`, which runs any policy."
        raise ConfigError("policy.name", "must be net_edge here", config.policy.name, fix)
    orders, slippage = config.orders, config.limits.slippage
    fix = "Use `backtest`, which counts orders."
    if orders.orders_per_day < 2 * config.bars_per_day + 2:  # at most two orders for each bar
        was = orders.orders_per_day
        raise ConfigError("orders.orders_per_day", "must never bind here", was, fix)
    if orders.orders_per_minute < 4 or config.timeframe.seconds < 60:
        was = orders.orders_per_minute
        raise ConfigError("orders.orders_per_minute", "must never bind here", was, fix)
    if slippage / (1 - slippage) >= float(orders.price_band):
        fix = "Lower it, or widen orders.price_band: no order would pass."
        raise ConfigError("limits.slippage", "must leave orders in the band", slippage, fix)


def _report(bars: Bars, tape: Tape) -> FastReport:
    index = pd.DatetimeIndex(bars.closed_at, tz="UTC", name="closed_at")
    fills = tape.fills[: int(tape.book["n_fills"][0])]
    return FastReport(
        equity=pd.Series(tape.equity, index, name="equity"),
        decisions=pd.DataFrame(
            {"action": _named(tape.action, Action), "reason": _named(tape.reason, Reason)}, index
        ),
        fills=pd.DataFrame(
            {
                "decided_at": index[fills["row"]],
                "side": np.where(fills["buys"] == 1, "buy", "sell"),
                "base": fills["base"],
                "quote": fills["quote"],
                "reason": _named(fills["reason"], Reason),
            }
        ),
    )


def _named(places: Positions, words: type[Action] | type[Reason]) -> NDArray[np.str_]:
    names: NDArray[np.str_] = np.array([str(word) for word in words])[places]
    return names
