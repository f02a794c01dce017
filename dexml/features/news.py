"""Headlines as of each close: mean, count, decay-weighted mean, dispersion over four windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Timeframe

__all__ = [
    "HOUR_NS",
    "NEWS_WINDOWS",
    "PRIOR",
    "SAME_STORY",
    "half_life_ns",
    "moments",
    "naming",
    "nanoseconds",
    "news_features",
    "once",
    "whole",
]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

HOUR_NS = 3_600_000_000_000
NEWS_WINDOWS = {"1h": 1, "6h": 6, "24h": 24, "7d": 168}
SAME_STORY = pd.Timedelta(hours=6)
_SCALE = 1_000_000
PRIOR = 1.0


def once(news: pd.DataFrame) -> pd.DataFrame:
    """Drop headlines that repeat one known less than six hours before, in the order of `known_at`.

    Two titles are the same if they differ only in case and white space.

    Examples
    --------
    >>> at = pd.to_datetime(["2024-01-01T00:00Z", "2024-01-01T01:00Z", "2024-01-02T00:00Z"])
    >>> titles = ["Bitcoin up", "BITCOIN  up", "Bitcoin up"]
    >>> len(once(pd.DataFrame({"title": titles, "known_at": at, "published_at": at})))
    2
    """
    ordered = news.sort_values(["known_at", "published_at", "title"], kind="stable")
    title = ordered["title"].str.casefold().str.split().str.join(" ")
    since = ordered["known_at"].groupby(title, sort=False).diff()
    return ordered[~(since < SAME_STORY)]


def naming(news: pd.DataFrame, instruments: Iterable[str]) -> pd.DataFrame:
    """Return the headlines that name at least one of some instruments."""
    if not len(news):
        return news
    known = set(instruments)
    names = {text: not known.isdisjoint(text.split()) for text in news["instruments"].unique()}
    return news[news["instruments"].map(names).astype(bool)]


def news_features(
    news: pd.DataFrame, instrument: str | None, closed_at: Times, timeframe: Timeframe
) -> dict[str, Floats]:
    r"""Aggregate the headlines known at each close.

    Parameters
    ----------
    news : DataFrame
        Columns `NEWS_COLUMNS`, repeated headlines already dropped by `once`.
    instrument : str or None
        Take the headlines that name it; None takes all headlines.
    closed_at : ndarray of datetime64[ns], shape (n_bars,)
        Strictly increasing.
    timeframe : Timeframe
        Grid on which older headlines are decayed.

    Returns
    -------
    dict of str to ndarray, shape (n_bars,)
        `{mean,count,decay,dispersion}_{1h,6h,24h,7d}`. A mean of no headlines, and the dispersion
        of fewer than two, is NaN.

    Notes
    -----
    decay is :math:`\sum_j w_j s_j / (1 + \sum_j w_j)` with half-life a quarter of the window:
    one imaginary neutral headline pulls the mean of few or old ones towards zero.
    """
    rows = _rows(news, instrument)
    stamps = closed_at.astype("datetime64[ns]").astype(np.int64)
    out: dict[str, Floats] = {}
    for name, hours in NEWS_WINDOWS.items():
        out |= {f"{key}_{name}": v for key, v in _moments(rows, stamps, hours).items()}
        out[f"decay_{name}"] = _decayed_mean(rows, stamps, hours, timeframe.seconds * 10**9)
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    known: NDArray[np.int64]  # nanoseconds, not decreasing
    score: Floats


def _rows(news: pd.DataFrame, instrument: str | None) -> _Rows:
    if instrument is not None:
        named = {text: instrument in text.split() for text in news["instruments"].unique()}
        news = news[news["instruments"].map(named).astype(bool)]
    return _Rows(
        known=nanoseconds(news["known_at"]),
        score=np.ascontiguousarray(news["score"].to_numpy(dtype=np.float64)),
    )


def nanoseconds(stamps: pd.Series[pd.Timestamp]) -> NDArray[np.int64]:
    """Return aware stamps as nanoseconds since the epoch, UTC."""
    return stamps.to_numpy(dtype="datetime64[ns]").astype(np.int64)


def half_life_ns(hours: int) -> float:
    """Return the half-life of headlines in a window: a quarter of it."""
    return hours * HOUR_NS / 4.0


# Running totals of integers are exact, so a window's sum does not depend on what came before it.
def _moments(rows: _Rows, stamps: NDArray[np.int64], hours: int) -> dict[str, Floats]:
    scaled = whole(rows.score)
    first = np.searchsorted(rows.known, stamps - hours * HOUR_NS, side="right")
    last = np.searchsorted(rows.known, stamps, side="right")
    total, squares = (
        (
            np.concatenate([[0], np.cumsum(part)])[last]
            - np.concatenate([[0], np.cumsum(part)])[first]
        )
        for part in (scaled, scaled * scaled)
    )
    return moments(last - first, total, squares)


def whole(score: Floats) -> NDArray[np.int64]:
    """Return scores in millionths."""
    return np.rint(score * _SCALE).astype(np.int64)


def moments(
    n: NDArray[np.int64], total: NDArray[np.int64], squares: NDArray[np.int64]
) -> dict[str, Floats]:
    """Return mean, count and dispersion of headlines from the sums of their whole scores."""
    count = n.astype(np.float64)
    safe = np.maximum(count, 1.0)
    mean = total / _SCALE / safe
    variance = np.maximum(squares / float(_SCALE) ** 2 / safe - mean * mean, 0.0)
    return {
        "mean": np.where(count > 0, mean, np.nan),
        "count": count,
        "dispersion": np.where(count > 1, np.sqrt(variance), np.nan),
    }


def _decayed_mean(rows: _Rows, stamps: NDArray[np.int64], hours: int, step_ns: int) -> Floats:
    n_steps = max(hours * HOUR_NS // step_ns, 1)
    grid = np.arange(stamps[0] - n_steps * step_ns, stamps[-1] + step_ns, step_ns)
    cell = np.searchsorted(grid, rows.known, side="left")
    inside = (cell > 0) & (cell < len(grid))
    cell, known, score = cell[inside], rows.known[inside], rows.score[inside]
    weight = np.exp2(-(grid[cell] - known) / half_life_ns(hours))
    top, bottom = (
        _decayed_sum(
            np.bincount(cell, weights=part, minlength=len(grid)).astype(np.float64),
            n_steps,
            step_ns / half_life_ns(hours),
        )
        for part in (weight * score, weight)
    )
    at = np.searchsorted(grid, stamps, side="right") - 1
    return (top / (bottom + PRIOR))[at]


# Newest cell first, one after the other: the order in which a live panel adds them too.
def _decayed_sum(cells: Floats, n_steps: int, half_lives: float) -> Floats:
    total = cells.copy()
    for k in range(1, min(n_steps, len(cells))):
        total[k:] += cells[:-k] * 0.5 ** (k * half_lives)
    return total
