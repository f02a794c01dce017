"""The probability that the best configuration was chosen by luck, by symmetric cross-validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import rankdata

from dexml.errors import DataError
from dexml.validation.inputs import Floats, finite_table

__all__ = ["LEAST_CONFIGURATIONS", "Overfitting", "probability_of_overfitting"]

LEAST_CONFIGURATIONS = 10
MOST_BLOCKS = 20
CELLS_AT_ONCE = 1_000_000
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overfitting:
    """How the best configuration of one half of the history did in the other.

    Attributes
    ----------
    probability : float or None
        Share of the halvings whose winner was at best median in the other half (PBO).
    reason : str or None
        Why there is no probability.
    probability_of_loss : float or None
        Share of the halvings whose winner lost money in the other half.
    degradation : float or None
        Slope of the winners' Sharpe ratios in the other half on those that made them win; below 0
        the better they looked, the worse they did.
    logits : ndarray, shape (n_halvings,)
        Log-odds of the winner's relative rank in the other half.
    n_configurations : int
    """

    probability: float | None
    reason: str | None
    probability_of_loss: float | None
    degradation: float | None
    logits: Floats
    n_configurations: int


def probability_of_overfitting(returns: Any, n_blocks: int = 16) -> Overfitting:
    """Judge the choice among configurations by every way to halve their common history.

    Parameters
    ----------
    returns : array-like or DataFrame of shape (n_bars, n_configurations)
        Per bar, oldest first, of every configuration that was tried. No NaN; a configuration that
        never traded has zeros, and a Sharpe ratio of 0.
    n_blocks : int
        Even, 4 to 20: halves are made of these contiguous blocks.

    Notes
    -----
    Combinatorially symmetric cross-validation with the Sharpe ratio. The relative rank of the
    winner is rank / (n + 1); ties share the mean, in the ranks and among winners. Below 10
    configurations nothing is said.

    Raises
    ------
    DataError
        If the returns are not a finite table, or a block would have fewer than two bars.

    References
    ----------
    Bailey, Borwein, Lopez de Prado and Zhu (2017), The Probability of Backtest Overfitting.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(640, 50))
    >>> noise[:, 7] += 0.5  # one of them has an edge
    >>> probability_of_overfitting(noise).probability
    0.0
    >>> probability_of_overfitting(noise[:, :9]).reason
    'needs 10 configurations, was 9'
    """
    table = finite_table("returns", returns)
    _check_blocks(n_blocks, len(table))
    n = table.shape[1]
    if n < LEAST_CONFIGURATIONS:
        return _unsaid(f"needs {LEAST_CONFIGURATIONS} configurations, was {n}", n)
    parts = [_winners(half, other) for half, other in _halves(table, n_blocks)]
    relative, looked, did = (np.concatenate(part) for part in zip(*parts, strict=True))
    logits = np.log(relative / (1 - relative))
    return Overfitting(
        probability=float(np.mean(logits <= ROUNDING)),
        reason=None,
        probability_of_loss=float(np.mean(did < 0)),
        degradation=_slope(looked, did),
        logits=logits,
        n_configurations=n,
    )


def _unsaid(reason: str, n_configurations: int) -> Overfitting:
    return Overfitting(
        probability=None,
        reason=reason,
        probability_of_loss=None,
        degradation=None,
        logits=np.empty(0),
        n_configurations=n_configurations,
    )


def _check_blocks(n_blocks: int, n_bars: int) -> None:
    if n_blocks % 2 or not 4 <= n_blocks <= MOST_BLOCKS:
        raise DataError(
            "n_blocks", f"must be even and in 4..{MOST_BLOCKS}", n_blocks, "16 is usual."
        )
    if n_bars < 2 * n_blocks:
        raise DataError(
            "returns", f"must hold {2 * n_blocks} bars", n_bars, "Use fewer blocks or more bars."
        )


# Sharpe ratios of each configuration in the first and in the second half, some halvings at a time.
def _halves(table: Floats, n_blocks: int) -> Iterator[tuple[Floats, Floats]]:
    edges = np.linspace(0, len(table), n_blocks + 1).astype(np.int64)[:-1]
    mean = table.mean(axis=0)
    centred = table - mean  # squares of what is far from 0 would lose their digits
    sums = np.add.reduceat(centred, edges, axis=0)
    squares = np.add.reduceat(centred * centred, edges, axis=0)
    counts = np.diff(edges, append=len(table)).astype(np.float64)
    picks = np.array(list(combinations(range(n_blocks), n_blocks // 2)))
    for some in np.array_split(picks, -(-picks.shape[0] * table.shape[1] // CELLS_AT_ONCE)):
        first = np.zeros((len(some), n_blocks))
        np.put_along_axis(first, some, 1.0, axis=1)
        one, other = (
            _sharpe(half @ sums, half @ squares, (half @ counts)[:, None], mean)
            for half in (first, 1.0 - first)
        )
        yield one, other


# Of each halving: the winner's relative rank in the other half, and its ratios in both. Winners
# that tie are averaged, else the order of the columns would choose.
def _winners(half: Floats, other: Floats) -> tuple[Floats, Floats, Floats]:
    best = half.max(axis=1, keepdims=True)
    share = (half == best) / np.count_nonzero(half == best, axis=1)[:, None]
    ranks = rankdata(other, axis=1) / (other.shape[1] + 1)
    return (share * ranks).sum(axis=1), best[:, 0], (share * other).sum(axis=1)


def _sharpe(sums: Floats, squares: Floats, counts: Floats, mean: Floats) -> Floats:
    shift = sums / counts
    deviations = squares - sums * shift
    still = deviations <= 1e-12 * squares  # flat in this half: what is left is rounding
    ratio = (mean + shift) / np.sqrt(np.where(still, 1.0, deviations / (counts - 1)))
    return np.where(still, 0.0, ratio)


def _slope(x: Floats, y: Floats) -> float | None:
    spread = x - x.mean()
    scale = float(spread @ spread)
    return float(spread @ y) / scale if scale > 0 else None
