"""How far an instrument's data can be trusted, and whether new risk may rest on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bars, History, to_datetime
from dexml.features.health import DISAGREEMENT, refused_at
from dexml.features.health import HEALTH_WINDOW as WINDOW
from dexml.universe import Universe, UniverseConfig

__all__ = [
    "DISAGREEMENT",
    "FIT_AGAIN",
    "LOOK_BACK",
    "UNFIT",
    "WINDOW",
    "Health",
    "health_at",
    "reasons",
    "unwell",
]

UNFIT = 0.90  # a lower score is quarantine
LOOK_BACK = 3 * WINDOW  # closes that decide on quarantine: two windows, and what the first sees
FIT_AGAIN = 0.95  # what lifts it
SILENT = 2  # closes without a bar that are a stall


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the last bars of an instrument say about its data.

    Attributes
    ----------
    score : float
        Share of the last `WINDOW` closes with a sound bar, in [0, 1]. Closes before the first bar
        do not count.
    quarantined : bool
        No new risk may be taken on the instrument.
    reason : str
        Why the score is below 1; empty if it is not.
    """

    score: float
    quarantined: bool
    reason: str


def health_at(
    bars: Bars,
    at: np.datetime64,
    refused: Mapping[np.datetime64, str] | None = None,
    closes: pd.DataFrame | None = None,
) -> Health:
    """Judge the data of an instrument by what was known at a close.

    Parameters
    ----------
    bars : Bars
        Of the instrument; later ones are not looked at.
    at : datetime64[ns]
        The close, UTC.
    refused : mapping of close to reason, optional
        Bars that quality left out.
    closes : DataFrame, optional
        Close at each exchange, as `History.venue_closes` has it.

    Notes
    -----
    A close is sound if there is a bar and the exchanges agree on it within `DISAGREEMENT`. An
    instrument goes into quarantine when the newest close is refused or disputed, when `SILENT`
    closes in a row have no bar, or when the score falls below `UNFIT`; it comes out at `FIT_AGAIN`.
    Whether it is in is found by walking through the last two windows, so that it does not depend
    on who was listening.

    Examples
    --------
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> bars = plant(MarketConfig(n_bars=100)).history.bars["BTC/USDT"]
    >>> health_at(bars, bars.closed_at[-1])
    Health(score=1.0, quarantined=False, reason='')
    >>> health_at(bars, bars.closed_at[-1] + 2 * (bars.closed_at[1] - bars.closed_at[0])).reason
    'no bar'
    """
    step = np.timedelta64(bars.timeframe.seconds, "s").astype("timedelta64[ns]")
    grid = at - step * np.arange(LOOK_BACK)[::-1]
    grid = grid[grid >= bars.closed_at[0]] if len(bars) else grid[-1:]
    missing = ~np.isin(grid, bars.closed_at)
    disputed = np.isin(grid, _disputed(closes))
    scores = _scores(~missing & ~disputed)
    left_out = np.isin(grid, np.array(list(refused or ()), dtype="datetime64[ns]")) & missing
    wrong = disputed | left_out | _stalled(missing)
    known = WINDOW if len(grid) == LOOK_BACK else 0  # before it the score lacks what it looks at
    inside = _walk(scores[known:], wrong[known:])
    reason = "" if scores[-1] == 1 else _reason(scores[-1], missing, disputed)
    if left_out[-1] and refused:
        reason = refused[grid[-1]]
    return Health(score=float(scores[-1]), quarantined=inside, reason=reason)


def unwell(
    history: History, at: np.datetime64, universe: UniverseConfig | None = None
) -> dict[str, str]:
    """Return the instruments that take no new risk at a close, with the reason, sorted by name.

    Those in quarantine, and those that are no members of the universe.
    """
    outside = Universe(bars=history.bars, config=universe or UniverseConfig()).outside(
        to_datetime(at)
    )
    judged = {
        name: health_at(bars, at, reasons(history.refused, name), history.venue_closes.get(name))
        for name, bars in sorted(history.bars.items())
    }
    ill = {name: health.reason for name, health in judged.items() if health.quarantined}
    return dict(sorted({**outside, **ill}.items()))


def reasons(refused: pd.DataFrame, instrument: str) -> dict[np.datetime64, str]:
    """Return the closes in `History.refused` of an instrument, each with its first reason."""
    return {at: reason for at, (_, reason) in refused_at(refused, instrument).items()}


def _scores(sound: NDArray[np.bool_]) -> NDArray[np.float64]:
    found = pd.Series(sound, dtype="float64").rolling(WINDOW, min_periods=1).mean()
    scores: NDArray[np.float64] = found.to_numpy()
    return scores


def _stalled(missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    run: NDArray[np.bool_] = pd.Series(missing).rolling(SILENT).sum().to_numpy() >= SILENT
    return run


def _disputed(closes: pd.DataFrame | None) -> NDArray[np.datetime64]:
    if closes is None or closes.empty:
        return np.array([], dtype="datetime64[ns]")
    recent = closes.iloc[-LOOK_BACK:]
    apart = recent.max(axis=1) / recent.min(axis=1) - 1 > DISAGREEMENT
    stamps: NDArray[np.datetime64] = pd.DatetimeIndex(recent.index[apart]).asi8.view("M8[ns]")
    return stamps


def _walk(scores: NDArray[np.float64], bad: NDArray[np.bool_]) -> bool:
    inside = False
    for score, wrong in zip(scores.tolist(), bad.tolist(), strict=True):
        inside = wrong or score < (FIT_AGAIN if inside else UNFIT)
    return inside


def _reason(score: float, missing: NDArray[np.bool_], disputed: NDArray[np.bool_]) -> str:
    if missing[-1]:
        return "no bar"
    if disputed[-1]:
        return "exchanges disagree"
    return f"{1 - score:.0%} of the last {WINDOW} bars missing or disputed"
