"""The bars of one exchange and timeframe: one durable file for each append, whatever came.

A close of fifty instruments is one small file. When many have gathered they are folded, a few
instruments at a time, into a folder of months for each instrument. Rows are a set that only grows,
as in `SegmentLog`: what is folded is removed only after it stands in the months, so that it does
not matter who folds or reads when. A fold leaves a receipt that names the files it took; a reader
that has seen them all need not look at any month again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from threading import RLock

import numpy as np
import pyarrow as pa

from dexml.data.storage.bar_rows import BarRows, bars_of
from dexml.data.storage.bar_series import BarSeries
from dexml.data.storage.months import file_rows, last_rows, read_months
from dexml.data.storage.segment_files import (
    COMPACT_AT,
    SEGMENT,
    SegmentFiles,
    digest,
    ending,
    is_whole,
    steadily,
)
from dexml.domain import Bars, Timeframe
from dexml.folders import Folder

__all__ = ["RECEIPTS_KEPT", "BarLog"]

_MANY_ROWS = 20_000  # whole histories are not left where every reader of the exchange meets them
_VISITS = 16  # appends over which a fold is spread
_RECEIPT, RECEIPTS_KEPT = ".folded", 4
_INSTRUMENT = pa.field("instrument", pa.string())


class BarLog:
    """Rows of many series, appended and never changed.

    Parameters
    ----------
    folder : Folder
        Where they arrive; made on the first append.
    home : callable
        Gives the folder of an instrument's months.
    """

    def __init__(self, folder: Folder, home: Callable[[str], Folder], timeframe: Timeframe) -> None:
        self._folder, self._home, self._timeframe = folder, home, timeframe
        self._files = SegmentFiles(folder)
        self._receipts: set[str] = set()
        self._series: dict[str, BarSeries] = {}
        self._arrived: dict[str, dict[str, BarRows]] = {}  # what stands in segments, by their name
        self._folding: tuple[str, ...] = ()
        self._left: dict[str, BarRows] = {}  # what is still to be filed of those
        self._pace = 1  # series filed at each visit
        self._guard = RLock()  # several threads of an actor may read one log
        self._n_torn_at_home: dict[str, int] = {}

    @property
    def n_torn(self) -> int:
        """How many torn segments the last reads left out."""
        return self._files.n_torn + sum(self._n_torn_at_home.values())

    def locked(self) -> AbstractContextManager[None]:
        """Hold the folder against other writers, where that can be done."""
        context: AbstractContextManager[None] = self._folder.locked()
        return context

    def refresh(self) -> None:
        """Hear what was appended since the last time.

        Raises
        ------
        DataError
            If a file that others followed is damaged.
        """
        with self._guard:
            steadily(self._folder, self._refreshed)

    def series(self, instrument: str) -> BarSeries:
        """Return a series as of the last `refresh`; add nothing to it, see `append`."""
        with self._guard:
            if instrument not in self._series:
                series = BarSeries(instrument, self._timeframe)
                series.add(self._stored(instrument))
                self._series[instrument] = series
            return self._series[instrument]

    def bars(self, instrument: str, as_of: datetime | None = None) -> Bars:
        """Return the bars of a series as of the last `refresh`."""
        with self._guard:
            return self.series(instrument).bars(as_of)

    def recent(self, instrument: str, n_bars: int, until: np.datetime64 | None = None) -> Bars:
        """Return at least the last `n_bars` of a series until an instant, if there are so many.

        Months that are older are not read, unless the series is in memory.
        """
        with self._guard:
            if instrument in self._series:
                bars = self._series[instrument].bars()
                return bars if until is None else bars.until(until)
            arrived = [rows[instrument] for rows in self._arrived.values() if instrument in rows]
            rows = last_rows(self._home(instrument), arrived, n_bars, until)
            return bars_of(instrument, self._timeframe, rows)

    def instruments(self) -> set[str]:
        """Return the instruments of the bars that are not folded yet."""
        with self._guard:
            return {name for rows in self._arrived.values() for name in rows}

    def append(self, fresh: Mapping[str, BarRows]) -> None:
        """Add rows by instrument durably; call it while `locked`, after `refresh`."""
        fresh = {name: rows for name, rows in fresh.items() if rows.n_rows}
        if fresh:
            with self._guard:
                self._keep(self._files.add(_table_of(fresh), self._n_folded), fresh)

    def fold_if_many(self) -> None:
        """Go on with a fold, or begin one if many segments have gathered."""
        if not self._has_many:
            return
        with self.locked(), self._guard:
            if self._has_many:  # no other thread was faster
                self._begin()
                self._go_on(self._pace)

    def compact(self) -> int:
        """Fold all segments; return how many there were."""
        with self.locked(), self._guard:
            self._files.drop_torn()
            self.refresh()
            n_segments = len(self._arrived)
            while self._arrived:
                self._begin()
                self._go_on(len(self._left))
            return n_segments

    @property
    def _has_many(self) -> bool:
        arrived = self._arrived.values()
        n_rows = sum(rows.n_rows for segment in arrived for rows in segment.values())
        return bool(self._folding) or len(arrived) >= COMPACT_AT or n_rows >= _MANY_ROWS

    @property
    def _n_folded(self) -> int:
        # numbers go on after a fold: receipts are kept in their order
        return max((int(name.partition("-")[0]) for name in self._receipts), default=0)

    def _refreshed(self) -> None:
        names = self._folder.names()
        receipts = set(ending(names, _RECEIPT))
        missed = self._missed(receipts, names)
        self._files.take_new(names, lambda name, table: self._keep(name, _by_instrument(table)))
        self._arrived = {name: rows for name, rows in self._arrived.items() if name in names}
        for instrument, series in self._series.items() if missed else ():
            series.add(self._stored(instrument))
        self._receipts = receipts

    def _missed(self, receipts: set[str], names: set[str]) -> bool:
        """Tell whether rows were folded that no segment showed us."""
        if not receipts & self._receipts and len(receipts) >= RECEIPTS_KEPT:
            return True  # the receipts do not reach back to our last visit
        known = self._files.seen | set(ending(names, SEGMENT))
        return any(not self._named(receipt) <= known for receipt in receipts - self._receipts)

    def _named(self, receipt: str) -> set[str]:
        content = self._folder.read(receipt)
        return set(content.decode().split()) if is_whole(receipt, content) else {receipt}

    def _keep(self, name: str, rows: dict[str, BarRows]) -> None:
        self._arrived[name] = rows
        for instrument in rows.keys() & self._series.keys():
            self._series[instrument].add(rows[instrument])

    def _stored(self, instrument: str) -> BarRows:
        files, months = read_months(self._home(instrument))
        self._n_torn_at_home[instrument] = files.n_torn
        arrived = [rows[instrument] for rows in self._arrived.values() if instrument in rows]
        return BarRows.joined([*months, *arrived])

    def _begin(self) -> None:
        if not self._folding:
            self._folding = tuple(sorted(self._arrived))
            parts: dict[str, list[BarRows]] = {}
            for name in self._folding:
                for instrument, rows in self._arrived[name].items():
                    parts.setdefault(instrument, []).append(rows)
            self._left = {name: BarRows.joined(rows) for name, rows in parts.items()}
            self._pace = 1 + len(self._left) // _VISITS

    def _go_on(self, n_series: int) -> None:
        for instrument in list(self._left)[:n_series]:
            file_rows(self._home(instrument), self._left[instrument])
            del self._left[instrument]
        if not self._left:
            self._end()

    def _end(self) -> None:
        content = "\n".join(self._folding).encode()
        number = self._folding[-1].partition("-")[0]
        self._folder.write(f"{number}-{digest(content)}{_RECEIPT}", content)
        receipts = ending(self._folder.names(), _RECEIPT)
        self._receipts = set(receipts[-RECEIPTS_KEPT:])
        self._files.remove((*self._folding, *receipts[:-RECEIPTS_KEPT]))
        for name in self._folding:
            self._arrived.pop(name, None)  # if another one folded it too
        self._folding = ()


def _table_of(fresh: Mapping[str, BarRows]) -> pa.Table:
    names = np.repeat(list(fresh), [rows.n_rows for rows in fresh.values()])
    table = BarRows.joined(fresh.values()).table()
    return table.add_column(0, _INSTRUMENT, pa.array(names, _INSTRUMENT.type))


def _by_instrument(table: pa.Table) -> dict[str, BarRows]:
    names = table["instrument"].combine_chunks().dictionary_encode()
    rows, codes = BarRows.of(table), names.indices.to_numpy()
    return {name: rows.take(codes == k) for k, name in enumerate(names.dictionary.to_pylist())}
