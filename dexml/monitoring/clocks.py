"""How far a clock is from others that tell their time in whole seconds only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

__all__ = ["KEPT_S", "Offset", "narrowed", "offset_of", "skew"]

KEPT_S = 7_200.0  # what was heard longer ago says nothing of now
_DRIFT = 1e-4  # seconds in a second: a poor quartz


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """Bounds of how far this machine's clock is ahead of another one.

    Attributes
    ----------
    least, most : float
        Seconds; negative where this clock is behind.
    seen_s : float
        When they were found, in seconds of a clock that never goes back.
    """

    least: float
    most: float
    seen_s: float

    @property
    def distance_s(self) -> float:
        """The smallest difference that fits the bounds, without its sign."""
        return max(0.0, self.least, -self.most)


def offset_of(
    asked_at: datetime,
    answered_at: datetime,
    stated_at: datetime,
    seen_s: float,
    resolution_s: float = 1.0,
) -> Offset:
    """Return what one answer says.

    Parameters
    ----------
    asked_at, answered_at : datetime
        By this machine's clock, around the answer.
    stated_at : datetime
        What the other clock showed between them, cut to `resolution_s`.

    Examples
    --------
    >>> from datetime import UTC, timedelta
    >>> at = datetime(2024, 1, 1, 12, 0, 5, tzinfo=UTC)
    >>> offset_of(at, at + timedelta(seconds=0.1), datetime(2024, 1, 1, 12, tzinfo=UTC), seen_s=0)
    Offset(least=4.0, most=5.1, seen_s=0)
    """
    return Offset(
        least=(asked_at - stated_at).total_seconds() - resolution_s,
        most=(answered_at - stated_at).total_seconds(),
        seen_s=seen_s,
    )


def narrowed(known: Offset | None, new: Offset) -> Offset:
    """Return what both say; where they cannot both be true a clock was set, and the new one stands.

    What was known is widened by what a clock may drift since.

    Examples
    --------
    >>> narrowed(Offset(least=-0.8, most=0.2, seen_s=0), Offset(least=-0.3, most=0.7, seen_s=0))
    Offset(least=-0.3, most=0.2, seen_s=0)
    """
    if known is None:
        return new
    drift = _DRIFT * (new.seen_s - known.seen_s)
    least, most = max(known.least - drift, new.least), min(known.most + drift, new.most)
    return new if least > most else Offset(least=least, most=most, seen_s=new.seen_s)


def skew(offsets: Iterable[Offset], now_s: float) -> float | None:
    """Return the smallest skew that half of the other clocks or more bear out, in seconds.

    One clock that is wrong among three turns nothing, and of two the nearer one is believed.

    Returns
    -------
    float or None
        None if none was heard within `KEPT_S`.

    Examples
    --------
    >>> well, wrong = Offset(least=-0.2, most=0.6, seen_s=0), Offset(least=99, most=100, seen_s=0)
    >>> skew([well, well, wrong], now_s=5), skew([wrong], now_s=5), skew([well], now_s=9_999)
    (0.0, 99, None)
    """
    heard = sorted(one.distance_s for one in offsets if now_s - one.seen_s <= KEPT_S)
    return heard[(len(heard) - 1) // 2] if heard else None
