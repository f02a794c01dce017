"""Which instruments could have been traded at an instant, by what was known then.

A history that holds only what is listed today has forgotten the losers. Membership here has dates:
an instrument enters when it was listed and liquid, and leaves when it was delisted, fell silent or
dried up.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from dexml.clock import utc
from dexml.domain import Bars, check_instrument, to_datetime64
from dexml.errors import DataError

__all__ = ["Listing", "Universe", "read_listings"]

_COLUMNS = ["instrument", "listed_at", "delisted_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A span of time in which an instrument could be traded; it may have several.

    Attributes
    ----------
    delisted_at : datetime or None
        The first instant at which it no longer could; None while it can.
    """

    instrument: str
    listed_at: datetime
    delisted_at: datetime | None = None

    def __post_init__(self) -> None:
        check_instrument(self.instrument)
        object.__setattr__(self, "listed_at", utc(self.listed_at))
        if self.delisted_at is None:
            return
        object.__setattr__(self, "delisted_at", utc(self.delisted_at))
        if utc(self.delisted_at) <= self.listed_at:
            raise DataError(
                f"delisting of {self.instrument}",
                f"must come after its listing at {self.listed_at}",
                self.delisted_at,
                "Correct the listings.",
            )

    def holds(self, at: datetime) -> bool:
        """Return whether the instrument was listed at `at`."""
        return self.listed_at <= at and (self.delisted_at is None or at < self.delisted_at)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Universe:
    """Dated membership of a set of instruments.

    Parameters
    ----------
    bars : mapping of instrument to Bars
        Everything that was ever traded, the delisted too.
    listings : tuple of Listing, optional
        An instrument named here was listed only in these spans; any other whenever it had bars.
    min_quote_volume : float
        Least median volume of a bar in quote currency; bars that are missing count as 0.
    window : timedelta
        Over which the median is taken. An instrument younger than it is not a member yet.
    silence : timedelta
        An instrument without a bar for so long is no member.

    Examples
    --------
    >>> from datetime import UTC
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> bars = plant(MarketConfig(instruments=("BTC/USDT", "ETH/USDT"), n_bars=100)).history.bars
    >>> gone = Listing(
    ...     instrument="ETH/USDT",
    ...     listed_at=datetime(2023, 1, 1, tzinfo=UTC),
    ...     delisted_at=datetime(2023, 1, 3, tzinfo=UTC),
    ... )
    >>> universe = Universe(bars=bars, listings=(gone,), window=timedelta(days=1))
    >>> universe.members(datetime(2023, 1, 2, 12, tzinfo=UTC))
    ('BTC/USDT', 'ETH/USDT')
    >>> universe.members(datetime(2023, 1, 4, tzinfo=UTC))
    ('BTC/USDT',)
    """

    bars: Mapping[str, Bars]
    listings: tuple[Listing, ...] = ()
    min_quote_volume: float = 0.0
    window: timedelta = timedelta(days=30)
    silence: timedelta = timedelta(days=1)

    def members(self, at: datetime) -> tuple[str, ...]:
        """Return the instruments that could be traded at `at`, sorted; nothing later is used."""
        instant = utc(at)
        return tuple(
            name
            for name in sorted(self.bars)
            if self._is_listed(name, instant) and self._is_traded(self.bars[name], instant)
        )

    def quote_volume(self, instrument: str, at: datetime) -> float:
        """Return the median quote volume of a bar over the window that ends at `at`."""
        bars, recent = self.bars[instrument], self._recent(self.bars[instrument], utc(at))
        expected = int(self.window / bars.timeframe.step)
        traded = np.zeros(max(expected, recent.stop - recent.start))
        traded[: recent.stop - recent.start] = bars.close[recent] * bars.volume[recent]
        return float(np.median(traded))

    def _is_listed(self, name: str, at: datetime) -> bool:
        spans = [one for one in self.listings if one.instrument == name]
        return not spans or any(one.holds(at) for one in spans)

    def _is_traded(self, bars: Bars, at: datetime) -> bool:
        recent = self._recent(bars, at)
        if recent.stop == 0:
            return False
        now, first = to_datetime64(at), bars.closed_at[0] - np.timedelta64(bars.timeframe.step)
        silent = now - bars.closed_at[recent.stop - 1] > np.timedelta64(self.silence)
        young = now - first < np.timedelta64(self.window)
        if silent or young:
            return False
        return self.quote_volume(bars.instrument, at) >= self.min_quote_volume

    def _recent(self, bars: Bars, at: datetime) -> slice:
        instants = [to_datetime64(at - self.window), to_datetime64(at)]
        start, stop = np.searchsorted(bars.closed_at, instants, side="right")
        return slice(int(start), int(stop))


def read_listings(path: str | Path) -> tuple[Listing, ...]:
    """Read a CSV file with the columns instrument, listed_at and delisted_at (may be empty).

    Instants are in ISO form with a time zone, as 2021-05-11T00:00:00Z.

    Raises
    ------
    DataError
        Naming the line that cannot be read.
    """
    with Path(path).open(newline="") as file:
        lines = csv.DictReader(file)
        if lines.fieldnames != _COLUMNS:
            rule = f"must have the columns {', '.join(_COLUMNS)}"
            raise DataError(f"file {path}", rule, lines.fieldnames, "Write them as its first line.")
        return tuple(_listings(path, lines))


def _listings(path: str | Path, lines: Iterable[dict[str, str]]) -> Iterable[Listing]:
    for number, line in enumerate(lines, 2):
        try:
            until = line["delisted_at"]
            yield Listing(
                instrument=line["instrument"],
                listed_at=datetime.fromisoformat(line["listed_at"]),
                delisted_at=datetime.fromisoformat(until) if until else None,
            )
        except (TypeError, ValueError) as error:
            raise DataError(
                f"file {path}, line {number}", "must be a listing", error, "Correct it."
            ) from error
