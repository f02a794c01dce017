"""What a planted market is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from dexml.clock import utc
from dexml.domain import Floats, Timeframe, Times, check_instrument, to_datetime64
from dexml.errors import ConfigError

__all__ = ["INSTRUMENTS", "MarketConfig"]

INSTRUMENTS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT", "LINK/USDT", "DOGE/USDT")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketConfig:
    """Settings of a planted market; the same settings always give the same bytes.

    Parameters
    ----------
    instruments : tuple of str
        Different names, BASE/QUOTE.
    n_bars : int
        Bars of each instrument, at least 100.
    start : datetime
        Opening of the first bar, a full hour.
    bayes_accuracy : float
        Accuracy of the best possible rule for the next direction, in [0.50, 0.86]. At 0.50 the
        direction is a coin flip and nothing published says anything about it.
    hourly_volatility : float
        Long-run standard deviation of one hour's log return.
    seed : int
        At least 0.

    Raises
    ------
    ConfigError
        If a setting breaks its rule.

    Examples
    --------
    >>> MarketConfig(bayes_accuracy=0.9)
    Traceback (most recent call last):
    dexml.errors.ConfigError: market.bayes_accuracy must lie in [0.50, 0.86], was 0.9. ...
    """

    instruments: tuple[str, ...] = INSTRUMENTS
    n_bars: int = 3_000
    start: datetime = datetime(2023, 1, 1, tzinfo=UTC)
    timeframe: Timeframe = Timeframe.H1
    bayes_accuracy: float = 0.70
    hourly_volatility: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", utc(self.start))
        for name in self.instruments:
            check_instrument(name)
        names = ",".join(self.instruments)
        unique = 0 < len(set(self.instruments)) == len(self.instruments)
        _check("instruments", unique, "must be different names", names, "Name each once.")
        _check("n_bars", self.n_bars >= 100, "must be at least 100", self.n_bars, "Ask for more.")
        whole = self.start == self.start.replace(minute=0, second=0, microsecond=0)
        _check("start", whole, "must be a full hour", self.start, "Drop the minutes.")
        self._check_numbers()

    def _check_numbers(self) -> None:
        accuracy, volatility = self.bayes_accuracy, self.hourly_volatility
        _check(
            "bayes_accuracy",
            0.5 <= accuracy <= 0.86,
            "must lie in [0.50, 0.86]",
            accuracy,
            "Write 0.50 for a market without an edge.",
        )
        _check(
            "hourly_volatility",
            0 < volatility <= 0.1,
            "must lie in (0, 0.1]",
            volatility,
            "Write 1% as 0.01.",
        )
        _check("seed", self.seed >= 0, "must be at least 0", self.seed, "Take a number like 7.")

    @property
    def closed_at(self) -> Times:
        """Closing stamps of the bars, shape (n_bars,)."""
        steps = np.arange(1, self.n_bars + 1) * np.timedelta64(self.timeframe.seconds, "s")
        return (to_datetime64(self.start) + steps).astype("datetime64[ns]")

    @property
    def end(self) -> datetime:
        """Close of the last bar."""
        return self.start + self.n_bars * self.timeframe.step

    @property
    def bar_volatility(self) -> float:
        """Long-run standard deviation of one bar's log return."""
        return self.hourly_volatility * float(np.sqrt(self.timeframe.step / timedelta(hours=1)))

    def generator(self, stream: int) -> np.random.Generator:
        """Return the random generator of one purpose, independent of all other purposes."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream]))

    def hours(self) -> Floats:
        """Hours from `start` to each close, shape (n_bars,)."""
        return np.arange(1.0, self.n_bars + 1.0) * np.float64(self.timeframe.seconds / 3_600.0)


def _check(name: str, holds: bool, rule: str, was: object, fix: str) -> None:
    if not holds:
        raise ConfigError(f"market.{name}", rule, was, fix)
