"""Reads when instruments were listed and delisted."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from dexml.errors import DataError
from dexml.universe import Listing

__all__ = ["read_listings"]

_COLUMNS = ["instrument", "listed_at", "delisted_at"]


def read_listings(path: str | Path) -> tuple[Listing, ...]:
    """Read a CSV file with the columns instrument, listed_at and delisted_at (may be empty).

    Instants are in ISO form with a time zone, as 2021-05-11T00:00:00Z.

    Raises
    ------
    DataError
        Naming the file or the line that cannot be read.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            lines = csv.DictReader(file)
            if lines.fieldnames != _COLUMNS:
                rule, fix = f"must have the columns {', '.join(_COLUMNS)}", "Write them first."
                raise DataError(f"file {path}", rule, lines.fieldnames, fix)
            return tuple(_listings(path, lines))
    except (OSError, UnicodeDecodeError) as error:
        fix = "Check its name, mode and encoding."
        raise DataError(f"file {path}", "must be readable", error, fix) from error


def _listings(path: str | Path, lines: Iterable[dict[str, str]]) -> Iterable[Listing]:
    for number, line in enumerate(lines, 2):
        try:
            until = line["delisted_at"]
            yield Listing(
                instrument=line["instrument"],
                listed_at=datetime.fromisoformat(line["listed_at"]),
                delisted_at=datetime.fromisoformat(until) if until else None,
            )
        except (DataError, TypeError, ValueError) as error:
            raise DataError(
                f"file {path}, line {number}", "must be a listing", error, "Correct it."
            ) from error
