"""How many independent trials correlated ones are, and what is left of the best when they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.spatial.distance import cdist, pdist

from dexml.errors import DataError
from dexml.validation.inputs import Floats, Positions, finite_table
from dexml.validation.significance import deflated_sharpe_ratio, sharpe_moments

__all__ = ["Deflation", "cluster_trials", "deflate", "silhouettes"]

MOST_COUNTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflation:
    """The probability of an edge, by two counts of the trials.

    Attributes
    ----------
    sharpe : float
        Of the chosen trial, per bar.
    raw, effective : float
        Deflated by all trials, and by their clusters. The verdict is `raw`.
    n_trials, n_effective : int
    variance, effective_variance : float
        Of the Sharpe ratios of the trials, and of the clusters' portfolios; 0 for a single one.
    """

    sharpe: float
    raw: float
    effective: float
    n_trials: int
    n_effective: int
    variance: float
    effective_variance: float


def deflate(returns: Any, chosen: int) -> Deflation:
    """Deflate the Sharpe ratio of one trial by all that were run.

    Parameters
    ----------
    returns : array-like or DataFrame of shape (n_bars, n_trials)
        Per bar, of every trial. No NaN; a trial that never traded has zeros.
    chosen : int
        Column of the trial that is believed in.

    Raises
    ------
    DataError
        If the returns are not a finite table or the chosen trial is not in it or never moved.

    References
    ----------
    Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio; Lopez de Prado and Lewis (2019),
    Detection of False Investment Strategies Using Unsupervised Learning Methods.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(500, 20))
    >>> best = int(np.argmax(noise.mean(axis=0) / noise.std(axis=0)))
    >>> deflate(noise, best).raw < 0.95
    True
    """
    table = finite_table("returns", returns)
    if not 0 <= chosen < table.shape[1]:
        raise DataError(
            "chosen", f"must be a column, 0..{table.shape[1] - 1}", chosen, "Count from 0."
        )
    labels = cluster_trials(_correlation(table))
    portfolios = [_portfolio(table[:, labels == label]) for label in np.unique(labels)]
    variance = _spread(table.T)
    effective_variance = _spread(portfolios)
    moments = sharpe_moments(table[:, chosen])
    raw, effective = (
        deflated_sharpe_ratio(
            moments.sharpe, moments.n, count, spread, moments.skewness, moments.kurtosis
        )
        for count, spread in ((table.shape[1], variance), (len(portfolios), effective_variance))
    )
    return Deflation(
        sharpe=moments.sharpe,
        raw=raw,
        effective=effective,
        n_trials=table.shape[1],
        n_effective=len(portfolios),
        variance=variance,
        effective_variance=effective_variance,
    )


def cluster_trials(correlation: Any) -> Positions:
    """Return the cluster of each trial, shape (n_trials,), numbered by first appearance.

    Parameters
    ----------
    correlation : array-like, shape (n_trials, n_trials)
        Of the trials' returns.

    Notes
    -----
    K-means on the rows of sqrt((1 - rho) / 2) for each of up to 60 counts, the best by mean
    silhouette over its deviation, as in the paper. Two things differ: each k-means starts from
    Ward's tree and not at random, so the answer has no seed; and clusters below average are not
    clustered again, for from that start it only made planted families worse. Fewer than three
    trials count as they are, unless they are the same.

    Raises
    ------
    DataError
        If it is not a correlation matrix.

    References
    ----------
    Lopez de Prado and Lewis (2019), as in `deflate`.

    Examples
    --------
    >>> twins = np.kron(np.eye(3), np.full((4, 4), 0.9)) + 0.1 * np.eye(12)
    >>> cluster_trials(twins).tolist()
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    """
    matrix = finite_table("correlation", correlation, least=1)
    same = matrix.shape[0] == matrix.shape[1] and np.allclose(matrix, matrix.T, atol=1e-9)
    if not same or np.abs(matrix).max() > 1 + 1e-9 or not np.allclose(np.diag(matrix), 1.0):
        raise DataError(
            "correlation",
            "must be symmetric, within [-1, 1] and 1 on its diagonal",
            matrix.shape,
            "Give the correlations of the trials' returns.",
        )
    features = np.sqrt(np.clip((1.0 - matrix) / 2.0, 0.0, 1.0))
    labels = _clusters(features)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)]


def silhouettes(features: Floats, labels: Positions) -> Floats:
    """Return how much nearer each row is to its own cluster than to the next, shape (n,).

    Notes
    -----
    (b - a) / max(a, b), with a and b the mean Euclidean distances to the own cluster and to the
    nearest other; 0 for a cluster of one.

    References
    ----------
    Rousseeuw (1987), Silhouettes.

    Examples
    --------
    >>> silhouettes(np.array([[0.0], [1.0], [9.0], [10.0]]), np.array([0, 0, 1, 1])).round(3)
    array([0.895, 0.882, 0.882, 0.895])
    """
    member = (labels[:, None] == np.unique(labels)[None, :]).astype(np.float64)
    totals, sizes = cdist(features, features) @ member, member.sum(axis=0)
    own = member.astype(bool)
    size = member @ sizes
    inner = totals[own] / np.maximum(size - 1, 1)
    outer = np.where(own, np.inf, totals / sizes).min(axis=1)
    scale = np.maximum(inner, outer)
    return np.where((size > 1) & (scale > 0), (outer - inner) / np.where(scale > 0, scale, 1), 0.0)


def _clusters(features: Floats) -> Positions:
    n, n_distinct = len(features), len(np.unique(features.round(9), axis=0))
    best = np.arange(n) if n_distinct > 1 else np.zeros(n, dtype=np.int64)
    most = min(n - 1, n_distinct)
    if most < 2:
        return best
    quality, tree = -np.inf, linkage(pdist(features), "ward")
    for n_clusters in np.unique(np.geomspace(2, most, MOST_COUNTS).round().astype(np.int64)):
        labels = _kmeans(features, fcluster(tree, n_clusters, "maxclust") - 1)
        reached = _quality(silhouettes(features, labels))
        if reached > quality:
            best, quality = labels, reached
    return best


def _kmeans(features: Floats, start: Positions) -> Positions:
    centres = np.array([features[start == label].mean(axis=0) for label in range(start.max() + 1)])
    try:
        _, labels = kmeans2(features, centres, minit="matrix", missing="raise")
    except ClusterError:  # a cluster ran empty, so it was none
        return start
    return np.asarray(labels, dtype=np.int64)


def _quality(silhouette: Floats) -> float:
    deviation = float(np.std(silhouette))
    return float(np.mean(silhouette)) / max(deviation, 1e-9)


# A trial that never moved is like no other.
def _correlation(table: Floats) -> Floats:
    centred = table - table.mean(axis=0)
    scale = np.sqrt(np.sum(centred * centred, axis=0))
    moving = scale > 1e-15 * np.abs(table).max()
    unit = np.where(moving, centred / np.where(moving, scale, 1.0), 0.0)
    matrix = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return np.asarray(matrix, dtype=np.float64)


# Weights inverse to the variance, as in the paper; one that never moved has nothing to add.
def _portfolio(columns: Floats) -> Floats:
    variances = columns.var(axis=0, ddof=1)
    weights = np.divide(1.0, variances, out=np.zeros_like(variances), where=variances > 0)
    return np.asarray(columns @ (weights / max(weights.sum(), 1e-300)), dtype=np.float64)


def _spread(series: Sequence[Floats] | Floats) -> float:
    ratios = [sharpe_moments(one).sharpe if np.ptp(one) > 0 else 0.0 for one in series]
    return float(np.var(ratios, ddof=1)) if len(ratios) > 1 else 0.0
