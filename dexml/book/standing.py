"""What the book as it stands could lose, and how its instruments move together."""

from __future__ import annotations

from typing import Any

import numpy as np

from dexml.assessment import Assessment
from dexml.errors import DataError
from dexml.risk.correlation import correlation_change
from dexml.risk.covariance import correlation_of, sample_covariance
from dexml.risk.gaps import per_bar, with_peers
from dexml.risk.recurrence import Floats
from dexml.risk.stress import StressLoss, library, stress_table, together
from dexml.state import State

__all__ = ["MOST_INSTRUMENTS", "correlations", "stress_losses"]

MOST_INSTRUMENTS = 16
LEAST_RETURNS = 20
LEAST_HALF, RECENT = 96, 168  # bars: four days at least, a week at most
_STILL = 1e-12  # a deviation of returns below it is rounding


def stress_losses(state: State, whole: Assessment) -> list[StressLoss]:
    """Return what the book would lose in every scenario of the library, the worst first.

    The day on which all correlations are one needs volatilities: it is there once an instrument
    has shown twenty returns; one that has not moves as the largest of the others.

    Raises
    ------
    DataError
        If the equity is not positive.
    """
    seen = np.isfinite(whole.returns).sum(axis=0) >= LEAST_RETURNS
    known = dict(zip(whole.volatilities, seen, strict=True))
    volatilities = {name: value for name, value in whole.volatilities.items() if known[name]}
    unmeasured = () if volatilities else together({})
    scenarios = [one for one in library(volatilities) if one not in unmeasured]
    positions = {book.instrument: float(book.value) for book in state.books if book.position}
    return stress_table(scenarios, positions, float(state.cash), state.config.costs)


def correlations(whole: Assessment) -> dict[str, Any]:
    """Return how the instruments' returns correlate over the window, and whether that changed.

    Returns
    -------
    dict
        `instruments` (at most sixteen, what is held first), `matrix` (rows of floats, None without
        two instruments that have moved), `n_bars`, `n_instruments` (of the run), `p_value` of the
        permutation test between the recent bars and those before (None if there are too few), and
        `note`, which says in a sentence what may be said.
    """
    held, names = whole.weights, list(whole.weights)
    order = sorted(range(len(names)), key=lambda k: (-held[names[k]], names[k]))
    fit = [k for k in order if _moves(whole.returns[:, k])][:MOST_INSTRUMENTS]
    found: dict[str, Any] = {
        "instruments": [names[k] for k in fit],
        "n_instruments": len(names),
        "n_bars": 0,
        "matrix": None,
        "p_value": None,
    }
    if len(fit) < 2:
        n_fit = f"{len(fit)} of {len(names)}"
        return found | {
            "note": f"Two instruments with {LEAST_RETURNS} returns are needed: {n_fit}."
        }
    table = with_peers(whole.returns[:, fit])
    matrix = correlation_of(sample_covariance(table))
    found |= {"matrix": matrix.tolist(), "n_bars": len(table)}
    return found | _changed(whole.returns[:, fit])


def _moves(returns: Floats) -> bool:
    seen = returns[np.isfinite(returns)]
    return seen.size >= LEAST_RETURNS and float(seen.std()) > _STILL


def _changed(returns: Floats) -> dict[str, Any]:
    whole = per_bar(returns)
    whole = whole[np.isfinite(whole).all(axis=1)]
    n_recent = min(RECENT, len(whole) // 2)
    n_before = len(whole) - n_recent
    if n_recent < LEAST_HALF:
        said = f"{2 * LEAST_HALF} are needed in which all were seen, {len(whole)} so far"
        return {"p_value": None, "note": f"Too few bars to test for a change: {said}."}
    try:
        p_value = correlation_change(whole[:-n_recent], whole[-n_recent:]).p_value
    except DataError as error:
        return {"p_value": None, "note": f"A change could not be tested: {error}"}
    sign = "more than chance makes them" if p_value < 0.05 else "no more than chance makes them"
    said = f"The last {n_recent} bars and the {n_before} before differ {sign} (p = {p_value:.3f})."
    return {"p_value": p_value, "note": said}
