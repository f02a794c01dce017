"""What a run is made from, recorded at its start so that all of it can be made again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from dexml.data.storage.consolidation import STANDS_FOR
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe

__all__ = ["Origin", "changes", "code_files", "feature_digests", "libraries", "stored_months"]

Names = Mapping[str, str]

_PACKAGES = ("dexml", "actors")
_LIBRARIES = (
    *("autogluon.tabular", "catboost", "lightgbm"),
    *("numpy", "pandas", "pyarrow", "scipy", "ta-lib"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a run's data are, and what they, the code and the libraries were when it began.

    Attributes
    ----------
    store : str
        Address of the run's store; a local one below the home is given from there.
    venues, instruments : tuple of str
        Exchanges, the preferred one first, and what is traded.
    months : mapping of str to str
        From `stored_months`, as known when the run began.
    code : mapping of file to str
        From `code_files`.
    versions : mapping of library to str
        From `libraries`.
    """

    store: str
    venues: tuple[str, ...]
    instruments: tuple[str, ...]
    timeframe: Timeframe
    months: Names
    code: Names
    versions: Names

    @classmethod
    def now(
        cls,
        store: Store,
        address: str,
        venues: Sequence[str],
        instruments: Sequence[str],
        timeframe: Timeframe,
        at: datetime,
    ) -> Self:
        """Return the origin of a run that begins `at`, with the code that is running."""
        return cls(
            store=address,
            venues=tuple(venues),
            instruments=tuple(instruments),
            timeframe=timeframe,
            months=stored_months(store, venues, instruments, timeframe, at),
            code=code_files(),
            versions=libraries(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes."""
        values = {name: getattr(self, name) for name in self.__slots__}
        lists = {name: list(values[name]) for name in ("venues", "instruments")}
        return values | lists | {"timeframe": str(self.timeframe)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build an origin from `to_dict`."""
        lists = {name: tuple(values[name]) for name in ("venues", "instruments")}
        return cls(**{**values, **lists, "timeframe": Timeframe(values["timeframe"])})


def stored_months(
    store: Store,
    venues: Sequence[str],
    instruments: Sequence[str],
    timeframe: Timeframe,
    as_of: datetime,
) -> dict[str, str]:
    """Return a digest of each month of each series of bars, of headlines and of macro values.

    Returns
    -------
    dict of str to str
        By names such as "binance BTC/USDT 2024-01" and "news 2024-01", in that order.
    """
    found: dict[str, str] = {}
    for venue in venues:
        for name in _asked(instruments):
            found |= _months(f"{venue} {name}", store.bars(venue, name, timeframe, as_of))
    for kind, rows in (("news", store.news(as_of)), ("macro", store.macro(as_of))):
        hashes = pd.util.hash_pandas_object(rows, index=False).to_numpy()
        for month in np.unique(months := rows["known_at"].dt.strftime("%Y-%m").to_numpy(str)):
            found[f"{kind} {month}"] = _short(hashes[months == month].tobytes())
    return found


@cache
def code_files() -> dict[str, str]:
    """Return a digest of each source file of the library and of the actors, by its path."""
    found: dict[str, str] = {}
    for package in _PACKAGES:
        spec = find_spec(package)
        for root in map(Path, (spec and spec.submodule_search_locations) or ()):
            for file in sorted(root.rglob("*.py")):
                found[f"{package}/{file.relative_to(root).as_posix()}"] = _short(file.read_bytes())
    return found


@cache
def libraries() -> dict[str, str]:
    """Return the versions of what decides the bits of features and forecasts."""
    found = {"python": platform.python_version(), "processor": platform.machine()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def changes(then: Names, now: Names) -> tuple[str, ...]:
    """Return the names whose values differ, or that only one of the two has, sorted.

    Examples
    --------
    >>> changes({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"})
    ('b', 'c', 'd')
    """
    return tuple(sorted(name for name in {*then, *now} if then.get(name) != now.get(name)))


def feature_digests(rows: pd.DataFrame) -> list[str]:
    """Return the SHA-256 of each row of a panel: the names and bits of what is known in it.

    Columns that are NaN do not count, as if they were not there; 0.0 and -0.0 are the same.

    Examples
    --------
    >>> rows = pd.DataFrame({"a": [1.0, 1.0], "b": [2.0, float("nan")]})
    >>> alone = rows[["a"]].iloc[1:]
    >>> first, second = feature_digests(rows)
    >>> first == second, [second] == feature_digests(alone)
    (False, True)
    """
    table, names = rows.to_numpy(dtype=np.float64), rows.columns.to_numpy(str)
    digests = []
    for row in table:
        known = ~np.isnan(row)
        text = "\n".join(names[known].tolist()).encode()
        digests.append(hashlib.sha256(text + (row[known] + 0.0).tobytes()).hexdigest())
    return digests


def _asked(instruments: Sequence[str]) -> list[str]:
    """Return the instruments and those whose bars may stand in for theirs."""
    pairs = [name.split("/") for name in instruments]
    others = [f"{base}/{quote}" for base, own in pairs for quote in STANDS_FOR.get(own, ())]
    return list(dict.fromkeys([*instruments, *others]))


def _months(series: str, bars: Bars) -> dict[str, str]:
    months = bars.closed_at.astype("datetime64[M]")
    table = np.stack([getattr(bars, name) for name in PRICE_COLUMNS], axis=1)
    stamps = bars.closed_at.astype("datetime64[ns]")
    return {
        f"{series} {month}": _short(
            stamps[months == month].tobytes() + table[months == month].tobytes()
        )
        for month in np.unique(months)
    }


# Who would forge these could as well forge the ledger's row of the run: they need not be long.
def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
