"""Which instruments could have been traded at an instant, by what was known then.

A history that holds only what is listed today has forgotten the losers. Membership here has dates:
an instrument enters when it was listed and liquid, and leaves when it was delisted, fell silent or
dried up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.clock import utc
from dexml.domain import Bars, check_instrument, to_datetime64
from dexml.errors import ConfigError, DataError

__all__ = ["Listing", "Universe", "UniverseConfig"]

Flags = NDArray[np.bool_]


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

    def holds(self, at: NDArray[np.datetime64]) -> Flags:
        """Tell at which instants the instrument was listed."""
        held: Flags = at >= to_datetime64(self.listed_at)
        if self.delisted_at is not None:
            held &= at < to_datetime64(self.delisted_at)
        return held


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseConfig:
    """What it takes to be a member.

    Attributes
    ----------
    listings : tuple of Listing
        An instrument named here was listed only in these spans; any other whenever it had bars.
    min_quote_volume : float
        Least median volume of a bar in quote currency, 0 for none; missing bars count as 0. With
        one, an instrument younger than the window is no member yet.
    window_hours : int
        Over which the median is taken.
    silence_hours : int
        An instrument without a bar for so long is no member.
    """

    listings: tuple[Listing, ...] = ()
    min_quote_volume: float = 0.0
    window_hours: int = 720
    silence_hours: int = 24

    def __post_init__(self) -> None:
        for name, least in (("min_quote_volume", 0), ("window_hours", 1), ("silence_hours", 1)):
            value = getattr(self, name)
            if not value >= least:
                fix = "Set it in dexml.toml."
                raise ConfigError(f"universe.{name}", f"must be at least {least}", value, fix)

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.window_hours)

    @property
    def silence(self) -> timedelta:
        return timedelta(hours=self.silence_hours)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Universe:
    """Dated membership of a set of instruments.

    Parameters
    ----------
    bars : mapping of instrument to Bars
        Everything that was ever traded, the delisted too.

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
    >>> universe = Universe(bars=bars, config=UniverseConfig(listings=(gone,)))
    >>> universe.members(datetime(2023, 1, 2, 12, tzinfo=UTC))
    ('BTC/USDT', 'ETH/USDT')
    >>> universe.outside(datetime(2023, 1, 4, tzinfo=UTC))
    {'ETH/USDT': 'not listed'}
    """

    bars: Mapping[str, Bars]
    config: UniverseConfig = UniverseConfig()

    def members(self, at: datetime) -> tuple[str, ...]:
        """Return the instruments that could be traded at `at`, sorted; nothing later is used."""
        return tuple(sorted(self.bars.keys() - self.outside(at).keys()))

    def outside(self, at: datetime) -> dict[str, str]:
        """Return the instruments that could not, each with the reason, sorted."""
        instant = utc(at)
        reasons = {name: self._reason(self.bars[name], instant) for name in sorted(self.bars)}
        return {name: reason for name, reason in reasons.items() if reason}

    def rows(self, index: pd.Index[Any]) -> Flags:
        """Tell for each row (closed_at, instrument) of a panel if it was a member at its close.

        Who has no bar that closed then was none.
        """
        names = index.get_level_values("instrument")
        stamps = pd.DatetimeIndex(index.get_level_values("closed_at")).asi8.view("M8[ns]")
        held = np.zeros(len(index), dtype=np.bool_)
        for name in names.unique():
            mine = np.flatnonzero(names == name)
            bars = self.bars[str(name)]
            member = self._is_listed(bars.instrument, bars.closed_at) & self._liquid(bars)
            held[mine] = np.isin(stamps[mine], bars.closed_at[member])
        return held

    def quote_volume(self, instrument: str, at: datetime) -> float:
        """Return the median quote volume of a bar over the window that ends at `at`."""
        bars, recent = self.bars[instrument], self._recent(self.bars[instrument], utc(at))
        traded = np.zeros(max(self._n_expected(bars), recent.stop - recent.start))
        traded[: recent.stop - recent.start] = bars.close[recent] * bars.volume[recent]
        return float(np.median(traded))

    def _reason(self, bars: Bars, at: datetime) -> str:
        now, least = to_datetime64(at), self.config.min_quote_volume
        n_known = int(np.searchsorted(bars.closed_at, now, side="right"))
        if not self._is_listed(bars.instrument, np.array([now]))[0]:
            return "not listed"
        if not n_known or now - bars.closed_at[n_known - 1] > np.timedelta64(self.config.silence):
            return f"no bar for {self.config.silence_hours} hours"
        if not least:
            return ""
        if now - self._began(bars) < np.timedelta64(self.config.window):
            return f"known for less than {self.config.window_hours} hours"
        volume = self.quote_volume(bars.instrument, at)
        return "" if volume >= least else f"trades {volume:,.0f} a bar, {least:,.0f} is the least"

    def _is_listed(self, name: str, at: NDArray[np.datetime64]) -> Flags:
        spans = [one for one in self.config.listings if one.instrument == name]
        held: Flags = np.full(len(at), not spans)
        for span in spans:
            held |= span.holds(at)
        return held

    def _liquid(self, bars: Bars) -> Flags:
        """Tell at each bar if it was old enough and traded enough."""
        least = self.config.min_quote_volume
        if not least or not len(bars):
            return np.ones(len(bars), dtype=np.bool_)
        step = np.timedelta64(bars.timeframe.step)
        place = ((bars.closed_at - bars.closed_at[0]) // step).astype(np.int64)
        traded = np.zeros(place[-1] + 1)
        traded[place] = bars.close * bars.volume
        median = pd.Series(traded).rolling(self._n_expected(bars)).median().to_numpy()[place]
        old = bars.closed_at - self._began(bars) >= np.timedelta64(self.config.window)
        liquid: Flags = old & (median >= least)
        return liquid

    def _n_expected(self, bars: Bars) -> int:
        return max(1, int(self.config.window / bars.timeframe.step))

    def _began(self, bars: Bars) -> np.datetime64:
        first: np.datetime64 = bars.closed_at[0] - np.timedelta64(bars.timeframe.step)
        return first

    def _recent(self, bars: Bars, at: datetime) -> slice:
        instants = [to_datetime64(at - self.config.window), to_datetime64(at)]
        start, stop = np.searchsorted(bars.closed_at, instants, side="right")
        return slice(int(start), int(stop))
