"""News, social and macro columns of the panel, and what they mean in the present price state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import SOCIAL, Bars, History
from dexml.features.macro import macro_features
from dexml.features.news import naming, news_features, once

__all__ = [
    "context_columns",
    "market_news",
    "named_news",
    "own_news",
    "price_state",
    "series_columns",
    "series_in_state",
]

Floats = NDArray[np.float64]

_OWN = (
    *(f"mean_{window}" for window in ("6h", "24h", "7d")),
    *(f"count_{window}" for window in ("1h", "24h")),
    *(f"decay_{window}" for window in ("1h", "6h", "24h", "7d")),
    "dispersion_24h",
)
_MARKET = ("mean_24h", "count_6h", "count_7d", "decay_6h", "decay_24h", "decay_7d", "dispersion_7d")
_NAMED = ("decay_6h", "decay_24h")
_SERIES = ("value", "change", "change_lag_1", "z")
_SERIES_STATES = ("range", "momentum")


def context_columns(
    history: History, price: Mapping[str, Mapping[str, Floats]]
) -> dict[str, dict[str, Floats]]:
    """Join news and macro to the bars of each instrument, by the instant they were known.

    Parameters
    ----------
    history : History
    price : mapping of instrument to its price columns
        Must hold `range_position_20`, `momentum_3` and `volatility_regime`.

    Returns
    -------
    dict of instrument to dict of column to ndarray, shape (n_bars,)
        Names start with `news_own_`, `news_market_`, `news_named_`, `macro_` or, of series that
        speak of sentiment, `social_`. Where the history has no rows of a kind the columns are
        absent, never zero; before the first row of a kind they are NaN.
    """
    news = once(history.news)
    named = naming(news, history.bars)
    out: dict[str, dict[str, Floats]] = {}
    shared: dict[bytes, dict[str, Floats]] = {}  # most instruments have the same closes
    for name, bars in history.bars.items():
        state, key = price_state(price[name]), bars.closed_at.tobytes()
        if key not in shared:
            shared[key] = _for_all(history.macro, news, named, bars)
        own = _own(named, bars, state)
        out[name] = own | shared[key] | series_in_state(shared[key], state)
    return out


def price_state(price: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return where the price stands: in its range, its momentum, its volatility."""
    return {
        "range": 2.0 * price["range_position_20"] - 1.0,
        "momentum": price["momentum_3"],
        "regime": price["volatility_regime"],
    }


# What news means depends on where the price stands; a product spares a small model the search.
def _in_state(
    columns: Mapping[str, Floats], state: Mapping[str, Floats], names: Iterable[str]
) -> dict[str, Floats]:
    return {f"{c}_x_{name}": v * state[name] for c, v in columns.items() for name in names}


def series_in_state(shared: Mapping[str, Floats], state: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the changes of series times where the price stands."""
    changes = {c: v for c, v in shared.items() if c.endswith("_change")}
    return _in_state(changes, state, _SERIES_STATES)


def own_news(values: Mapping[str, Floats], state: Mapping[str, Floats]) -> dict[str, Floats]:
    """Name the aggregates of headlines about an instrument, and what they mean in its state."""
    columns = {f"news_own_{name}": values[name] for name in _OWN}
    return columns | _in_state({"news_own_decay_24h": values["decay_24h"]}, state, state)


def market_news(values: Mapping[str, Floats]) -> dict[str, Floats]:
    """Name the aggregates of all headlines."""
    return {f"news_market_{name}": values[name] for name in _MARKET}


def named_news(values: Mapping[str, Floats]) -> dict[str, Floats]:
    """Name the aggregates of headlines that name an instrument of the history: less noise."""
    return {f"news_named_{name}": values[name] for name in _NAMED}


def _own(named: pd.DataFrame, bars: Bars, state: Mapping[str, Floats]) -> dict[str, Floats]:
    if not len(named) or not len(bars):
        return {}
    values = news_features(named, bars.instrument, bars.closed_at, bars.timeframe)
    return _after_first(own_news(values, state), named, bars)


def _for_all(
    macro: pd.DataFrame, news: pd.DataFrame, named: pd.DataFrame, bars: Bars
) -> dict[str, Floats]:
    columns: dict[str, Floats] = {}
    for rows, kept in ((news, market_news), (named, named_news)):
        if len(rows) and len(bars):
            values = news_features(rows, None, bars.closed_at, bars.timeframe)
            columns |= _after_first(kept(values), rows, bars)
    if len(macro):
        columns |= series_columns(macro_features(macro, bars.closed_at))
    return columns


def series_columns(joined: Mapping[str, Mapping[str, Floats]]) -> dict[str, Floats]:
    """Name the fields of series that the panel keeps; social ones apart from macro ones."""
    social = {name: one for name, one in joined.items() if name.startswith(SOCIAL)}
    macro = {f"macro_{name}": one for name, one in joined.items() if name not in social}
    return _kept("macro", macro) | _kept("social", social)


# Ages of daily series are one clock read many times; the panel keeps the oldest and a count.
def _kept(kind: str, joined: Mapping[str, Mapping[str, Floats]]) -> dict[str, Floats]:
    if not joined:
        return {}
    columns = {f"{name}_{field}": one[field] for name, one in joined.items() for field in _SERIES}
    n_rows = len(next(iter(joined.values()))["age"])
    oldest, stale = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    for one in joined.values():
        oldest = np.fmax(oldest, one["age"])
        stale = np.where(np.isnan(stale), 0.0, stale) + np.where(
            np.isnan(one["stale"]), 0.0, one["stale"]
        )
    stale = np.where(np.isnan(oldest), np.nan, stale)
    return {**columns, f"{kind}_oldest_age": oldest, f"{kind}_n_stale": stale}


def _after_first(columns: dict[str, Floats], news: pd.DataFrame, bars: Bars) -> dict[str, Floats]:
    first = news["known_at"].min().tz_convert("UTC").tz_localize(None).to_datetime64()
    begun = bars.closed_at >= first
    return {name: np.where(begun, values, np.nan) for name, values in columns.items()}
