"""The columns of what is stored, and the check of what is given to be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from dexml.domain import PRICE_COLUMNS
from dexml.errors import DataError

__all__ = ["BARS", "MACRO", "NEWS", "QUARANTINE", "checked_rows"]

_INSTANT = pa.timestamp("ns", tz="UTC")
_PRICES = tuple((name, pa.float64()) for name in PRICE_COLUMNS)
BARS = pa.schema(
    [("closed_at", _INSTANT), *_PRICES, ("revision", pa.int64()), ("known_at", _INSTANT)]
)
QUARANTINE = pa.schema(
    [("closed_at", _INSTANT), *_PRICES, ("reason", pa.string()), ("known_at", _INSTANT)]
)
NEWS = pa.schema(
    [
        ("published_at", _INSTANT),
        ("known_at", _INSTANT),
        ("source", pa.string()),
        ("title", pa.string()),
        ("instruments", pa.string()),
        ("score", pa.float64()),
        ("fetched_at", _INSTANT),  # null where nobody noted it: stores made before it was kept
    ]
)
MACRO = pa.schema(
    [
        ("period_at", _INSTANT),
        ("series", pa.string()),
        ("known_at", _INSTANT),
        ("value", pa.float64()),
    ]
)
_KIND_OF_INSTANT = "datetime64[ns, UTC]"


def checked_rows(frame: pd.DataFrame, kind: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return the columns of news or macro rows in their types; headlines with `fetched_at` too.

    Raises
    ------
    DataError
        If a column is missing, or a number is not finite, or nobody says when it was known.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            f"{kind} rows", f"must have {', '.join(columns)}", f"no {', '.join(missing)}", "Add it."
        )
    kept = (*columns, "fetched_at") if kind == "news" else columns
    rows = frame.reindex(columns=list(kept)).reset_index(drop=True)
    rows = rows.astype(_kinds(kept))
    number = "score" if kind == "news" else "value"
    wrong = rows.index[~np.isfinite(rows[number]) | rows["known_at"].isna()]
    if len(wrong):
        raise DataError(
            f"{kind} row {wrong[0]}",
            f"must have a finite {number} and a known_at",
            rows.loc[wrong[0], number],
            "Leave the row out: missing is missing.",
        )
    return rows


def _kinds(columns: Sequence[str]) -> Mapping[str, str]:
    kinds = {name: _KIND_OF_INSTANT for name in columns if name.endswith("_at")}
    return kinds | {name: "float64" for name in columns if name in ("score", "value")}
