"""Simulated histories in machine code: blocks of the past, and GARCH price paths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dexml.validation.fast.compiled import compiled
from dexml.validation.inputs import Floats, Positions

__all__ = ["garch_paths", "resampled_paths"]

Word = NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
UNIT = 1.0 / 9007199254740992.0  # 2^-53


# SplitMix64 (Steele, Lea and Flood 2014): each simulation has a stream of its own, by its number.
@compiled
def _uniform(state: Word) -> float:
    state[0] += GOLDEN
    word = state[0]
    word = (word ^ (word >> S30)) * MIX_1
    word = (word ^ (word >> S27)) * MIX_2
    return float(((word ^ (word >> S31)) >> S11) * UNIT)


@compiled
def _begin(state: Word, seed: int, number: int) -> None:
    state[0] = np.uint64(seed) * MIX_1 + np.uint64(number) * MIX_2
    for _ in range(4):
        state[0] = np.uint64(_uniform(state) * 9007199254740992.0) * GOLDEN + np.uint64(number)


@compiled
def resampled_paths(
    returns: Floats, block: float, seed: int, first: int, rows: Positions, figures: Floats
) -> None:
    """Compound stationary resamples of simple returns; see `montecarlo.simulate_returns`.

    Parameters
    ----------
    returns : ndarray of shape (n,)
    block : float
        Mean length of a block, at least 1; a huge one keeps the order.
    first : int
        Number of the first simulation.
    rows : ndarray of int64, shape (n_points,)
        Bars after which the equity is written down, ascending.
    figures : ndarray of shape (n_simulations, 4 + n_points)
        Written: mean, deviation, deepest fall, final equity, and the equity at each point.
    """
    n, state = len(returns), np.empty(1, dtype=np.uint64)
    stay = np.log1p(-1.0 / block) if block > 1 else 0.0
    for number in range(len(figures)):
        _begin(state, seed, first + number)
        total, squares, equity, peak, kept, point = 0.0, 0.0, 1.0, 1.0, 1.0, 0
        t = 0
        while t < n:
            row, length = int(_uniform(state) * n), 1
            if block > 1:  # geometric, by its inverse
                length = 1 + int(min(np.log1p(-_uniform(state)) / stay, n))
            end = min(t + length, n)
            while t < end:
                stop = min(end, t + n - row)
                if point < len(rows):
                    stop = min(stop, rows[point])
                for one in returns[row : row + stop - t]:
                    total += one
                    squares += one * one
                    equity *= 1.0 + one
                    peak = max(peak, equity)
                    kept = min(kept, equity / peak)
                row += stop - t
                t = stop
                row = 0 if row == n else row
                if point < len(rows) and t == rows[point]:
                    figures[number, 4 + point] = equity
                    point += 1
        mean = total / n
        figures[number, 0] = mean
        figures[number, 1] = np.sqrt(max(0.0, squares - n * mean * mean) / max(1, n - 1))
        figures[number, 2] = 1.0 - kept
        figures[number, 3] = equity


@compiled
def garch_paths(
    parameters: Floats, shocks: Floats, seed: int, first: int, rows: Positions, figures: Floats
) -> None:
    """Compound paths of a GARCH(1,1); see `montecarlo.simulate_garch`.

    Parameters
    ----------
    parameters : ndarray of shape (5,)
        Mean, omega, alpha, beta, and the variance of the first bar.
    shocks : ndarray of shape (n_shocks,)
        Standardised moves that are drawn with replacement.
    rows, figures
        As in `resampled_paths`; the last of `rows` is the length.
    """
    mean, omega, alpha, beta, start = parameters
    state = np.empty(1, dtype=np.uint64)
    for number in range(len(figures)):
        _begin(state, seed, first + number)
        total, squares, equity, peak, kept, point = 0.0, 0.0, 1.0, 1.0, 1.0, 0
        variance = start
        for t in range(rows[-1]):
            move = np.sqrt(variance) * shocks[int(_uniform(state) * len(shocks))]
            variance = omega + alpha * move * move + beta * variance
            one = max(-1.0, mean + move)
            total += one
            squares += one * one
            equity *= 1.0 + one
            peak = max(peak, equity)
            kept = min(kept, equity / peak)
            if t + 1 == rows[point]:
                figures[number, 4 + point] = equity
                point += 1
        n = rows[-1]
        figures[number, 0] = total / n
        deviation = max(0.0, squares - total * total / n) / max(1, n - 1)
        figures[number, 1] = np.sqrt(deviation)
        figures[number, 2] = 1.0 - kept
        figures[number, 3] = equity
