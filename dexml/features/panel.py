"""The panel: every model-ready column for every instrument and closed bar, and who sees what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import SOCIAL, Bars, History, Timeframe
from dexml.errors import ConfigError, DataError
from dexml.features.context import context_columns
from dexml.features.cross_section import CROSS_SECTION_COLUMNS, cross_section
from dexml.features.exchanges import EXCHANGE_COLUMNS, cross_exchange
from dexml.features.health import HEALTH_COLUMN, data_health
from dexml.features.indicators import INDICATORS, Group, compute_columns

__all__ = [
    "PRICE_CORE",
    "VIEWS",
    "WARM_UP",
    "build_panel",
    "group_of",
    "may_be_missing",
    "raw_panel",
    "refuse_not_finite",
    "view",
    "warm_up",
]

Floats = NDArray[np.float64]

WARM_UP = 384  # bars of one hour; see `warm_up` for other timeframes
_LOOK_BACK_S = 16 * 86_400  # same-hour means reach 14 days back, closed days one more

PRICE_CORE = (
    *("return_1", "return_3", "return_6", "return_24"),
    *("momentum_1", "momentum_3", "momentum_6", "momentum_3_x_regime"),
    *("volatility_24", "volatility_regime", "natr_14"),
    *("range_position_20", "bbands_position", "rsi_14"),
    *("relative_return_1", "relative_return_6", "next_hour", "next_day_sin", "next_day_cos"),
    HEALTH_COLUMN,
)
_PRICES = frozenset(
    {
        *(Group.PRICE, Group.VOLATILITY, Group.VOLUME, Group.CALENDAR),
        *(Group.CROSS_SECTION, Group.CROSS_EXCHANGE, Group.QUALITY),
    }
)
VIEWS: Mapping[str, frozenset[Group]] = {
    "direction": _PRICES,
    "volatility": frozenset(
        {Group.LEAVING, Group.VOLATILITY, Group.CALENDAR, Group.CROSS_SECTION, Group.QUALITY}
    ),
    "volume": frozenset({Group.VOLUME, Group.CALENDAR, Group.VOLATILITY, Group.QUALITY}),
    "sentiment": frozenset({Group.SENTIMENT}),
    "macro": frozenset({Group.MACRO}),
}
_WITH_CORE = ("sentiment", "macro")
# The size of the last move announces volume and volatility, though it speaks of price.
_ALSO = {
    "volume": ("momentum_1", "bar_body", "bar_location", "return_dispersion_1"),
    "volatility": (
        "momentum_1",
        "momentum_3",
        "bar_location",
        "volume_ratio_24",
        "volume_residual",
    ),
}


def warm_up(timeframe: Timeframe) -> int:
    """Return the first row of an instrument that may be used, as a number of bars.

    Examples
    --------
    >>> warm_up(Timeframe.H1)
    384
    """
    longest = max((one.warm_up for one in INDICATORS.values()), default=0)
    return max(WARM_UP, longest, -(-_LOOK_BACK_S // timeframe.seconds))


def build_panel(history: History, *, on_windows: bool = True) -> pd.DataFrame:
    """Compute every model-ready feature at every closed bar after the warm-up.

    Parameters
    ----------
    history : History
        Bars of one timeframe; news, macro and the closes of exchanges may be empty.
    on_windows : bool
        False runs indicators that are not `shared` over the whole at once, so that the audit can
        see what they would reach. Models are never fed such a panel.

    Returns
    -------
    DataFrame of float64, shape (n_rows, n_features)
        Index (closed_at, instrument), sorted. A row uses only what was known at `closed_at`; it
        has the same bits if history ends there. NaN only in `news_*`, `social_*` and `macro_*`
        columns.

    Raises
    ------
    DataError
        If an indicator gives NaN or infinity after its warm-up.
    """
    columns = {name: _own_columns(bars, on_windows) for name, bars in history.bars.items()}
    crossed = cross_section(history.bars)
    venues = cross_exchange(history.bars, history.venue_closes)
    health = data_health(history)
    context = context_columns(history, columns)
    for name in columns:
        columns[name] |= crossed.get(name, {}) | venues.get(name, {}) | health[name]
        columns[name] |= context[name]
    skip = warm_up(history.timeframe)
    frames = [_rows(bars, columns[name], skip) for name, bars in sorted(history.bars.items())]
    return _stack(frames)


def raw_panel(history: History) -> pd.DataFrame:
    """Compute the columns of `Indicator.raw`, which no model sees, laid out as `build_panel` does.

    Levels such as `obv` depend on where the history begins.
    """
    names = [name for one in INDICATORS.values() for name in one.raw]
    skip = warm_up(history.timeframe)
    frames = []
    for _, bars in sorted(history.bars.items()):
        found = (
            compute_columns(bars, only=names) if len(bars) else dict.fromkeys(names, np.empty(0))
        )
        frames.append(_rows(bars, found, skip))
    return _stack(frames)


def _own_columns(bars: Bars, on_windows: bool) -> dict[str, Floats]:
    if len(bars):
        return compute_columns(bars, on_windows=on_windows)
    return {column: np.empty(0) for one in INDICATORS.values() for column in one.columns}


def _rows(bars: Bars, columns: Mapping[str, Floats], skip: int) -> pd.DataFrame:
    values = np.empty((max(len(bars) - skip, 0), len(columns)))
    for k, (name, column) in enumerate(columns.items()):
        values[:, k] = column[skip:]
        if not may_be_missing(name):
            refuse_not_finite(bars.instrument, name, column[skip:])
    index = pd.MultiIndex.from_arrays(
        [
            pd.DatetimeIndex(bars.closed_at[skip:], tz="UTC"),
            np.full(len(values), bars.instrument, dtype=object),
        ],
        names=("closed_at", "instrument"),
    )
    return pd.DataFrame(values, index=index, columns=list(columns))


def may_be_missing(column: str) -> bool:
    """Tell whether a column is NaN where nothing is known: facts are, prices never."""
    return column.startswith(("news_", SOCIAL, "macro_"))


def refuse_not_finite(instrument: str, name: str, values: Floats) -> None:
    """Refuse NaN and infinity in the values of a feature after the warm-up."""
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"feature {name} of {instrument}",
            "must be finite after the warm-up",
            f"{values[row]} at row {row} after it",
            "Declare a longer warm_up or guard the division in its indicator.",
        )


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    if not frames:
        raise DataError("history", "must hold at least one instrument", "none", "Backfill first.")
    order = max((frame.columns for frame in frames), key=len)
    return pd.concat([frame.reindex(columns=order) for frame in frames]).sort_index()


def group_of(column: str) -> Group:
    """Return what a panel column speaks of.

    Examples
    --------
    >>> str(group_of("rsi_14")), str(group_of("macro_vix_change")), str(group_of("social_btc_z"))
    ('price', 'macro', 'sentiment')
    """
    if column.startswith(("news_", SOCIAL)):
        return Group.SENTIMENT
    if column.startswith("macro_"):
        return Group.MACRO
    if column in CROSS_SECTION_COLUMNS:
        return Group.CROSS_SECTION
    if column in EXCHANGE_COLUMNS:
        return Group.CROSS_EXCHANGE
    if column == HEALTH_COLUMN:
        return Group.QUALITY
    for one in INDICATORS.values():
        if column in one.columns:
            return one.group
    raise ConfigError(f"feature {column}", "must be a column of the panel", column, "See `view`.")


def view(target: str, columns: Iterable[str]) -> tuple[str, ...]:
    """Choose the columns that the model of a target sees.

    Parameters
    ----------
    target : str
        A name in `VIEWS`.
    columns : iterable of str
        What the panel has.

    Returns
    -------
    tuple of str
        In the panel's order. Empty for `sentiment` without news and social columns and for `macro`
        without macro columns: a price model must not run under their names.

    Raises
    ------
    ConfigError
        If there is no such view.

    Examples
    --------
    >>> view("macro", ["return_1", "macro_vix_change"]), view("macro", ["return_1"])
    (('return_1', 'macro_vix_change'), ())
    """
    if target not in VIEWS:
        raise ConfigError("view", f"must be one of {', '.join(VIEWS)}", target, "Name one of them.")
    present = list(columns)
    groups = _groups(present)
    chosen = {column for column in present if groups[column] in VIEWS[target]}
    if target in _WITH_CORE and not chosen:
        return ()
    chosen |= set(PRICE_CORE if target in _WITH_CORE else _ALSO.get(target, ()))
    return tuple(column for column in present if column in chosen)


def _groups(columns: Iterable[str]) -> dict[str, Group]:
    return {column: group_of(column) for column in columns}
