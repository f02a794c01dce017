"""What a store has heard besides bars, for people to read: headlines and series, and how old."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from dexml.data.storage.store import Store
from dexml.domain import to_datetime64
from dexml.features.macro import macro_features

__all__ = ["QUIET", "heard", "heard_lines"]

QUIET = timedelta(days=1)  # without any headline: somebody always writes about coins


def heard(store: Store, at: datetime) -> list[dict[str, Any]]:
    """Return what was known at an instant of headlines and of each series, as JSON-able values.

    Returns
    -------
    list of dict
        `name` ("headlines" or the series), `n`, `newest_at` (when the newest became known),
        `age_s`, `stale`: no headline for a day, or no release for four usual periods, by which the
        models are told too; of a series `value` and `period_at`. [] for a store without any.
    """
    return [*_headlines(store, at), *_series(store, at)]


def _headlines(store: Store, at: datetime) -> Iterator[dict[str, Any]]:
    known = store.news(at)["known_at"]
    if len(known):
        row = _row("headlines", len(known), known.max(), at)
        yield row | {"stale": row["age_s"] > QUIET.total_seconds()}


def _series(store: Store, at: datetime) -> Iterator[dict[str, Any]]:
    macro = store.macro(at)
    said = macro_features(macro, np.array([to_datetime64(at)])) if len(macro) else {}
    for name, rows in macro.groupby("series", sort=True, observed=True):
        period_at = rows["period_at"].max()
        row = _row(str(name), rows["period_at"].nunique(), rows["known_at"].max(), at)
        stale, value = (float(said[str(name)][field][0]) for field in ("stale", "value"))
        yield row | {"stale": stale > 0, "value": value, "period_at": period_at.isoformat()}


def _row(name: str, n: int, newest: pd.Timestamp, at: datetime) -> dict[str, Any]:
    age_s = (pd.Timestamp(at) - newest).total_seconds()
    return {"name": name, "n": n, "newest_at": newest.isoformat(), "age_s": age_s}


def heard_lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield what `heard` returned as lines for people."""
    yield from ["news and series:"] if rows else []
    for one in rows:
        value = f"{one['value']:,.6g} of {one['period_at'][:10]}, " if "value" in one else ""
        newest = one["newest_at"][:16].replace("T", " ")
        old = "; stale" if one["stale"] else ""
        yield f"  {one['name']:<24} {value}{one['n']:,} known, the newest at {newest}{old}"
