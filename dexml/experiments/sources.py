"""Where the bars of an experiment come from: recorded files, or the built-in planted market."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from dexml.clock import SystemClock
from dexml.data.recorded.imports import common_range, read_bars
from dexml.domain import Bar, Bars, History, check_instrument
from dexml.errors import DataError, UsageError
from dexml.simulation.market import INSTRUMENTS, MarketConfig, PlantedMarket, plant

__all__ = [
    "bar_sets",
    "load_history",
    "newest",
    "newest_closes",
    "plant_market",
    "recorded_bars",
    "recorded_market",
    "shared_bars",
]


def load_history(
    paths: tuple[Path, ...], symbols: tuple[str, ...], *, n_bars: int, seed: int
) -> History:
    """Return the newest `n_bars` that recorded files share or, with no paths, a planted market."""
    if paths:
        return History(bars=recorded_bars(paths, symbols, n_bars=n_bars))
    return plant_market(symbols, n_bars=n_bars, seed=seed, bayes_accuracy=0.70).history


def plant_market(
    symbols: tuple[str, ...], *, n_bars: int, seed: int, bayes_accuracy: float
) -> PlantedMarket:
    """Return a planted market of the given instruments (none: the default six)."""
    instruments = tuple(map(check_instrument, symbols)) or INSTRUMENTS
    return plant(
        MarketConfig(
            instruments=instruments, n_bars=n_bars, bayes_accuracy=bayes_accuracy, seed=seed
        )
    )


def recorded_bars(
    paths: tuple[Path, ...], symbols: tuple[str, ...], *, n_bars: int
) -> dict[str, Bars]:
    """Read recorded bars and keep the newest `n_bars` of the range that all instruments share.

    Raises
    ------
    UsageError
        If a wanted symbol is not among the files, or the common range is too short.
    """
    shared = shared_bars(paths, symbols)
    shortest = min(len(series) for series in shared.values())
    if shortest < n_bars:
        raise UsageError(
            "recorded bars",
            f"must have {n_bars} bars in common",
            shortest,
            f"Give --history {max(0, shortest - 100)} or fewer --cycles, or longer files.",
        )
    return newest(shared, n_bars)


def recorded_market(
    paths: tuple[Path, ...], symbols: tuple[str, ...], n_closes: int | None = None
) -> dict[str, Bars]:
    """Read recorded bars of the newest closes at which any instrument had one.

    Nothing is cut to what the instruments share: what was listed late or delisted stays, with the
    bars that it had. One that had none at these closes is left out.

    Parameters
    ----------
    n_closes : int, optional
        How many; all unless given.

    Raises
    ------
    UsageError
        If a wanted symbol is not among the files, or there are fewer closes.
    DataError
        If a file cannot be used, or the instruments are of several timeframes.
    """
    bars = _wanted(paths, symbols)
    if n_closes is None:
        return bars
    closes = np.unique(np.concatenate([series.closed_at for series in bars.values()]))
    if len(closes) < n_closes:
        fix = f"Give --history {len(closes)} or fewer, or longer files."
        raise UsageError("recorded bars", f"must have {n_closes} closes", len(closes), fix)
    return newest_closes(bars, n_closes)


def newest_closes(bars: Mapping[str, Bars], n_closes: int) -> dict[str, Bars]:
    """Return what instruments had at the newest closes at which any of them had a bar."""
    closes = np.unique(np.concatenate([series.closed_at for series in bars.values()]))
    first = closes[-min(n_closes, len(closes))]
    cut = {
        name: series.take(slice(int(np.searchsorted(series.closed_at, first)), None))
        for name, series in bars.items()
    }
    return {name: series for name, series in cut.items() if len(series)}


def shared_bars(paths: tuple[Path, ...], symbols: tuple[str, ...]) -> dict[str, Bars]:
    """Read recorded bars of the wanted symbols (none: all) in the range that all of them share.

    Raises
    ------
    UsageError
        If a wanted symbol is not among the files.
    DataError
        If a file cannot be used, or the instruments share no time or no timeframe.
    """
    return common_range(_wanted(paths, symbols))


def _wanted(paths: tuple[Path, ...], symbols: tuple[str, ...]) -> dict[str, Bars]:
    bars = read_bars(paths, SystemClock().now())
    missing = [name for name in symbols if name not in bars]
    if missing:
        raise UsageError(
            "--symbols",
            f"must be among {', '.join(sorted(bars))}",
            ", ".join(missing),
            "Give the file of each instrument with --bars.",
        )
    wanted = {name: bars[name] for name in symbols or sorted(bars)}
    frames = {series.timeframe: name for name, series in wanted.items()}
    if len(frames) > 1:
        raise DataError(
            "recorded bars",
            "must be of one timeframe",
            ", ".join(f"{name} {frame}" for frame, name in frames.items()),
            "Name the files of one of them with --bars.",
        )
    return {name: series for name, series in wanted.items() if len(series)}


def newest(bars: Mapping[str, Bars], n_bars: int) -> dict[str, Bars]:
    """Return the newest `n_bars` of each instrument."""
    return {
        name: series.take(slice(max(0, len(series) - n_bars), None))
        for name, series in bars.items()
    }


def bar_sets(bars: Mapping[str, Bars], n_last: int) -> list[tuple[Bar, ...]]:
    """Return the bars of the newest `n_last` closes, oldest first, those of one close together."""
    by_close: dict[datetime, list[Bar]] = {}
    for name in sorted(bars):
        series = bars[name]
        for row in range(max(0, len(series) - n_last), len(series)):
            bar = series.bar(row)
            by_close.setdefault(bar.closed_at, []).append(bar)
    return [tuple(by_close[close]) for close in sorted(by_close)[-n_last:]]
