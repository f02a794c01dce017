"""Everything known about a set of instruments: bars, news and macro values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dexml.domain.bars import Bars
from dexml.domain.words import Timeframe

NEWS_COLUMNS = ("published_at", "known_at", "source", "title", "instruments", "score")
MACRO_COLUMNS = ("series", "period_at", "known_at", "value")
REFUSED_COLUMNS = ("instrument", "exchange", "closed_at", "known_at", "reason")
SOCIAL = "social_"  # the names of series that speak of sentiment begin so


def empty_news() -> pd.DataFrame:
    """Return a news table without rows."""
    frame = pd.DataFrame({name: pd.Series(dtype="object") for name in NEWS_COLUMNS})
    for name in ("published_at", "known_at"):
        frame[name] = pd.Series(dtype="datetime64[ns, UTC]")
    frame["score"] = pd.Series(dtype="float64")
    return frame


def empty_macro() -> pd.DataFrame:
    """Return a macro table without rows."""
    frame = pd.DataFrame({"series": pd.Series(dtype="object"), "value": pd.Series(dtype="float64")})
    for name in ("period_at", "known_at"):
        frame[name] = pd.Series(dtype="datetime64[ns, UTC]")
    return frame[list(MACRO_COLUMNS)]


def empty_refused() -> pd.DataFrame:
    """Return a table of refused bars without rows."""
    frame = pd.DataFrame({name: pd.Series(dtype="object") for name in REFUSED_COLUMNS})
    for name in ("closed_at", "known_at"):
        frame[name] = pd.Series(dtype="datetime64[ns, UTC]")
    return frame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Everything known about a set of instruments up to some instant.

    Attributes
    ----------
    bars : mapping of instrument to Bars
        All of one timeframe.
    news : DataFrame
        Columns `NEWS_COLUMNS`: when a headline was published, from when it could be used, its
        source and title, the instruments it names separated by spaces ("" means the whole market),
        and its sentiment in [-1, 1] as scored when it came in.
    macro : DataFrame
        Columns `MACRO_COLUMNS`: series name, the period a value describes, the instant from which
        it is known, the value.
    venue_closes : mapping of instrument to DataFrame
        Index `closed_at` (UTC, ascending), a float64 column for each exchange: the close there, NaN
        where it had no bar. Instruments that only one source told of are absent.
    refused : DataFrame
        Columns `REFUSED_COLUMNS`: bars that an exchange sent and nobody believed, the instant from
        which that is known, and why. The true bar may have come later, and stand in `bars`.
    """

    bars: Mapping[str, Bars]
    news: pd.DataFrame = field(default_factory=empty_news)
    macro: pd.DataFrame = field(default_factory=empty_macro)
    venue_closes: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    refused: pd.DataFrame = field(default_factory=empty_refused)

    @property
    def timeframe(self) -> Timeframe:
        return next(iter(self.bars.values())).timeframe

    def until(self, instant: np.datetime64) -> History:
        """Return what was known at `instant`: closed bars, news and macro values by `known_at`."""
        aware = pd.Timestamp(instant, tz="UTC")
        return History(
            bars={name: bars.until(instant) for name, bars in self.bars.items()},
            news=_known(self.news, aware),
            macro=_known(self.macro, aware),
            venue_closes={name: _until(one, aware) for name, one in self.venue_closes.items()},
            refused=_known(self.refused, aware),
        )


def _known(rows: pd.DataFrame, instant: pd.Timestamp) -> pd.DataFrame:
    return rows[rows["known_at"] <= instant].reset_index(drop=True)


def _until(closes: pd.DataFrame, instant: pd.Timestamp) -> pd.DataFrame:
    n = int(pd.DatetimeIndex(closes.index).searchsorted(instant, side="right"))
    return closes if n == len(closes) else closes.iloc[:n]
