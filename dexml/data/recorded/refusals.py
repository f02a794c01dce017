"""Tables that are neither bars nor headlines nor a series, called by their names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dexml.data.recorded.series_tables import value_column
from dexml.errors import DataError

__all__ = ["refuse_other"]

_OTHER_TABLES = {  # what a table is when it is nothing that is stored: columns that give it away
    "an order book": {"side", "qty"},
    "snapshots of an order book": {"asks[0].price"},
    "quotes": {"bid", "ask"},
    "trades": {"price", "quantity"},
    "swaps of a pool": {"sqrt_price_x96"},
    "swaps of pools": {"token_in_address"},
    "changes of a pool's liquidity": {"tick_lower"},
}


def refuse_other(file: Path, table: pd.DataFrame) -> None:
    """Refuse a table that cannot be a series.

    Raises
    ------
    DataError
        Naming what it is.
    """
    columns = {name.strip().lower() for name in table.columns}
    for kind, signs in _OTHER_TABLES.items():
        if columns >= signs:
            raise DataError(
                f"file {file}",
                "must hold bars, headlines or a series",
                kind,
                "Make bars of it first, or leave it out.",
            )
    if value_column(list(table.columns)) is None:
        raise DataError(
            f"file {file}",
            "must hold bars (open, high, low, close), headlines (title) or a series (value)",
            f"a table of {', '.join(list(table.columns)[:8])}",
            "Rename its columns, or leave it out.",
        )
