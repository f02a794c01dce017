"""The fills of a run as CSV: one text for the command and for HTTP."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["TRADE_COLUMNS", "trades_csv"]

TRADE_COLUMNS = (
    "filled_at",
    "instrument",
    "side",
    "base",
    "quote",
    "price",
    "gas",
    "reason",
    "intent_id",
)


def trades_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    r"""Return fills as CSV (RFC 4180), oldest first, amounts as the decimal text of the ledger.

    Examples
    --------
    >>> trades_csv([{"instrument": "BTC/USDT", "side": "buy"}]).splitlines()[1]
    ',BTC/USDT,buy,,,,,,'
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, TRADE_COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
