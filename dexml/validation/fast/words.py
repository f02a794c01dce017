"""What the machine code reads: a market as columns, the settings as numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Action, Reason
from dexml.validation.inputs import Floats, Positions

__all__ = ["ACTIONS", "REASONS", "Market", "Rules"]

ACTIONS, REASONS = tuple(range(len(Action))), tuple(range(len(Reason)))
"""Places of the members in their enumerations: what the machine code says for them."""


class Market(NamedTuple):
    """One instrument over time, and all that does not depend on what is held; shape (n_bars,).

    Attributes
    ----------
    at : ndarray of int64
        Closes, in microseconds since 1970.
    open, high, low, close : ndarray
    probability : ndarray
        Of a rise over the horizon; NaN where there is no signal.
    atr, volatility, move : ndarray
        Average true range; one-day return deviation about zero; usual move over the horizon.
    win, loss : ndarray
        Payoff so far, in usual moves.
    measured : ndarray of bool
        Whether enough outcomes are known for win and loss to count costs.
    expected, fraction : ndarray
        p W - (1 - p) L and its Kelly fraction, both before costs; 0 without a signal.
    tail : ndarray
        One-day VaR of holding nothing else; 0 where no order could pay.
    """

    at: Positions
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    probability: Floats
    atr: Floats
    volatility: Floats
    move: Floats
    win: Floats
    loss: Floats
    measured: NDArray[np.bool_]
    expected: Floats
    fraction: Floats
    tail: Floats


class Rules(NamedTuple):
    """The settings of `KernelConfig` that can change a decision here, by the same names.

    Durations are in microseconds, `fee` is a fraction, `pool_limit` the largest notional that the
    pool bears, `base_unit` and `quote_unit` how many units make a token.
    """

    step: int
    latency: int
    holding: int
    cooldown: int
    stop_window: int
    max_stops: int
    low_profit_window: int
    low_profit_trades: int
    least_profit: float
    horizon: int
    window: int
    warm_up: int
    min_outcomes: int
    max_outcomes: int
    shrinkage: float
    kelly_cap: float
    min_notional: float
    pool_limit: float
    min_edge: float
    no_trade_band: float
    abstain_band: float
    rebalance_band: float
    stop_atr: float
    take_profit_ratio: float
    var_limit: float
    weight_limit: float
    volatility_limit: float
    slippage: float
    exit_slippage: float
    order_notional: float
    instrument_notional: float
    gross_notional: float
    daily_loss: float
    drawdown: float
    consecutive_losses: float
    slippage_ratio: float
    fee: float
    gas: float
    depth: float
    base_unit: float
    quote_unit: float
    bars_per_day: float
    cash: float
