"""An instrument's bars over several exchanges, made again only from where something is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dexml.data.consolidation import BASIS_WINDOW, closes_by_venue, consolidate
from dexml.domain import PRICE_COLUMNS, Bars

__all__ = ["Joined"]

_COLUMNS = ("closed_at", *PRICE_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joined:
    """What exchanges agree on, and the close at each.

    Attributes
    ----------
    parts : mapping of exchange to Bars
    quotes : mapping of exchange to str
        As `consolidate` takes them.
    bars : Bars
        `consolidate(parts, quotes)`.
    closes : DataFrame
        `closes_by_venue(parts)`.

    Examples
    --------
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> bars = plant(MarketConfig(n_bars=100)).history.bars["BTC/USDT"]
    >>> joined = Joined.of({"a": bars.take(slice(0, 99)), "b": bars.take(slice(0, 98))}, {})
    >>> joined = joined.followed_by({"a": bars, "b": bars}, {})
    >>> joined.bars.frame().equals(consolidate({"a": bars, "b": bars}).frame())
    True
    """

    parts: Mapping[str, Bars]
    quotes: Mapping[str, str]
    bars: Bars
    closes: pd.DataFrame

    @classmethod
    def of(cls, parts: Mapping[str, Bars], quotes: Mapping[str, str]) -> Joined:
        """Join from the first bar on."""
        bars, closes = consolidate(parts, quotes), closes_by_venue(parts)
        return cls(parts=parts, quotes=quotes, bars=bars, closes=closes)

    def followed_by(self, parts: Mapping[str, Bars], quotes: Mapping[str, str]) -> Joined:
        """Return `Joined.of(parts, quotes)` to the bit, at the cost of what differs from this."""
        if len(parts) == 1 or list(parts) != list(self.parts) or quotes != self.quotes:
            return Joined.of(parts, quotes)
        since = _first_change(self.parts, parts)
        if since is None:
            return self
        n_same = int(np.searchsorted(self.bars.closed_at, since))
        first = self._needed(n_same)
        start = self.bars.closed_at[first] if first < n_same else since
        tails = {venue: _from(bars, start) for venue, bars in parts.items()}
        rest = Joined.of(tails, quotes)
        return Joined(
            parts=parts,
            quotes=quotes,
            bars=_continued(self.bars, n_same, _from(rest.bars, since)),
            closes=_continued_closes(self.closes, n_same, rest.closes.iloc[n_same - first :]),
        )

    def _needed(self, n_rows: int) -> int:
        """Return the first of `n_rows` rows on which later ones depend."""
        if not self.quotes:
            return n_rows
        there = ~np.isnan(self.closes.to_numpy()[:n_rows])
        named = np.array([self.quotes.get(venue, "") for venue in self.parts])
        own = there[:, named == ""].any(axis=1)
        first = n_rows - BASIS_WINDOW
        for quote in set(self.quotes.values()):
            common = np.flatnonzero(own & there[:, named == quote].any(axis=1))
            # a basis that cannot be measured now is the last one that could
            first = min(first, int(common[-1]) if len(common) else 0)
        return max(0, first)


def _first_change(before: Mapping[str, Bars], after: Mapping[str, Bars]) -> np.datetime64 | None:
    found = [_first_changed(bars, after[venue]) for venue, bars in before.items()]
    return min((at for at in found if at is not None), default=None)


def _first_changed(before: Bars, after: Bars) -> np.datetime64 | None:
    if before is after:
        return None
    n = min(len(before), len(after))
    same = np.ones(n, dtype=np.bool_)
    for name in _COLUMNS:
        same &= getattr(before, name)[:n] == getattr(after, name)[:n]
    place = n if same.all() else int(np.argmin(same))
    stamps = [bars.closed_at[place] for bars in (before, after) if place < len(bars)]
    return min(stamps, default=None)


def _from(bars: Bars, closed_at: np.datetime64) -> Bars:
    return bars.take(slice(int(np.searchsorted(bars.closed_at, closed_at)), None))


def _continued(bars: Bars, n_rows: int, rest: Bars) -> Bars:
    columns = {
        name: np.concatenate([getattr(bars, name)[:n_rows], getattr(rest, name)])
        for name in _COLUMNS
    }
    return Bars(instrument=bars.instrument, timeframe=bars.timeframe, **columns)


def _continued_closes(closes: pd.DataFrame, n_rows: int, rest: pd.DataFrame) -> pd.DataFrame:
    stamps = [pd.DatetimeIndex(one.index).asi8 for one in (closes.iloc[:n_rows], rest)]
    table = np.concatenate([closes.to_numpy()[:n_rows], rest.to_numpy()])
    index = pd.DatetimeIndex(np.concatenate(stamps).view("M8[ns]"), tz="UTC", name="closed_at")
    return pd.DataFrame(table, index=index, columns=closes.columns)
