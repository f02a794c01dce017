"""The one registry of indicators: small functions of an instrument's bars, with their facts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.errors import ConfigError
from dexml.features.pristine import keep
from dexml.features.studies import Study, compute_studies, in_order
from dexml.features.windows import window as take

__all__ = ["INDICATORS", "Compute", "Group", "Indicator", "compute_columns", "indicator"]

Floats = NDArray[np.float64]
Compute = Callable[..., Mapping[str, Floats]]


class Group(StrEnum):
    """What a column speaks of; views are made of groups."""

    PRICE = "price"
    VOLATILITY = "volatility"
    LEAVING = "leaving"
    VOLUME = "volume"
    CALENDAR = "calendar"
    CROSS_SECTION = "cross_section"
    CROSS_EXCHANGE = "cross_exchange"
    SENTIMENT = "sentiment"
    MACRO = "macro"
    QUALITY = "quality"


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
        What stays available for charts and rules but never enters a model: outputs of `studies`.
    warm_up : int
        Rows after which no value depends on where history starts (beyond 1e-6 relative).
    window : int
        Bars that a value is computed from, the present one among them.
    look_back_s : int
        Seconds that it looks back beyond those.
    studies : tuple of Study
        What it reads besides bars.
    shared : bool
        False: it is run on its window, for every row, so that nothing else can reach a value.
        True: one call gives all rows of a series, and one call the newest row of many instruments;
        it must be made of the functions of `dexml.features.rolling` and of what works element by
        element. The audit proves by bits that it honours its window.
    unit : str
        Of the columns.
    doc : str
        One line.
    compute : callable
        Takes `Bars` (and the values of its studies by name, if it has any), returns an array of
        shape (n_bars,) for each column; uses no later bar.
    anew : callable
        Makes copies of `compute` and `studies` that have seen no bars yet.
    """

    name: str
    group: Group
    columns: tuple[str, ...]
    raw: tuple[str, ...]
    warm_up: int
    window: int
    look_back_s: int
    studies: tuple[Study, ...]
    shared: bool
    unit: str
    doc: str
    compute: Compute
    anew: Callable[[], tuple[Compute, tuple[Study, ...]]]

    def pristine(self) -> Indicator:
        """Return it as it was registered, with nothing in its memory."""
        compute, studies = self.anew()
        return replace(self, compute=compute, studies=studies)

    def at(self, bars: Bars, row: int) -> Mapping[str, np.float64]:
        """Run it on what it is given at a row: its window or, if it is `shared`, all until then."""
        if self.shared:
            past = bars.take(slice(0, row + 1))
            found = self.over(past, compute_studies(past, in_order(self.studies)))
        else:
            found = self.compute(take(bars, row + 1 - self.window, row + 1))
        return {column: np.float64(found[column][-1]) for column in self.columns}

    def over(self, bars: Bars, values: Mapping[str, Floats]) -> Mapping[str, Floats]:
        """Run its function once over all of `bars`, whatever its window."""
        given = take(bars, 0, len(bars))
        return self.compute(given, values) if self.studies else self.compute(given)

    def on_windows(self, bars: Bars, rows: range) -> dict[str, Floats]:
        """Run it on the window that ends at each of `rows`; other rows are NaN."""
        out = {column: np.full(len(bars), np.nan) for column in self.columns}
        for row in rows:
            for column, value in self.at(bars, row).items():
                out[column][row] = value
        return out


INDICATORS: dict[str, Indicator] = {}


