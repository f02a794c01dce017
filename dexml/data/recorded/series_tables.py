"""A table of one recorded macro or social series turned into rows of the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dexml.clock import utc
from dexml.data.recorded.bar_tables import LeftOut, refuse_if_mostly_bad
from dexml.data.recorded.layouts import TIMES
from dexml.data.recorded.origins import Origin
from dexml.data.recorded.times import mixed_units, read_times
from dexml.data.sources.plausible import RATIO, implausible
from dexml.data.sources.series import SERIES, AfterPeriod, SeriesSpec, series_named
from dexml.domain import MACRO_COLUMNS
from dexml.errors import DataError

__all__ = ["ParsedSeries", "parse_series", "value_column"]

_TIMES = ("timestamp_utc", "period_at", "date_hour", "block_timestamp", *TIMES)
_VALUES = ("value", "fgi_value", "funding rate", "funding_rate", "sentiment", "gas_price", "close")


_ABSENT = "no value"
_UNRELEASED = "not released yet"
_HONEST = (_ABSENT, _UNRELEASED)  # holidays and the running day: nothing to hold against a file


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParsedSeries:
    """Values as a table (`MACRO_COLUMNS`), the rows left out, what it is, and what was noticed."""

    macro: pd.DataFrame
    faults: list[LeftOut]
    understood_as: str
    notes: tuple[str, ...] = ()


def value_column(columns: list[str]) -> tuple[str, str] | None:
    """Return the columns of the time and of the value of a series, or None.

    Examples
    --------
    >>> value_column(["timestamp_utc", "DATE", "OPEN", "HIGH", "LOW", "CLOSE"])
    ('timestamp_utc', 'CLOSE')
    >>> value_column(["time", "WETH", "USDC"]) is None
    True
    """
    spelled = {name.strip().lower(): name for name in reversed(columns)}
    time = next((spelled[name] for name in _TIMES if name in spelled), None)
    value = next((spelled[name] for name in _VALUES if name in spelled), None)
    return None if time is None or value is None else (time, value)


def parse_series(
    file: Path,
    table: pd.DataFrame,
    origin: Origin | None,
    name: str | None = None,
    lag: timedelta | None = None,
    now: datetime | None = None,
) -> ParsedSeries:
    """Read a series, and give each value the instant from which it is known.

    Parameters
    ----------
    origin : Origin, optional
        The exchange, which is part of the name of a funding rate.
    name : str, optional
        Name of the series, where file and columns do not tell.
    lag : timedelta, optional
        From the stamp of a period to its first use; needed for a series that is not registered,
        and never shorter than the release of one that is.
    now : datetime, optional
        What is stamped or released later is left out.

    Raises
    ------
    DataError
        If the series or its release cannot be told, `lag` is shorter than that, its stamps are not
        in UTC, or more than 5% of the rows are unsound.
    """
    columns = value_column(list(table.columns))
    if columns is None:
        raise DataError(
            f"file {file}",
            "must have a time and one value",
            ", ".join(table.columns),
            "Call them date and value.",
        )
    spec = _spec(file, columns[1], origin, name, lag)
    period_at = read_times(file.name, table[columns[0]])
    values = pd.to_numeric(table[columns[1]], errors="coerce").astype("float64")
    rows = pd.DataFrame({"period_at": period_at, "value": values.to_numpy()})
    _refuse_another_zone(file, rows, spec)
    _refuse_early(file, rows["period_at"].dropna(), spec, lag)
    faults = _faults(rows, table, table[columns[1]].isna(), spec, now)
    refuse_if_mostly_bad(file, len(rows), [one for one in faults if one.reason not in _HONEST])
    kept = rows.drop(index=[fault.row for fault in faults]).sort_values("period_at")
    if kept.empty:
        rule = "must have a value with its time"
        raise DataError(f"file {file}", rule, f"{len(rows)} rows without", "Give it rows.")
    known_at = spec.release.known_at(pd.DatetimeIndex(kept["period_at"])).as_unit("ns")
    macro = kept.assign(series=spec.name, known_at=known_at)[list(MACRO_COLUMNS)]
    mixed = mixed_units(table[columns[0]])
    return ParsedSeries(
        macro=macro.reset_index(drop=True),
        faults=faults,
        understood_as=_in_words(macro, columns),
        notes=(mixed,) if mixed else (),
    )


def _spec(
    file: Path, value: str, origin: Origin | None, name: str | None, lag: timedelta | None
) -> SeriesSpec:
    found = (
        SERIES.get(name)
        if name
        else _funding(value, origin, file) or series_named([file.name, value])
    )
    if lag is not None and (name or found):
        shown = name or (found.name if found else "")
        plausible = found.plausible if found else None
        return SeriesSpec(
            name=shown, release=AfterPeriod(lag=lag), unit="", doc="", plausible=plausible
        )
    if found is None:
        raise DataError(
            f"file {file}",
            f"must be one of the series {', '.join(SERIES)}",
            name or file.name,
            "Give --series NAME and --lag, the time from a value's stamp to its first use.",
        )
    return found


def _refuse_early(
    file: Path, period_at: pd.Series[pd.Timestamp], spec: SeriesSpec, lag: timedelta | None
) -> None:
    registered = SERIES.get(spec.name)
    if lag is None or registered is None or period_at.empty:
        return
    stamps = pd.DatetimeIndex(period_at)
    least = (registered.release.known_at(stamps) - stamps).max()
    if lag < least:
        raise DataError(
            f"file {file}",
            f"must have {spec.name} known no earlier than it is released, {_span(least)} after its "
            "stamp at most",
            f"--lag {_span(pd.Timedelta(lag))}",
            "Leave --lag out: the release of this series is known.",
        )


def _funding(value: str, origin: Origin | None, file: Path) -> SeriesSpec | None:
    if "funding" not in value.lower() or origin is None or "btc" not in file.name.lower():
        return None
    return SERIES.get(f"funding_{origin.venue.removesuffix('usdm').removesuffix('_perp')}_btc")


def _refuse_another_zone(file: Path, rows: pd.DataFrame, spec: SeriesSpec) -> None:
    if spec.grid is None:
        return
    # sources stamp a settlement a few milliseconds late
    stamps = rows["period_at"].dropna().dt.floor("min")
    off = stamps[stamps != stamps.dt.floor(pd.Timedelta(spec.grid))]
    if len(off) > len(rows) / 2:
        raise DataError(
            f"file {file}",
            f"must have {spec.name} at multiples of {spec.grid} UTC",
            off.iloc[0].isoformat(),
            "Its clock is in another zone: write the times in UTC.",
        )


def _faults(
    rows: pd.DataFrame,
    table: pd.DataFrame,
    absent: pd.Series[bool],
    spec: SeriesSpec,
    now: datetime | None,
) -> list[LeftOut]:
    checks = {
        _ABSENT: absent,
        "no time": rows["period_at"].isna(),
        "not a number": ~np.isfinite(rows["value"]),
        "high or low": _broken_range(table),
        **_too_soon(rows["period_at"], spec, now),
        _beyond(spec): _implausible(rows, spec),
        "repeated stamp": rows["period_at"].duplicated(),
    }
    found: dict[int, str] = {}
    for reason, bad in checks.items():
        for row in np.flatnonzero(bad.to_numpy()):
            found.setdefault(int(row), reason)
    return [LeftOut(row, found[row]) for row in sorted(found)]


def _too_soon(
    period_at: pd.Series[pd.Timestamp], spec: SeriesSpec, now: datetime | None
) -> dict[str, pd.Series[bool]]:
    if now is None:
        return {}
    present = pd.Timestamp(utc(now))
    known_at = pd.Series(spec.release.known_at(pd.DatetimeIndex(period_at)), index=period_at.index)
    return {"in the future": period_at > present, _UNRELEASED: known_at > present}


def _beyond(spec: SeriesSpec) -> str:
    if spec.plausible is None:
        return f"over {RATIO:g} times its neighbours"
    return f"not between {spec.plausible[0]:g} and {spec.plausible[1]:g}"


def _implausible(rows: pd.DataFrame, spec: SeriesSpec) -> pd.Series[bool]:
    ordered = rows.sort_values("period_at", kind="stable")
    found = implausible(spec, ordered["value"].to_numpy())
    return pd.Series(found, index=ordered.index).reindex(rows.index)


# A close outside its own day's range: one of the numbers is wrong, and nobody knows which.
def _broken_range(table: pd.DataFrame) -> pd.Series[bool]:
    spelled = {name.strip().lower(): name for name in table.columns}
    if not {"open", "high", "low", "close"} <= set(spelled):
        return pd.Series(False, index=table.index)
    o, h, low, c = (_numbers(table[spelled[name]]) for name in ("open", "high", "low", "close"))
    return (h < np.maximum(o, c)) | (low > np.minimum(o, c))


def _numbers(values: pd.Series[Any]) -> pd.Series[float]:
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _in_words(macro: pd.DataFrame, columns: tuple[str, str]) -> str:
    name, first, last = macro["series"].iloc[0], macro.iloc[0], macro.iloc[-1]
    lag = last["known_at"] - last["period_at"]
    return (
        f"series {name} from column {columns[1]}, {first['period_at']:%Y-%m-%d %H:%M} to "
        f"{last['period_at']:%Y-%m-%d %H:%M}, known {_span(lag)} later"
    )


def _span(lag: pd.Timedelta) -> str:
    minutes = round(lag.total_seconds() / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes / 60:g} h"
