"""What models predict: a label for each instrument and bar, unknown until `horizon` bars later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.errors import ConfigError

__all__ = [
    "TARGETS",
    "VOLATILITY_WINDOW",
    "Label",
    "TargetSpec",
    "labels",
    "target",
    "uniqueness",
]

Floats = NDArray[np.float64]
Label = Callable[[Bars, int], Floats]

VOLATILITY_WINDOW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """A registered target.

    Attributes
    ----------
    name : str
    view : str
        Which features its model sees; a name in `dexml.features.panel.VIEWS`.
    doc : str
        One line.
    label : callable
        Takes bars and a horizon; returns 1.0, 0.0 or NaN (unknown) for each bar. The last
        `horizon` rows are NaN; no other row looks further than `horizon` bars ahead.
    """

    name: str
    view: str
    doc: str
    label: Label


TARGETS: dict[str, TargetSpec] = {}


def target(name: str, *, view: str) -> Callable[[Label], Label]:
    """Register a label function as a target.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> @target("gap_up", view="direction")
    ... def gap_up(bars, horizon):
    ...     "The next bar opens higher."
    ...     return rises(bars.open, horizon)
    >>> TARGETS.pop("gap_up").doc
    'The next bar opens higher.'
    """

    def register(label: Label) -> Label:
        if name in TARGETS:
            raise ConfigError("target", "must have a name of its own", name, "Rename it.")
        doc = (label.__doc__ or name).strip().splitlines()[0]
        TARGETS[name] = TargetSpec(name=name, view=view, doc=doc, label=label)
        return label

    return register


def rises(values: Floats, horizon: int) -> Floats:
    """Return 1.0 where the value `horizon` rows later is higher, 0.0 where not, NaN if unknown.

    Examples
    --------
    >>> rises(np.array([1.0, 2.0, 2.0, np.nan]), 1)
    array([ 1.,  0., nan, nan])
    """
    later = np.full(values.shape[0], np.nan)
    later[: max(values.shape[0] - horizon, 0)] = values[horizon:]
    known = np.isfinite(values) & np.isfinite(later)
    return np.where(known, (later > values).astype(np.float64), np.nan)


@target("direction", view="direction")
def direction(bars: Bars, horizon: int) -> Floats:
    """Say whether the close is higher after the horizon."""
    return rises(bars.close, horizon)


@target("volatility", view="volatility")
def volatility(bars: Bars, horizon: int) -> Floats:
    """Say whether the standard deviation of the last 20 closes is higher after the horizon."""
    return rises(_window_std(bars.close), horizon)


@target("volume", view="volume")
def volume(bars: Bars, horizon: int) -> Floats:
    """Say whether the volume is higher after the horizon."""
    return rises(bars.volume, horizon)


@target("sentiment", view="sentiment")
def sentiment(bars: Bars, horizon: int) -> Floats:
    """As `direction`, for the model that sees sentiment."""
    return direction(bars, horizon)


@target("macro", view="macro")
def macro(bars: Bars, horizon: int) -> Floats:
    """As `direction`, for the model that sees macro series."""
    return direction(bars, horizon)


# Two passes over the window in a fixed order: a running variance would let old prices decide ties.
def _window_std(close: Floats) -> Floats:
    n = close.shape[0] - VOLATILITY_WINDOW + 1
    out = np.full(close.shape[0], np.nan)
    if n <= 0:
        return out
    windows = [close[k : k + n] for k in range(VOLATILITY_WINDOW)]
    mean = np.zeros(n)
    for values in windows:
        mean += values
    mean /= VOLATILITY_WINDOW
    squares = np.zeros(n)
    for values in windows:
        squares += (values - mean) ** 2
    out[VOLATILITY_WINDOW - 1 :] = np.sqrt(squares / VOLATILITY_WINDOW)
    return out


def labels(bars: Mapping[str, Bars], horizon: int = 1) -> pd.DataFrame:
    """Label every bar of every instrument for every registered target.

    Parameters
    ----------
    bars : mapping of instrument to Bars
    horizon : int
        Bars ahead, at least 1.

    Returns
    -------
    DataFrame of float64, shape (n_rows, n_targets)
        Index (closed_at, instrument), sorted: every bar, also those within the warm-up. 1.0, 0.0,
        or NaN where the label is not known: the last `horizon` rows of each instrument, rows that a
        hole parts from the bar `horizon` steps later, and the first 19 for `volatility`.

    Raises
    ------
    ConfigError
        If the horizon is below 1.
    """
    if horizon < 1:
        raise ConfigError("horizon", "must be at least 1 bar", horizon, "Predict the next bar: 1.")
    frames = []
    for name, one in sorted(bars.items()):
        stamps = pd.DatetimeIndex(one.closed_at, tz="UTC")
        index = pd.MultiIndex.from_arrays(
            [stamps, np.full(len(one), name, dtype=object)], names=("closed_at", "instrument")
        )
        columns = {spec.name: spec.label(one, horizon) for spec in TARGETS.values()}
        frame = pd.DataFrame(columns, index=index)
        frame[~_in_step(one, horizon)] = np.nan
        frames.append(frame)
    return pd.concat(frames).sort_index()


def _in_step(bars: Bars, horizon: int) -> NDArray[np.bool_]:
    """Tell which rows are followed `horizon` rows later by the bar `horizon` steps later."""
    in_step = np.zeros(len(bars), dtype=bool)
    ahead = bars.closed_at[horizon:] - bars.closed_at[:-horizon]
    in_step[:-horizon] = ahead == np.timedelta64(horizon * bars.timeframe.step)
    return in_step


def uniqueness(index: pd.Index[Any], horizon: int) -> Floats:
    """Return how much of its label each row has to itself.

    Parameters
    ----------
    index : Index (closed_at, instrument)
        Of rows whose label is known, each once.
    horizon : int
        Bars that a label looks ahead.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        In (0, 1]; 1 for labels that overlap with none.

    Notes
    -----
    The label at t speaks of the bars t + 1 to t + horizon. A bar that c labels of an instrument
    speak of is worth 1 / c to each, and the weight of a row is the mean over its bars.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, section 4.4.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=3, freq="h")
    >>> index = pd.MultiIndex.from_product(
    ...     [hours, ["BTC/USDT"]], names=["closed_at", "instrument"]
    ... )
    >>> uniqueness(index, 2)
    array([0.75, 0.5 , 0.75])
    """
    at = pd.DatetimeIndex(index.get_level_values("closed_at"))
    names, _ = pd.factorize(index.get_level_values("instrument"))
    bars = (at.asi8 - at.asi8.min()) // _step(at.asi8)
    out = np.ones(len(index))
    for name in range(names.max() + 1):
        rows = np.flatnonzero(names == name)
        out[rows] = _mean_share(bars[rows], horizon)
    return out


def _step(stamps: NDArray[np.int64]) -> int:
    steps = np.diff(np.unique(stamps))
    return int(steps.min()) if len(steps) else 1


def _mean_share(bars: NDArray[np.int64], horizon: int) -> Floats:
    begun = np.bincount(bars, minlength=int(bars.max()) + horizon)
    # a bar is spoken of by the labels that began within the horizon before it
    before = np.concatenate([[0], np.cumsum(begun)])
    bar = np.arange(len(begun))
    speaking = before[bar + 1] - before[np.maximum(bar + 1 - horizon, 0)]
    shares = 1.0 / np.maximum(speaking, 1)
    total: Floats = np.sum([shares[bars + ahead] for ahead in range(horizon)], axis=0)
    return total / horizon
