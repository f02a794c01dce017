"""What a backtest might have come to, and where prices may go: Monte Carlo as figures for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from dexml.domain import Bars, Side
from dexml.errors import DataError
from dexml.experiments.backtest import BacktestReport
from dexml.risk.garch import fit_garch, garch_variance
from dexml.validation.inputs import Floats
from dexml.validation.montecarlo import Garch, Simulated, simulate_garch, simulate_returns

__all__ = ["simulate_backtest", "simulate_prices", "trade_returns"]

LEAST_TRADES = 20


def simulate_backtest(
    tested: BacktestReport, n_simulations: int = 1_000, seed: int = 0
) -> dict[str, Any]:
    """Return `returns` and `trades`: figures with intervals and a fan, or the reason for none.

    Each is `{sharpe, max_drawdown, total_return: {estimate, low, median, high}, loss_probability,
    fan: {bars, levels, equity}, n_simulations, block_length}`, or `{skipped: why}`. The fan of
    `returns` is in multiples of the starting cash after so many bars, that of `trades` after so
    many trades.
    """
    per_year = tested.state.config.bars_per_day * 365
    bars = np.asarray(tested.equity.pct_change().dropna(), dtype=np.float64)
    trades = np.asarray(trade_returns(tested), dtype=np.float64)
    years = len(bars) / per_year
    return {
        "returns": _simulated(bars, n_simulations, seed, per_year),
        "trades": _simulated(trades, n_simulations, seed, len(trades) / years if years else 1.0),
    }


def trade_returns(tested: BacktestReport) -> pd.Series:
    """Return what each closed position earned, as a share of the equity marked before its sale.

    Index `closed_at` is the last close before the sale; several sales of one bar keep their order.
    """
    paid: dict[str, float] = {}
    at, earned = [], []
    equity = tested.equity
    for fill in tested.fills:
        if fill.side is Side.BUY:
            paid[fill.instrument] = paid.get(fill.instrument, 0.0) + float(fill.quote + fill.gas)
            continue
        row = max(0, int(equity.index.searchsorted(pd.Timestamp(fill.filled_at), side="right")) - 1)
        gain = float(fill.quote - fill.gas) - paid.pop(fill.instrument, 0.0)
        at.append(equity.index[row])
        earned.append(gain / float(equity.iloc[row]))
    index = pd.DatetimeIndex(at, name="closed_at", tz="UTC")
    return pd.Series(earned, index, dtype=np.float64, name="trade")


def simulate_prices(
    bars: Mapping[str, Bars], n_ahead: int, n_simulations: int = 1_000, seed: int = 0
) -> dict[str, Any]:
    """Return, by instrument, where a fitted GARCH takes the price in `n_ahead` bars.

    An instrument of which too little is known is named with the reason, as `{skipped: why}`.
    """
    found: dict[str, Any] = {}
    for name, series in bars.items():
        try:
            model, shocks = _fitted(np.diff(series.close) / series.close[:-1])
        except DataError as error:
            found[name] = {"skipped": str(error)}
            continue
        per_year = 365 * 86_400 / series.timeframe.seconds
        drawn = simulate_garch(
            model, shocks, n_ahead, n_simulations, seed=seed, periods_per_year=per_year
        )
        found[name] = _as_dict(drawn) | {"garch": asdict(model)}
    return found


def _fitted(returns: Floats) -> tuple[Garch, Floats]:
    mean = float(returns.mean()) if len(returns) else 0.0
    moves = returns - mean
    fit = fit_garch(moves)
    variance = garch_variance(moves, fit)
    model = Garch(
        mean=mean, omega=fit.omega, alpha=fit.alpha, beta=fit.beta, variance=float(variance[-1])
    )
    return model, moves / np.sqrt(variance[:-1])


def _simulated(values: Floats, n: int, seed: int, per_year: float) -> dict[str, Any]:
    if len(values) < LEAST_TRADES:
        return {"skipped": f"needs {LEAST_TRADES}, was {len(values)}"}
    if not values.any():
        return {"skipped": "nothing was traded"}
    return _as_dict(simulate_returns(values, n, seed=seed, periods_per_year=per_year))


def _as_dict(drawn: Simulated) -> dict[str, Any]:
    fan = drawn.fan
    return asdict(drawn) | {
        "fan": {
            "bars": list(fan.bars),
            "levels": list(fan.levels),
            "equity": fan.equity.round(6).tolist(),
        }
    }
