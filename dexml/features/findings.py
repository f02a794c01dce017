"""What an audit finds: columns whose values differ where they must not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import LeakFound

__all__ = ["AuditReport", "Check", "Leak", "compare", "first_of_each"]

Check = Literal[
    "truncation", "perturbation", "start", "window", "live", "memory", "lookup", "label"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A feature or target that broke a check.

    Attributes
    ----------
    feature : str
        Column; "(rows)" if whole rows appeared or vanished.
    check : str
        "truncation", "perturbation", "start", "window" (it reaches beyond the window that it
        declares), "live" (a row's past alone, or heard close by close, gives other bits), "memory"
        (it says the same on another market, or something else where nothing later was ever shown
        to it: it remembers earlier calls), "lookup" (it reads its answers, or a part of them,
        elsewhere than in its bars) or "label".
    closed_at : Timestamp
        First row that differs.
    detail : str
        The instrument and both values.
    """

    feature: str
    check: Check
    closed_at: pd.Timestamp
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What was audited and what was found.

    Attributes
    ----------
    features, raw, labels : tuple of str
        Columns of the panel, those that never enter a model, and targets.
    empty : tuple of str
        Columns of the panel without a single value, of which nothing can be said.
    seconds : float
    """

    features: tuple[str, ...]
    raw: tuple[str, ...]
    labels: tuple[str, ...]
    empty: tuple[str, ...]
    leaks: tuple[Leak, ...]
    seconds: float

    @property
    def checked(self) -> int:
        """How many columns were checked."""
        return len(self.features) + len(self.raw) + len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the leaking features, each once, sorted."""
        return tuple(sorted({leak.feature for leak in self.leaks}))

    def raise_if_leaking(self) -> None:
        """Raise `LeakFound` with the name of every leaking feature."""
        if self.leaks:
            first = self.leaks[0]
            raise LeakFound(
                f"features {', '.join(self.names)}",
                "must use nothing from the future",
                f"{first.feature} broken by {first.check} at {first.closed_at}: {first.detail}",
                "Remove them, join them by the instant they were known, or declare their window.",
            )


# Columns that exist in one panel only are read as missing there: a series may begin after the cut.
def compare(
    expected: pd.DataFrame, found: pd.DataFrame, check: Check, tolerance: float
) -> Iterator[Leak]:
    """Name every column whose values differ between two panels, at the first row where they do.

    A missing value differs from any other. Of a tolerance it is the share of a value, or of the
    column's own spread; 0 asks for the same bits.
    """
    if not expected.index.equals(found.index):
        odd = expected.index.symmetric_difference(found.index)
        at = odd.get_level_values(0).min() if len(odd) else found.index[0][0]
        yield Leak(feature="(rows)", check=check, closed_at=at, detail=f"{len(odd)} rows differ")
        shared = expected.index.intersection(found.index)
        expected, found = expected.loc[shared], found.loc[shared]
    columns = expected.columns.union(found.columns, sort=False)
    left = expected.reindex(columns=columns).to_numpy(dtype=np.float64)
    right = found.reindex(columns=columns).to_numpy(dtype=np.float64)
    wrong = _differ(left, right, tolerance)
    for k in np.flatnonzero(wrong.any(axis=0)):
        row = int(np.argmax(wrong[:, k]))
        at, instrument = (expected.index.get_level_values(level)[row] for level in (0, 1))
        detail = f"{instrument} {float(left[row, k])!r} became {float(right[row, k])!r}"
        yield Leak(feature=str(columns[int(k)]), check=check, closed_at=at, detail=detail)


def _differ(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    tolerance: float,
) -> NDArray[np.bool_]:
    one_missing = np.isnan(left) != np.isnan(right)
    known = ~np.isnan(left) & ~np.isnan(right)
    a, b = np.where(known, left, 0.0), np.where(known, right, 0.0)
    if tolerance == 0.0:
        return np.asarray(one_missing | (a != b))
    # Near a zero crossing only the column's own spread says what is small.
    scale = np.maximum(np.abs(a), a.std(axis=0)) if len(a) else np.abs(a)
    return np.asarray(one_missing | (np.abs(a - b) > tolerance * scale + 1e-12))


def first_of_each(leaks: Iterable[Leak]) -> tuple[Leak, ...]:
    """Keep what was found first of each feature by each check, sorted."""
    first = {(leak.feature, leak.check): leak for leak in reversed([*leaks])}
    return tuple(sorted(first.values(), key=lambda leak: (leak.feature, leak.check)))
