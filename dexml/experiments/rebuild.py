"""The bars, features and forecasts of past closes, made again from what was known then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from dexml.data.health import unwell
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Bar, Bars, History, Signal, to_datetime64
from dexml.experiments.origin import Origin, feature_digests
from dexml.features.panel import build_panel
from dexml.models.suite import Suite, signal_of
from dexml.universe import UniverseConfig

__all__ = ["Rebuilt", "Span", "rebuild", "spans"]

_FIELDS = ("closed_at", *PRICE_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Span:
    """Closes in a row over which what was known only grew.

    Attributes
    ----------
    closes : tuple of datetime
        Oldest first.
    history : History
        What was known at the last of them.
    """

    closes: tuple[datetime, ...]
    history: History


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rebuilt:
    """What a run sees at a close, made again.

    Attributes
    ----------
    bars : mapping of instrument to Bar
        Of the instruments past their warm-up, sorted.
    features : mapping of instrument to str
        See `feature_digests`.
    forecasts : DataFrame or None
        Index instrument, a column for each target and "ensemble"; None: no model to ask.
    signals : tuple of Signal
        Made from the forecasts.
    unwell : mapping of instrument to str
        Instruments in quarantine, with the reason.
    """

    closed_at: datetime
    bars: Mapping[str, Bar]
    features: Mapping[str, str]
    forecasts: pd.DataFrame | None
    signals: tuple[Signal, ...]
    unwell: Mapping[str, str]


def spans(store: Store, origin: Origin, closes: Sequence[datetime]) -> Iterator[Span]:
    """Read what was known at each close, oldest first, and group them by what stayed as it was.

    Raises
    ------
    DataError
        If the store is damaged or has no bars of an instrument.
    """
    group: list[datetime] = []
    seen: History | None = None
    for closed_at in closes:
        known = store.history(origin.venues, origin.instruments, origin.timeframe, closed_at)
        known = known.until(to_datetime64(closed_at))
        if seen is not None and not _only_grew(seen, known, group[-1]):
            yield Span(closes=tuple(group), history=seen)
            group = []
        group.append(closed_at)
        seen = known
    if seen is not None:
        yield Span(closes=tuple(group), history=seen)


def rebuild(
    span: Span,
    store: Store,
    origin: Origin,
    models: Mapping[datetime, str],
    suites: Mapping[str, Suite],
    universe: UniverseConfig,
) -> Iterator[Rebuilt]:
    """Make everything of a span again: one panel, and one batch of forecasts for each model.

    Parameters
    ----------
    models : mapping of close to str
        Digest of the version that served; its forecasts are made if it is among `suites`.

    Raises
    ------
    DataError
        If an indicator gives NaN or infinity.
    """
    past = panel = build_panel(span.history)
    stamps = panel.index.get_level_values("closed_at")
    panel = panel[stamps.isin([pd.Timestamp(at) for at in span.closes])]
    rows, said = _by_close(panel), _forecasts(panel, past, span, models, suites)
    for closed_at in span.closes:
        features = rows.get(closed_at, panel.iloc[:0].droplevel("closed_at"))
        names = [str(name) for name in features.index]
        forecasts = said.get(closed_at)
        yield Rebuilt(
            closed_at=closed_at,
            bars={name: _bar(span.history.bars[name], closed_at) for name in names},
            features=dict(zip(names, feature_digests(features), strict=True)),
            forecasts=forecasts,
            signals=() if forecasts is None else _signals(forecasts, closed_at),
            unwell=_unwell(span.history, closed_at, universe),
        )


def _forecasts(
    panel: pd.DataFrame,
    past: pd.DataFrame,
    span: Span,
    models: Mapping[datetime, str],
    suites: Mapping[str, Suite],
) -> dict[datetime, pd.DataFrame]:
    stamps = panel.index.get_level_values("closed_at")
    made: dict[datetime, pd.DataFrame] = {}
    for digest in {models[at] for at in span.closes} & suites.keys():
        served = [pd.Timestamp(at) for at in span.closes if models[at] == digest]
        made |= _by_close(suites[digest].forecast(panel[stamps.isin(served)], past))
    return made


def _by_close(rows: pd.DataFrame) -> dict[datetime, pd.DataFrame]:
    groups = rows.groupby(level="closed_at")
    return {
        pd.Timestamp(at).to_pydatetime(): part.droplevel("closed_at")  # type: ignore[arg-type]
        for at, part in groups
    }


def _only_grew(before: History, after: History, at: datetime) -> bool:
    then = after.until(to_datetime64(at))
    return (
        all(_same(bars, then.bars[name]) for name, bars in before.bars.items())
        and before.news.equals(then.news)
        and before.macro.equals(then.macro)
        and before.venue_closes.keys() == then.venue_closes.keys()
        and all(then.venue_closes[name].equals(one) for name, one in before.venue_closes.items())
        # a first headline or series brings columns that were not there
        and before.news.empty == after.news.empty
        and set(before.macro["series"]) == set(after.macro["series"])
    )


def _same(one: Bars, other: Bars) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in _FIELDS)


def _bar(bars: Bars, closed_at: datetime) -> Bar:
    return bars.bar(int(np.searchsorted(bars.closed_at, to_datetime64(closed_at))))


def _signals(forecasts: pd.DataFrame, closed_at: datetime) -> tuple[Signal, ...]:
    return tuple(
        signal_of(str(name), closed_at, row.to_dict()) for name, row in forecasts.iterrows()
    )


def _unwell(history: History, closed_at: datetime, universe: UniverseConfig) -> dict[str, str]:
    at = to_datetime64(closed_at)
    return unwell(history.until(at), at, universe)
