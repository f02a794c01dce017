"""Macro series one release at a time."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import DataError
from dexml.features.macro import reading, remember, summary
from dexml.features.news import nanoseconds

__all__ = ["LiveMacro"]

Floats = NDArray[np.float64]
Release = tuple[int, int, float]  # known_at and period_at in nanoseconds, value

_KEPT = 64  # releases that a late one may be put before


class LiveMacro:
    """What is known of every macro series, at a cost that depends on its last periods only."""

    def __init__(self, macro: pd.DataFrame) -> None:
        self._series: dict[str, _Series] = {}
        self.add(macro)

    def add(self, macro: pd.DataFrame) -> None:
        """Hear releases, those that come late or are not yet known among them."""
        if len(macro):
            known, period = nanoseconds(macro["known_at"]), nanoseconds(macro["period_at"])
            rows = zip(
                macro["series"], known.tolist(), period.tolist(), macro["value"], strict=True
            )
            for name, known_ns, period_ns, value in rows:
                series = self._series.setdefault(str(name), _Series(str(name)))
                series.add((known_ns, period_ns, float(value)))

    def read(self, stamp_ns: int) -> dict[str, dict[str, Floats]]:
        """Return the fields of every series known by then, each of shape (1,), by name."""
        stamps = np.array([stamp_ns], dtype=np.int64)
        seen = {name: self._series[name].at(stamp_ns) for name in sorted(self._series)}
        return {
            name: reading(np.array([one[:-1]]), np.array([one[-1]]), stamps)
            for name, one in seen.items()
            if one
        }


class _Series:
    def __init__(self, name: str) -> None:
        self._name = name
        self._releases: list[Release] = []  # in the order in which they became known
        self._periods: list[int] = []  # what was known before the first of them
        self._values: list[float] = []
        self._until_ns: int | None = None
        self._seen: tuple[float, ...] = ()
        self._next_ns = 0  # when `_seen` has to be made again

    def add(self, release: Release) -> None:
        if self._until_ns is not None and release[0] < self._until_ns:
            raise DataError(
                f"macro series {self._name}",
                f"must come less than {_KEPT} releases late",
                pd.Timestamp(release[0], tz="UTC"),
                "Open the live panel again on the stored history.",
            )
        bisect.insort_right(self._releases, release, key=lambda one: one[:2])
        self._next_ns = 0

    def at(self, stamp_ns: int) -> tuple[float, ...]:
        if stamp_ns >= self._next_ns:
            self._fold(stamp_ns)
            periods, values, released = self._periods.copy(), self._values.copy(), self._until_ns
            for known, period, value in self._due(stamp_ns):
                remember(periods, values, period, value)
                released = known
            self._seen = (*summary(periods, values), float(released or 0)) if periods else ()
            later = [known for known, *_ in self._releases if known > stamp_ns]
            self._next_ns = later[0] if later else np.iinfo(np.int64).max
        return self._seen

    def _due(self, stamp_ns: int) -> Iterator[Release]:
        return (one for one in self._releases if one[0] <= stamp_ns)

    def _fold(self, stamp_ns: int) -> None:
        n_old = max(sum(1 for _ in self._due(stamp_ns)) - _KEPT, 0)
        for known, period, value in self._releases[:n_old]:
            remember(self._periods, self._values, period, value)
            self._until_ns = known
        del self._releases[:n_old]
