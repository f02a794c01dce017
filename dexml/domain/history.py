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
    """

    bars: Mapping[str, Bars]
    news: pd.DataFrame = field(default_factory=empty_news)
    macro: pd.DataFrame = field(default_factory=empty_macro)
    venue_closes: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def timeframe(self) -> Timeframe:
        return next(iter(self.bars.values())).timeframe

    def until(self, instant: np.datetime64) -> History:
        """Return what was known at `instant`: closed bars, news and macro values by `known_at`."""
        aware = pd.Timestamp(instant, tz="UTC")
        return History(
            bars={name: bars.until(instant) for name, bars in self.bars.items()},
            news=self.news[self.news["known_at"] <= aware].reset_index(drop=True),
            macro=self.macro[self.macro["known_at"] <= aware].reset_index(drop=True),
            venue_closes={name: _until(one, aware) for name, one in self.venue_closes.items()},
        )


def _until(closes: pd.DataFrame, instant: pd.Timestamp) -> pd.DataFrame:
    n = int(pd.DatetimeIndex(closes.index).searchsorted(instant, side="right"))
    return closes if n == len(closes) else closes.iloc[:n]
