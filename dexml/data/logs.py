"""Which folder of a store holds what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from dexml.data.folders import open_folder
from dexml.data.schemas import BARS, MACRO, NEWS, QUARANTINE
from dexml.data.segments import SegmentLog
from dexml.domain import Timeframe, check_instrument
from dexml.errors import DataError

__all__ = ["Logs"]


class Logs:
    """The logs under one folder: bars and refused bars by series, news, macro values."""

    def __init__(self, root: str | Path) -> None:
        self._root = open_folder(root)
        self._open: dict[tuple[str, ...], SegmentLog] = {}

    def __str__(self) -> str:
        return str(self._root)

    def __iter__(self) -> Iterator[SegmentLog]:
        """Go through every log that has a file."""
        schemas = {"bars": BARS, "quarantine": QUARANTINE, "news": NEWS, "macro": MACRO}
        folders = {parts[:-1] for parts in self._root.paths() if parts[0] in schemas}
        return iter([self._log(parts, schemas[parts[0]]) for parts in sorted(folders)])

    @property
    def n_torn(self) -> int:
        return sum(log.n_torn for log in self._open.values())

    @property
    def news(self) -> SegmentLog:
        return self._log(("news",), NEWS)

    @property
    def macro(self) -> SegmentLog:
        return self._log(("macro",), MACRO)

    def bars(self, venue: str, instrument: str, timeframe: Timeframe) -> SegmentLog:
        """Return the log of believed bars of a series."""
        return self._log(("bars", *_parts(venue, instrument, timeframe)), BARS)

    def quarantine(self, venue: str, instrument: str, timeframe: Timeframe) -> SegmentLog:
        """Return the log of refused bars of a series."""
        return self._log(("quarantine", *_parts(venue, instrument, timeframe)), QUARANTINE)

    def series(self) -> list[tuple[str, str, Timeframe]]:
        """Return what bars there are: (venue, instrument, timeframe), sorted."""
        found = {parts[:3] for parts in self._root.under("bars").paths() if len(parts) == 4}
        return [
            (venue, name.replace("-", "/"), Timeframe(step)) for venue, name, step in sorted(found)
        ]

    def _log(self, parts: tuple[str, ...], schema: pa.Schema) -> SegmentLog:
        if parts not in self._open:
            self._open[parts] = SegmentLog(self._root.under(*parts), schema)
        return self._open[parts]


def _parts(venue: str, instrument: str, timeframe: Timeframe) -> tuple[str, str, str]:
    if not venue.replace("_", "").replace("-", "").isalnum():
        raise DataError("venue", "must be one word", repr(venue), "Write binance.")
    return venue, check_instrument(instrument).replace("/", "-"), str(timeframe)
