"""What fits will cost, said before the first of them, and what a budget leaves of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from dexml.errors import UsageError
from dexml.models.profiles import FitSpec, estimated_seconds

__all__ = ["budget_s", "fit_seconds", "most_within", "spoken"]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0}


def fit_seconds(specs: Iterable[FitSpec], *n_rows: int) -> float:
    """Return about how many seconds one core fits each of `specs` on each number of rows."""
    return sum(estimated_seconds(spec, n) for spec in specs for n in n_rows)


def spoken(seconds: float) -> str:
    """Return a duration in words.

    Examples
    --------
    >>> spoken(45), spoken(600)
    ('45 s', '10 min')
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def budget_s(text: str) -> float | None:
    """Return a budget in seconds, None for an empty one.

    Raises
    ------
    UsageError
        If it does not read as a number and s, m or h.

    Examples
    --------
    >>> budget_s("45m"), budget_s("1.5h"), budget_s("")
    (2700.0, 5400.0, None)
    """
    if not text:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or float(found[1]) == 0:
        raise UsageError("--budget", "must read as 90s, 45m or 2h", text, "Give a duration.")
    return float(found[1]) * _UNITS[found[2]]


def most_within(
    budget: float | None, wanted: int, least: int, seconds: Callable[[int], float], what: str
) -> int:
    """Return the largest number from `wanted` down to `least` that the budget pays.

    Raises
    ------
    UsageError
        If not even `least` fits.

    Examples
    --------
    >>> most_within(60.0, 8, 1, lambda n: 10.0 * n, "folds")
    6
    """
    if budget is None:
        return wanted
    for n in range(wanted, least - 1, -1):
        if seconds(n) <= budget:
            return n
    fix = "Raise it, or give fewer --symbols, --targets or a shorter history."
    asked = f"must pay {least} {what}, about {spoken(seconds(least))}"
    raise UsageError("--budget", asked, spoken(budget), fix)
