"""Read a file as a table of rows, or say exactly what it is instead."""

from __future__ import annotations

import csv
import gzip
import json
import warnings
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from dexml.errors import DataError

__all__ = ["ENDINGS", "read_table"]

ENDINGS = (".parquet", ".csv", ".csv.gz", ".json")
_BROKEN = (
    *(ValueError, OSError, EOFError, OverflowError, TypeError, LookupError, RecursionError),
    *(zlib.error, pa.ArrowException, pd.errors.ParserWarning),
)
_KRAKEN_ROW = ("time", "open", "high", "low", "close", "vwap", "volume", "trades")
_BINANCE_ROW = ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume")
# exports without a header, by how many columns they have
_HEADERLESS = {
    6: ("time", *_BINANCE_ROW[1:6]),
    7: ("time", *_BINANCE_ROW[1:6], "trades"),
    12: (*_BINANCE_ROW, "trades", "taker_base", "taker_quote", "ignore"),
}
_HEAD = 4_096


def read_table(file: Path) -> pd.DataFrame:
    """Return the rows of a parquet or CSV file, or of a stored Kraken OHLC answer.

    Parameters
    ----------
    file : Path
        CSV may be gzipped, start with lines of `#` or an address, be separated by commas,
        semicolons or tabs, and lack a header if it is an export of Kraken (7 columns), Binance
        (12) or ccxt (6).

    Raises
    ------
    DataError
        If it is something else, damaged, or has no rows.

    Examples
    --------
    >>> read_table(Path("README.md"))
    Traceback (most recent call last):
    dexml.errors.DataError: file README.md must end in .parquet, .csv, .csv.gz, .json, ...
    """
    if not file.name.lower().endswith(ENDINGS):
        raise DataError(f"file {file}", f"must end in {', '.join(ENDINGS)}", *_instead(file))
    table = _parsed(file)
    if table.empty:
        raise DataError(f"file {file}", "must have rows", "empty", "Leave it out.")
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    table.columns = pd.Index([str(name) for name in table.columns])
    return table.loc[:, ~table.columns.duplicated()]


def _parsed(file: Path) -> pd.DataFrame:
    kind = "JSON" if file.suffix == ".json" else "parquet" if file.suffix == ".parquet" else "CSV"
    try:
        if kind == "JSON":
            return _kraken(file)
        table = pd.read_parquet(file) if kind == "parquet" else _csv(file)
    except _BROKEN as error:
        if isinstance(error, DataError):
            raise
        reason = next(iter(str(error).splitlines()), repr(error))
        raise DataError(f"file {file}", f"must be {kind}", reason, "Write it again.") from error
    return table


def _csv(file: Path) -> pd.DataFrame:
    head = _head(file)
    n_skipped = _banner_lines(head)
    first = (head.splitlines() or [""])[n_skipped : n_skipped + 1]
    separator = _separator(first[0] if first else "")
    cells = next(csv.reader(first, delimiter=separator), [])
    names = _HEADERLESS.get(len(cells)) if cells and all(map(_is_number, cells)) else None
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # cells beyond the header
        return pd.read_csv(
            file,
            sep=separator,
            skiprows=n_skipped,
            header=0 if names is None else None,
            names=None if names is None else list(names),
            float_precision="round_trip",  # the fast parser is off by a bit now and then
            index_col=False,
            low_memory=False,
        )


def _head(file: Path) -> str:
    opened: Any = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rb") as stream:
        return str(stream.read(_HEAD).decode("utf-8", errors="replace"))


def _banner_lines(head: str) -> int:
    lines = head.splitlines()
    return next(
        (n for n, line in enumerate(lines) if not line.startswith(("#", "http"))), len(lines)
    )


def _separator(header: str) -> str:
    return max((",", ";", "\t"), key=header.count)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kraken(file: Path) -> pd.DataFrame:
    answer = json.loads(file.read_bytes())
    pairs = _pairs(answer)
    if pairs is None:
        raise DataError(
            f"file {file}",
            "must be a table or a Kraken OHLC answer",
            f"JSON {_shape(answer)}",
            "Write its bars as CSV; recorded messages of exchanges are for tests of feeds.",
        )
    frames = [
        pd.DataFrame(rows, columns=list(_KRAKEN_ROW)).assign(symbol=pair)
        for pair, rows in pairs.items()
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _pairs(answer: Any) -> dict[str, list[Any]] | None:
    result = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(result, dict) or "last" not in result:
        return None
    pairs = {name: rows for name, rows in result.items() if name != "last"}
    wide = all(
        isinstance(rows, list)
        and all(isinstance(row, list) and len(row) == len(_KRAKEN_ROW) for row in rows)
        for rows in pairs.values()
    )
    return pairs if wide else None


def _shape(answer: Any) -> str:
    if isinstance(answer, list):
        return f"list of {len(answer)}" + (f", {_shape(answer[0])}" if answer else "")
    if isinstance(answer, dict):
        names = list(map(str, answer))
        return f"with the fields {', '.join(names[:8])}" + (" ..." if len(names) > 8 else "")
    return f"value {str(answer)[:40]!r}"


def _instead(file: Path) -> tuple[str, str]:
    if file.suffix == ".gz":
        return _packed(file), "Unpack it, and write its rows as CSV."
    return file.name, "Convert it to CSV or parquet, or leave it out."


def _packed(file: Path) -> str:
    try:
        line = (_head(file).splitlines() or [""])[0]
    except (OSError, EOFError, zlib.error) as error:
        return f"damaged gzip ({error})"
    if line.startswith(("wss:", "http")):
        return f"recorded messages of {line.split('?')[0].split()[0]}"
    return f"gzipped text {line[:40]!r}"
