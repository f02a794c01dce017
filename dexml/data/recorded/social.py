"""Sentiment of social media as hourly or daily series, from whoever keeps one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

import pandas as pd

from dexml.clock import Clock, utc
from dexml.data.recorded.series_tables import parse_series
from dexml.data.recorded.tables import read_table
from dexml.data.sources.macro import MacroUpdate
from dexml.domain import MACRO_COLUMNS, SOCIAL
from dexml.errors import DataError

__all__ = ["RecordedSocial", "SocialSource"]


class SocialSource(Protocol):
    """Whatever gives a series of sentiment in [-1, 1]; its name begins with `social_`.

    A value is the mean over a period and is stored under the period's start; `known_at` is the
    period's END or later, because the last post in it may decide.
    """

    name: str
    series: tuple[str, ...]

    def fetch(self, since: datetime | None = None) -> MacroUpdate: ...


class RecordedSocial:
    """A recorded series, shown as far as it was known at the clock's present.

    Parameters
    ----------
    path : Path
        A CSV or parquet file; see `parse_series`.
    clock : Clock
    series : str, optional
        Name of the series, where the file does not tell.

    Raises
    ------
    DataError
        If the file is not understood, or holds no series of sentiment.
    """

    def __init__(self, path: Path, clock: Clock, series: str | None = None) -> None:
        parsed = parse_series(path, read_table(path), None, series)
        self._rows, self._clock = parsed.macro.sort_values("known_at"), clock
        self.name = str(parsed.macro["series"].iloc[0])
        if not self.name.startswith(SOCIAL):
            raise DataError(
                f"series of {path.name}",
                f"must have a name that begins with {SOCIAL}",
                self.name,
                "Name it so: by its name a series speaks of sentiment.",
            )
        self.series = (self.name,)

    def fetch(self, since: datetime | None = None) -> MacroUpdate:
        """Return the values that became known after `since` (None: all there are)."""
        now = utc(self._clock.now())
        known = self._rows[self._rows["known_at"] <= pd.Timestamp(now)]
        if since is not None:
            known = known[known["known_at"] > pd.Timestamp(utc(since))]
        rows = known[list(MACRO_COLUMNS)].reset_index(drop=True)
        return MacroUpdate(macro=rows, fetched_at={self.name: now}, failed={})
