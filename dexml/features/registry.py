"""The one registry of indicators: small functions of an instrument's bars, with their facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.errors import ConfigError

__all__ = ["INDICATORS", "Compute", "Group", "Indicator", "compute_columns", "indicator"]

Floats = NDArray[np.float64]
Compute = Callable[[Bars], Mapping[str, Floats]]


class Group(StrEnum):
    """What a column speaks of; views are made of groups."""

    PRICE = "price"
    VOLATILITY = "volatility"
    LEAVING = "leaving"
    VOLUME = "volume"
    CALENDAR = "calendar"
    CROSS_SECTION = "cross_section"
    SENTIMENT = "sentiment"
    MACRO = "macro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """A function of one instrument's bars and what one must know to use it.

    Attributes
    ----------
    name : str
        Unique.
    group : Group
        Decides which models see its columns.
    columns : tuple of str
        What enters models: stationary, independent of the price level.
    raw : tuple of str
        What stays available for charts and rules but never enters a model.
    warm_up : int
        Rows after which no value depends on where history starts (beyond 1e-6 relative).
    unit : str
        Of the columns.
    doc : str
        One line.
    compute : callable
        Takes `Bars`, returns an array of shape (n_bars,) for each column; uses no later bar.
    """

    name: str
    group: Group
    columns: tuple[str, ...]
    raw: tuple[str, ...]
    warm_up: int
    unit: str
    doc: str
    compute: Compute


INDICATORS: dict[str, Indicator] = {}


def indicator(
    group: Group,
    *columns: str,
    warm_up: int,
    unit: str,
    raw: tuple[str, ...] = (),
) -> Callable[[Compute], Compute]:
    """Register a function of bars under its own name; its docstring's first line is its doc.

    Raises
    ------
    ConfigError
        If the name or a column is taken.

    Examples
    --------
    >>> @indicator(Group.PRICE, "gap", warm_up=1, unit="fraction")
    ... def gap(bars):
    ...     "Opening gap."
    ...     return {"gap": bars.open / np.roll(bars.close, 1) - 1.0}
    >>> INDICATORS.pop("gap").doc
    'Opening gap.'
    """

    def register(compute: Compute) -> Compute:
        name = getattr(compute, "__name__", str(compute))
        _refuse_taken(name, (*columns, *raw))
        INDICATORS[name] = Indicator(
            name=name,
            group=Group(group),
            columns=columns,
            raw=raw,
            warm_up=warm_up,
            unit=unit,
            doc=(compute.__doc__ or name).strip().splitlines()[0],
            compute=compute,
        )
        return compute

    return register


def _refuse_taken(name: str, columns: tuple[str, ...]) -> None:
    taken = {column for known in INDICATORS.values() for column in (*known.columns, *known.raw)}
    clash = sorted(taken & set(columns))
    if name in INDICATORS or clash or len(set(columns)) < len(columns):
        raise ConfigError(
            f"indicator {name}", "must have a name and columns of its own", clash or name, "Rename."
        )


def compute_columns(bars: Bars, *, raw: bool = False) -> dict[str, Floats]:
    """Compute every registered indicator on one instrument's bars.

    Parameters
    ----------
    bars : Bars
        Shape (n_bars,).
    raw : bool
        Also return the columns that never enter a model.

    Returns
    -------
    dict of str to ndarray of float64, shape (n_bars,)
        In the order of registration. Rows within the warm-up may be NaN.
    """
    out: dict[str, Floats] = {}
    for one in INDICATORS.values():
        values = one.compute(bars)
        for column in (*one.columns, *(one.raw if raw else ())):
            out[column] = np.ascontiguousarray(values[column], dtype=np.float64)
    return out
