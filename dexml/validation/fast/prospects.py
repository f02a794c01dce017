"""What each close of an instrument promises, whatever is held: ranges, payoffs, tails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dexml.validation.fast.compiled import compiled
from dexml.validation.fast.words import Market, Rules
from dexml.validation.inputs import Floats, Positions

__all__ = ["prospects_of"]

ATR_BARS, LONG_DAYS, DECAY, NORMAL_95 = 14, 60, 0.97, 1.6448536269514722
REFRESH = 512  # a running sum is made anew so often, or its rounding would grow with the history


def prospects_of(at: Positions, prices: Floats, probability: Floats, rules: Rules) -> Market:
    """Return one instrument as the decision pass reads it.

    Parameters
    ----------
    at : ndarray of int64, shape (n_bars,)
        Closes, in microseconds since 1970.
    prices : ndarray of shape (4, n_bars)
        Open, high, low and close.
    probability : ndarray of shape (n_bars,)
        NaN where there is no signal.
    rules : Rules
    """
    prices, probability = np.ascontiguousarray(prices), np.ascontiguousarray(probability)
    _, high, low, close = prices
    volatility, move = _sizes(close, rules)
    outcomes = _outcomes(at, close, probability, move, rules)
    win, loss, measured = _odds(outcomes, rules)
    chance = np.where(np.isnan(probability), 0.5, probability)
    gross_win, gross_loss = win * move, loss * move
    expected = chance * gross_win - (1 - chance) * gross_loss
    kelly = np.divide(expected, gross_win, out=np.zeros_like(expected), where=gross_win > 0)
    least = 1 - (1 - rules.fee) ** 2 + rules.min_edge - 1e-9
    could = ~np.isnan(probability) & (expected >= least) & (np.arange(len(at)) >= rules.warm_up)
    return Market(
        at=at,
        open=prices[0],
        high=high,
        low=low,
        close=close,
        probability=probability,
        atr=_ranges(high, low, close),
        volatility=volatility,
        move=move,
        win=win,
        loss=loss,
        measured=measured,
        expected=expected,
        fraction=np.clip(kelly, 0.0, rules.kelly_cap),
        tail=_tails(close, could, rules),
    )


@compiled
def _ranges(high: Floats, low: Floats, close: Floats) -> Floats:
    atr = np.empty(len(close))
    atr[0] = high[0] - low[0]
    for t in range(1, len(close)):
        true_range = max(high[t], close[t - 1]) - min(low[t], close[t - 1])
        atr[t] = atr[t - 1] + (true_range - atr[t - 1]) / min(t + 1, ATR_BARS)
    return atr


@compiled
def _sizes(close: Floats, rules: Rules) -> tuple[Floats, Floats]:
    volatility, move = np.zeros(len(close)), np.zeros(len(close))
    squares = total = 0.0
    returns = np.empty(len(close))
    for t in range(1, len(close)):
        returns[t] = close[t] / close[t - 1] - 1
        squares, total = squares + returns[t] ** 2, total + abs(returns[t])
        first = max(1, t - rules.window + 1)
        if t > rules.window:
            left = returns[first - 1]
            squares, total = squares - left * left, total - abs(left)
        if t % REFRESH == 0:
            squares, total = 0.0, 0.0
            for row in range(first, t + 1):
                squares, total = squares + returns[row] ** 2, total + abs(returns[row])
        n = t - first + 1
        volatility[t] = np.sqrt(max(0.0, squares) / n * rules.bars_per_day)
        move[t] = max(0.0, total) / n * np.sqrt(rules.horizon)
    return volatility, move


# The outcome that falls due at each close, in usual moves; NaN where none does.
@compiled
def _outcomes(
    at: Positions, close: Floats, probability: Floats, move: Floats, rules: Rules
) -> Floats:
    outcomes = np.full(len(at), np.nan)
    asked = 0
    for t in range(len(at)):
        due = at[t] - rules.horizon * rules.step
        while at[asked] < due:
            asked += 1
        if at[asked] == due and move[asked] > 0 and not np.isnan(probability[asked]):
            outcomes[t] = (close[t] / close[asked] - 1) / move[asked]
    return outcomes


@compiled
def _odds(outcomes: Floats, rules: Rules) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    n = len(outcomes)
    win, loss, measured = np.ones(n), np.ones(n), np.zeros(n, dtype=np.bool_)
    known, n_known = np.empty(n), 0
    sums, counts = np.zeros(2), np.zeros(2)
    for t in range(n):
        if not np.isnan(outcomes[t]):
            known[n_known] = outcomes[t]
            n_known += 1
            _count(outcomes[t], 1.0, sums, counts)
            if n_known > rules.max_outcomes:
                _count(known[n_known - rules.max_outcomes - 1], -1.0, sums, counts)
            if n_known % REFRESH == 0:
                sums[:], counts[:] = 0.0, 0.0
                for row in range(max(0, n_known - rules.max_outcomes), n_known):
                    _count(known[row], 1.0, sums, counts)
        n_kept = min(n_known, rules.max_outcomes)
        measured[t] = n_kept >= rules.min_outcomes
        if measured[t] and counts[0] > 0 and counts[1] > 0:
            win[t], loss[t] = _payoff(n_kept, sums, counts, rules)
    return win, loss, measured


@compiled
def _count(outcome: float, sign: float, sums: Floats, counts: Floats) -> None:
    if outcome > 0:
        sums[0] += sign * outcome
        counts[0] += sign
    elif outcome < 0:
        sums[1] -= sign * outcome
        counts[1] += sign


@compiled
def _payoff(n: int, sums: Floats, counts: Floats, rules: Rules) -> tuple[float, float]:
    weight = n / (n + rules.shrinkage)
    win, loss = sums[0] / counts[0], sums[1] / counts[1]
    middle = (win + loss) / 2
    base_rate = 0.5 + weight * (counts[0] / (counts[0] + counts[1]) - 0.5)
    win, loss = middle + weight * (win - middle), middle + weight * (loss - middle)
    return win, max(loss, win * base_rate / (1 - base_rate))


@compiled
def _tails(close: Floats, could: NDArray[np.bool_], rules: Rules) -> Floats:
    tails = np.zeros(len(close))
    returns = np.zeros(len(close))
    returns[1:] = close[1:] / close[:-1] - 1
    for t in range(len(close)):
        if could[t]:
            tails[t] = _tail(returns[max(1, t - rules.window + 1) : t + 1], rules)
    return tails


@compiled
def _tail(returns: Floats, rules: Rules) -> float:
    holding = max(1, int(np.rint(rules.bars_per_day)))
    of_bars = holding > 1 and len(returns) < LONG_DAYS * holding
    length = 1 if of_bars else holding
    shocks = np.empty(len(returns) - length + 1)
    variance, total = np.mean(returns * returns), 0.0
    for t in range(length):
        total += returns[t] if t < length - 1 else 0.0
    for t in range(len(returns)):
        if t < len(shocks):
            total += returns[t + length - 1]
            shocks[t] = total / np.sqrt(variance) if variance > 0 else 0.0
            total -= returns[t]
        variance = DECAY * variance + (1 - DECAY) * returns[t] * returns[t]
    beyond = max(1, int(len(shocks) * (1 - 0.95) + 1e-9))
    worst = max(0.0, -np.partition(shocks, beyond - 1)[beyond - 1])
    if of_bars:
        return float(max(worst, NORMAL_95) * np.sqrt(variance * rules.bars_per_day))
    return float(worst * np.sqrt(variance))
