"""Which folder of a store holds what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pyarrow as pa

from dexml.data.storage.bar_log import BarLog
from dexml.data.storage.followed import Followed
from dexml.data.storage.schemas import BARS, MACRO, NEWS, QUARANTINE
from dexml.data.storage.segment_files import SEGMENT, TORN, is_whole
from dexml.data.storage.segments import SegmentLog
from dexml.domain import Timeframe, check_instrument
from dexml.errors import DataError
from dexml.folders import Folder, open_folder

__all__ = ["Logs"]


class Logs:
    """The logs under one folder: bars by exchange and timeframe, refused bars, news, macro values.

    Bars arrive under ``arrivals/EXCHANGE/TIMEFRAME`` and are folded into
    ``bars/EXCHANGE/INSTRUMENT/TIMEFRAME``. ``followed`` tells from when somebody listens, see
    `Followed`.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = open_folder(root)
        self._open: dict[tuple[str, ...], SegmentLog] = {}
        self._arrivals: dict[tuple[str, Timeframe], BarLog] = {}
        self.followed = Followed(self._root.under("followed"))

    def __str__(self) -> str:
        return str(self._root)

    def __iter__(self) -> Iterator[SegmentLog | BarLog]:
        """Go through every log that has something to fold."""
        schemas = {"bars": BARS, "quarantine": QUARANTINE, "news": NEWS, "macro": MACRO}
        loose = [parts for parts in self._root.paths() if parts[-1].endswith(SEGMENT)]
        folders = sorted({parts[:-1] for parts in loose})
        for parts in folders:
            if parts[0] == "arrivals":
                yield self.bars(parts[1], Timeframe(parts[2]))
            elif parts[0] in schemas:
                yield self._log(parts, schemas[parts[0]])

    @property
    def n_torn(self) -> int:
        torn = sum(log.n_torn for log in self._open.values())
        return torn + sum(log.n_torn for log in self._arrivals.values())

    def torn(self) -> list[str]:
        """Return the files of which a crash left a part: those set aside, and those at an end."""
        paths = sorted(self._root.paths())
        last = {parts[:-1]: parts for parts in paths if parts[-1].endswith(SEGMENT)}
        aside = [parts for parts in paths if parts[-1].endswith(TORN)]
        return ["/".join(parts) for parts in (*aside, *filter(self._is_torn, last.values()))]

    def _is_torn(self, parts: tuple[str, ...]) -> bool:
        with suppress(FileNotFoundError):  # folded meanwhile
            return not is_whole(parts[-1], self._root.under(*parts[:-1]).read(parts[-1]))
        return False

    @property
    def news(self) -> SegmentLog:
        return self._log(("news",), NEWS)

    @property
    def macro(self) -> SegmentLog:
        return self._log(("macro",), MACRO)

    def bars(self, venue: str, timeframe: Timeframe) -> BarLog:
        """Return the log of believed bars of an exchange."""
        key = (_checked(venue), timeframe)
        if key not in self._arrivals:
            folder = self._root.under("arrivals", venue, str(timeframe))
            self._arrivals[key] = BarLog(folder, partial(self._home, *key), timeframe)
        return self._arrivals[key]

    def quarantine(self, venue: str, instrument: str, timeframe: Timeframe) -> SegmentLog:
        """Return the log of refused bars of a series."""
        return self._log(("quarantine", *_parts(venue, instrument, timeframe)), QUARANTINE)

    def refused_series(self) -> list[tuple[str, str, Timeframe]]:
        """Return the series that ever had a bar refused, sorted; one listing for all."""
        found = {parts[:3] for parts in self._root.under("quarantine").paths() if len(parts) == 4}
        return sorted(
            (venue, name.replace("-", "/"), Timeframe(step)) for venue, name, step in found
        )

    def series(self) -> list[tuple[str, str, Timeframe]]:
        """Return what bars there are: (venue, instrument, timeframe), sorted."""
        # what arrived is looked at first, for it may be folded meanwhile
        arrived = {parts[:2] for parts in self._root.under("arrivals").paths()}
        found = set[tuple[str, str, Timeframe]]()
        for venue, step in arrived:
            log = self.bars(venue, Timeframe(step))
            log.refresh()
            found |= {(venue, name, Timeframe(step)) for name in log.instruments()}
        for parts in self._root.under("bars").paths():
            if len(parts) == 4 and not parts[-1].startswith("."):
                venue, name, step, _ = parts
                found.add((venue, name.replace("-", "/"), Timeframe(step)))
        return sorted(found)

    def _home(self, venue: str, timeframe: Timeframe, instrument: str) -> Folder:
        return self._root.under("bars", *_parts(venue, instrument, timeframe))

    def _log(self, parts: tuple[str, ...], schema: pa.Schema) -> SegmentLog:
        if parts not in self._open:
            self._open[parts] = SegmentLog(self._root.under(*parts), schema)
        return self._open[parts]


def _parts(venue: str, instrument: str, timeframe: Timeframe) -> tuple[str, str, str]:
    return _checked(venue), check_instrument(instrument).replace("/", "-"), str(timeframe)


def _checked(venue: str) -> str:
    if not venue.replace("_", "").replace("-", "").isalnum():
        raise DataError("venue", "must be one word", repr(venue), "Write binance.")
    return venue
