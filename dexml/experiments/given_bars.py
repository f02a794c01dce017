"""Bars as a person at a notebook has them: frames, `Bars`, or a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.domain import PRICE_COLUMNS, Bars, Timeframe
from dexml.errors import DataError
from dexml.experiments.sources import recorded_market

__all__ = ["Given", "bars_of"]

Given = Mapping[str, "pd.DataFrame | Bars"] | str | Path


def bars_of(given: Given) -> dict[str, Bars]:
    """Return bars by instrument.

    Parameters
    ----------
    given : mapping of instrument to DataFrame or Bars, or path
        Frames have the columns open, high, low, close, volume and the close of each bar as index;
        a path is a file or a folder that `dexml import` understands.

    Raises
    ------
    DataError
        If a column is missing, a bar is unsound, or the steps are of no known timeframe.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01 01:00", periods=2, freq="h", tz="UTC")
    >>> frame = pd.DataFrame({name: [1.0, 1.0] for name in PRICE_COLUMNS}, hours)
    >>> str(bars_of({"BTC/USDT": frame})["BTC/USDT"].timeframe)
    '1h'
    """
    if isinstance(given, str | Path):
        return recorded_market((Path(given),), ())
    if not given:
        fix = 'Give {"BTC/USDT": frame}, or a folder.'
        raise DataError("bars", "must hold at least one instrument", "none", fix)
    return {name: _bars(name, one) for name, one in sorted(given.items())}


def _bars(name: str, given: pd.DataFrame | Bars) -> Bars:
    if isinstance(given, Bars):
        return given
    missing = [column for column in PRICE_COLUMNS if column not in given]
    if missing:
        fix = "Rename the columns of the frame."
        raise DataError(f"bars of {name}", f"must have {', '.join(missing)}", list(given), fix)
    if not isinstance(given.index, pd.DatetimeIndex):
        was, fix = type(given.index).__name__, "Set the close of each bar as the index."
        raise DataError(f"index of {name}", "must be a DatetimeIndex", was, fix)
    return Bars.from_frame(name, _timeframe(name, given.index), given)


def _timeframe(name: str, index: pd.DatetimeIndex) -> Timeframe:
    steps, counts = np.unique(np.diff(index.asi8.astype(np.int64)), return_counts=True)
    step = pd.Timedelta(0)
    if len(steps):
        step = pd.Timedelta(int(steps[np.argmax(counts)]), unit=index.unit)
    known = {frame.seconds: frame for frame in Timeframe}
    seconds = int(step.total_seconds())
    if seconds not in known:
        rule = f"must be {', '.join(map(str, Timeframe))} apart"
        raise DataError(f"bars of {name}", rule, step, "Resample them.")
    return known[seconds]
