"""Daily series: the Fear & Greed index of alternative.me, and CSV tables of any others."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd

from dexml.data.http import NotAnswered, Patience, answered_at, get
from dexml.data.sources.series import SERIES
from dexml.domain import MACRO_COLUMNS, empty_macro
from dexml.errors import DataError

__all__ = ["FEAR_GREED", "MacroFeed", "MacroSource", "MacroUpdate", "macro_update"]

FEAR_GREED = "fear_greed"
_CSV_COLUMNS = ["period_at", "known_at", "value"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MacroUpdate:
    """Values as a table (`MACRO_COLUMNS`), when each series was read, and what failed."""

    macro: pd.DataFrame
    fetched_at: Mapping[str, datetime]
    failed: Mapping[str, str]


class MacroSource(Protocol):
    """Whatever gives macro or social series; `name` tells sources apart, `series` what it gives.

    A source may give what it gave before, and values that it has revised: who keeps them sees to it
    that a revision is known from when it was seen, and never changes what was known before.
    """

    name: str
    series: tuple[str, ...]

    def fetch(self, since: datetime | None = None) -> MacroUpdate: ...


def macro_update(
    frames: Sequence[pd.DataFrame], fetched_at: Mapping[str, datetime], failed: Mapping[str, str]
) -> MacroUpdate:
    """Join the values of several series, ordered by `known_at`."""
    rows = [frame for frame in frames if len(frame)]
    table = pd.concat(rows) if rows else empty_macro()
    ordered = table.sort_values(["known_at", "series"], ignore_index=True)
    return MacroUpdate(macro=ordered[list(MACRO_COLUMNS)], fetched_at=fetched_at, failed=failed)


class MacroFeed:
    """Read daily series over HTTP.

    Parameters
    ----------
    url : str
        Base address: `/fng/` is alternative.me's index, `/macro/{series}.csv` the others, with
        columns period_at, known_at, value (instants with their zone).
    series : sequence of str
        "fear_greed" and names of tables. Where the index does not tell from when a value is known,
        its release in `dexml.data.sources.series` does.
    """

    name = "macro"

    def __init__(
        self,
        url: str,
        series: Sequence[str],
        patience: Patience | None = None,
    ) -> None:
        self._url, self.series = url.rstrip("/"), tuple(series)
        self._patience = patience or Patience()

    def fetch(self, since: datetime | None = None) -> MacroUpdate:
        """Return all values of each series, ordered by `known_at`; a failing series is told."""
        frames, fetched_at, failed = [], {}, {}
        for name in self.series:
            try:
                frame, fetched_at[name] = self._read(name)
                frames.append(frame)
            except DataError as error:
                failed[name] = str(error)
        return macro_update(frames, fetched_at, failed)

    def _read(self, name: str) -> tuple[pd.DataFrame, datetime]:
        if name == FEAR_GREED:
            return self._patience.call(self._fear_greed)
        return self._patience.call(lambda: self._table(name))

    def _fear_greed(self) -> tuple[pd.DataFrame, datetime]:
        answer = get(f"{self._url}/fng/", {"limit": "0"})
        try:
            rows = [self._index_row(row) for row in json.loads(answer.body)["data"]]
            frame = pd.DataFrame(rows, columns=_CSV_COLUMNS)
        except (LookupError, TypeError, ValueError) as error:
            raise _unreadable(FEAR_GREED, error) from error
        return _checked(FEAR_GREED, frame), _date(FEAR_GREED, answer.headers)

    def _index_row(self, row: Mapping[str, str]) -> dict[str, Any]:
        period_at = pd.Timestamp(int(row["timestamp"]), unit="s", tz="UTC")
        known_at = pd.Timestamp(row["known_at"]) if "known_at" in row else _released(period_at)
        return {"period_at": period_at, "known_at": known_at, "value": float(row["value"])}

    def _table(self, name: str) -> tuple[pd.DataFrame, datetime]:
        answer = get(f"{self._url}/macro/{name}.csv")
        try:
            # the fast parser is off by a bit now and then
            frame = pd.read_csv(io.BytesIO(answer.body), float_precision="round_trip")
        except ValueError as error:
            raise _unreadable(name, error) from error
        if list(frame.columns) != _CSV_COLUMNS:
            raise _unreadable(name, list(frame.columns))
        return _checked(name, frame), _date(name, answer.headers)


def _released(period_at: pd.Timestamp) -> pd.Timestamp:
    return SERIES[FEAR_GREED].release.known_at(pd.DatetimeIndex([period_at]))[0]


def _checked(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    try:
        for column in ("period_at", "known_at"):
            stamps = pd.to_datetime(frame[column], utc=True, format="ISO8601")
            frame[column] = stamps.dt.as_unit("ns")
        frame["value"] = frame["value"].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise _unreadable(name, error) from error
    sound = np.isfinite(frame["value"]) & (frame["known_at"] >= frame["period_at"])
    kept: pd.DataFrame = frame[sound].assign(series=name)
    return kept


def _date(name: str, headers: Mapping[str, str]) -> datetime:
    fetched_at = answered_at(headers)
    if fetched_at is None:
        raise _unreadable(name, "no Date")
    return fetched_at


def _unreadable(name: str, was: object) -> NotAnswered:
    return NotAnswered(
        f"macro series {name}", "must be a dated table", repr(was)[:120], "Check the address."
    )
