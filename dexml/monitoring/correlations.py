"""Whether instruments still move together as they did: an alarm that is raised and taken back once.

The bars are cut into a reference and checks of five days after it. A check compares correlations
with those of the reference; the evidence of checks is gathered until a false alarm would be rare.
After an alarm the next bars become the new reference, and the first check that bears it out takes
the alarm back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from dexml.risk.correlation import CorrelationAlarm, correlation_change, heard
from dexml.risk.covariance import correlation_of, sample_covariance
from dexml.risk.recurrence import Floats

__all__ = ["CHECK_BARS", "REFERENCE_BARS", "Change", "CorrelationWatch", "watched"]

REFERENCE_BARS = 480
CHECK_BARS = 120
_LEAST_BARS = 96
_CHUNK = 24
_N_DRAWS = 999
_BORNE_OUT = 0.05  # p-value above which a check says that the new reference holds
_LEAST_SHARE = 0.8  # of the bars that an instrument must have to take part in a check

Row = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Correlations that are no longer those of the reference.

    Attributes
    ----------
    at : datetime
        Close of the check that raised the alarm.
    pair : tuple of str
        Whose correlation moved most, from `before` in the reference to `after` in that check.
    """

    at: datetime
    pair: tuple[str, str]
    before: float
    after: float

    def __str__(self) -> str:
        names = " and ".join(self.pair)
        return (
            f"Correlations have changed: most that of {names}, from {self.before:.2f} to "
            f"{self.after:.2f}. Portfolio weights follow only as the window moves on."
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrelationWatch:
    """What is known after some closes; `watched` makes the next one.

    Attributes
    ----------
    instruments : tuple of str
        Two or more; fewer are never checked.
    closes, at : mapping of instrument to float, datetime or None
        Of the newest bar set.
    reference : ndarray of shape (REFERENCE_BARS, n_instruments), or None while it is gathered
        Returns of a bar; NaN where a bar is missing.
    rows : tuple of tuple of float
        Returns after the reference, or those it will be made of.
    change : Change or None
        The alarm that stands.
    n_checks : int
        Checks so far.
    """

    instruments: tuple[str, ...]
    at: datetime | None = None
    closes: Mapping[str, float] = field(default_factory=dict)
    reference: Floats | None = None
    rows: tuple[Row, ...] = ()
    alarm: CorrelationAlarm = field(default_factory=CorrelationAlarm)
    change: Change | None = None
    n_checks: int = 0


def watched(watch: CorrelationWatch, at: datetime, closes: Mapping[str, float]) -> CorrelationWatch:
    """Return the watch after one more bar set; one that is not newer changes nothing.

    Parameters
    ----------
    closes : mapping of instrument to float
        Closing prices, positive; an instrument without a bar is left out.

    Notes
    -----
    On markets that do not change at least `CorrelationAlarm.checks_between_alarms` checks pass on
    average before a false alarm: 500 days of hourly bars.

    Examples
    --------
    >>> from datetime import UTC
    >>> watch = CorrelationWatch(instruments=("A/USDT", "B/USDT"))
    >>> watch = watched(watch, datetime(2024, 1, 1, tzinfo=UTC), {"A/USDT": 1.0, "B/USDT": 2.0})
    >>> watch.change is None, watch.n_checks
    (True, 0)
    """
    if watch.at is not None and at <= watch.at:
        return watch
    row = tuple(
        closes.get(name, np.nan) / watch.closes.get(name, np.nan) - 1 for name in watch.instruments
    )
    rows = watch.rows if watch.at is None else (*watch.rows, row)
    watch = replace(watch, at=at, closes=dict(closes), rows=rows)
    if watch.reference is None:
        return _gathered(watch) if len(rows) == REFERENCE_BARS else watch
    return _checked(watch, at) if len(rows) == CHECK_BARS else watch


def _gathered(watch: CorrelationWatch) -> CorrelationWatch:
    return replace(watch, reference=np.array(watch.rows), rows=())


def _checked(watch: CorrelationWatch, at: datetime) -> CorrelationWatch:
    whole = _whole(watch)
    checked = replace(watch, rows=())
    if whole is None:
        return checked
    names, old, new = whole
    verdict = correlation_change(old, new, n_draws=_N_DRAWS, seed=watch.n_checks, chunk=_CHUNK)
    alarm = heard(watch.alarm, verdict.p_value)
    checked = replace(checked, alarm=alarm, n_checks=watch.n_checks + 1)
    if watch.change is None and alarm.raised:
        change = _largest(at, names, old, new)
        return replace(checked, change=change, reference=None, alarm=CorrelationAlarm())
    if watch.change is not None and alarm.raised:  # nor does the new reference hold
        return replace(checked, reference=None, alarm=CorrelationAlarm())
    if watch.change is not None and verdict.p_value > _BORNE_OUT:
        return replace(checked, change=None, alarm=CorrelationAlarm())
    return checked


def _whole(watch: CorrelationWatch) -> tuple[tuple[str, ...], Floats, Floats] | None:
    """Return instruments that both periods have, and the bars at which all of those have one."""
    periods = [np.asarray(watch.reference), np.array(watch.rows)]
    shares = [np.isfinite(period).mean(axis=0) for period in periods]
    kept = np.minimum(*shares) >= _LEAST_SHARE
    old, new = (_complete(period[:, kept]) for period in periods)
    if kept.sum() < 2 or min(len(old), len(new)) < _LEAST_BARS:
        return None
    names = tuple(name for name, is_kept in zip(watch.instruments, kept, strict=True) if is_kept)
    return names, old, new


def _complete(rows: Floats) -> Floats:
    whole: Floats = rows[np.isfinite(rows).all(axis=1)]
    return whole


def _largest(at: datetime, names: tuple[str, ...], old: Floats, new: Floats) -> Change:
    before, after = (correlation_of(sample_covariance(period)) for period in (old, new))
    moved = np.triu(abs(after - before), k=1)
    i, j = np.unravel_index(int(moved.argmax()), moved.shape)
    pair = (names[int(i)], names[int(j)])
    return Change(at=at, pair=pair, before=float(before[i, j]), after=float(after[i, j]))