def indicator(
    group: Group,
    *columns: str,
    warm_up: int,
    unit: str,
    raw: tuple[str, ...] = (),
    window: int | None = None,
    look_back_s: int = 0,
    studies: tuple[Study, ...] = (),
    shared: bool = False,
) -> Callable[[Compute], Compute]:
    """Register a function of bars under its own name; its docstring's first line is its doc.

    Parameters
    ----------
    group, columns, warm_up, unit, raw, look_back_s, studies, shared
        As in `Indicator`.
    window : int, optional
        Default: the warm-up and the present bar.

    Raises
    ------
    ConfigError
        If the name or a column is taken, if it reads studies and is not `shared`, or if its window
        is longer than its warm-up allows.

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
        known = Indicator(
            name=name,
            group=Group(group),
            columns=columns,
            raw=raw,
            warm_up=warm_up,
            window=warm_up + 1 if window is None else window,
            look_back_s=look_back_s,
            studies=studies,
            shared=shared,
            unit=unit,
            doc=(compute.__doc__ or name).strip().splitlines()[0],
            compute=compute,
            anew=keep((compute, studies)),
        )
        _refuse_unsound(known)
        INDICATORS[name] = known
        return compute

    return register


def _refuse_taken(name: str, columns: tuple[str, ...]) -> None:
    taken = {column for known in INDICATORS.values() for column in (*known.columns, *known.raw)}
    clash = sorted(taken & set(columns))
    if name in INDICATORS or clash or len(set(columns)) < len(columns):
        raise ConfigError(
            f"indicator {name}", "must have a name and columns of its own", clash or name, "Rename."
        )


def _refuse_unsound(one: Indicator) -> None:
    if one.studies and not one.shared:
        raise ConfigError(
            f"indicator {one.name}", "must be shared to read studies", "not", "Pass shared=True."
        )
    if not 1 <= one.window <= one.warm_up + 1:
        raise ConfigError(
            f"indicator {one.name}",
            "must have a window of at least the present bar and at most the warm-up and it",
            f"a window of {one.window} after a warm-up of {one.warm_up}",
            "Declare a longer warm_up.",
        )


def compute_columns(
    bars: Bars,
    *,
    raw: bool = False,
    only: Collection[str] | None = None,
    on_windows: bool = True,
) -> dict[str, Floats]:
    """Compute every registered indicator on one instrument's bars.

    Parameters
    ----------
    bars : Bars
        Shape (n_bars,).
    raw : bool
        Also return the columns that never enter a model.
    only : collection of str, optional
        Return these columns alone, raw ones too, and compute nothing that they do not need.
    on_windows : bool
        False runs indicators that are not `shared` once over everything: what the audit compares.

    Returns
    -------
    dict of str to ndarray of float64, shape (n_bars,)
        In the order of registration. Rows within the warm-up may be NaN.
    """
    registered = tuple(map(id, INDICATORS.values()))
    plan, studies = _plan(registered, raw, None if only is None else frozenset(only))
    values = compute_studies(bars, studies)
    out: dict[str, Floats] = {}
    for one, names, direct in plan:
        found = values if direct else _run(one, bars, values, on_windows)
        for name in names:
            column = found[name] if name in found else values[name]
            out[name] = np.ascontiguousarray(column, dtype=np.float64)
    return out


Step = tuple[Indicator, tuple[str, ...], bool]


# Kept for the indicators registered now; a plan holds them, so that no other takes their identity.
@lru_cache(maxsize=16)
def _plan(
    registered: tuple[int, ...], raw: bool, only: frozenset[str] | None
) -> tuple[tuple[Step, ...], tuple[Study, ...]]:
    planned = ((one, _wanted(one, raw, only)) for one in INDICATORS.values())
    wanted = [(one, names) for one, names in planned if names]
    steps = tuple((one, names, _direct(one, names)) for one, names in wanted)
    return steps, in_order([study for one, names in wanted for study in _needed(one, names)])


def _wanted(one: Indicator, raw: bool, only: frozenset[str] | None) -> tuple[str, ...]:
    if only is not None:
        return tuple(name for name in (*one.columns, *one.raw) if name in only)
    return (*one.columns, *one.raw) if raw else one.columns


def _direct(one: Indicator, names: tuple[str, ...]) -> bool:
    return set(names) <= {name for study in one.studies for name in study.outputs}


# A column that is a study's own output needs that study alone.
def _needed(one: Indicator, names: tuple[str, ...]) -> tuple[Study, ...]:
    if _direct(one, names):
        return tuple(study for study in one.studies if set(study.outputs) & set(names))
    return one.studies


def _run(
    one: Indicator, bars: Bars, values: Mapping[str, Floats], on_windows: bool
) -> Mapping[str, Floats]:
    if on_windows and not one.shared:
        return one.on_windows(bars, range(one.window - 1, len(bars)))
    return one.over(bars, values)
