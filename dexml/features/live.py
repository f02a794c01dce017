"""The panel one close at a time: the bits of `build_panel`, at the cost of the windows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bar, Bars, History, Timeframe, to_datetime64, unchecked
from dexml.errors import DataError
from dexml.features.cross_section import CROSS_SECTION_COLUMNS, compare
from dexml.features.indicators import INDICATORS, Indicator
from dexml.features.live_context import LiveContext
from dexml.features.live_frame import LiveFrame
from dexml.features.live_health import LiveHealth
from dexml.features.live_studies import Handles, LiveHigher
from dexml.features.live_venues import LiveVenues
from dexml.features.panel import warm_up
from dexml.features.price import MOVES, realised_volatility
from dexml.features.rolling import log_returns
from dexml.features.studies import Derived, HigherStudy, Recursion, compute_studies, in_order
from dexml.features.tape import Rows, Tape
from dexml.features.windows import Reader, rows_read, window

__all__ = ["LivePanel"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Closes = Mapping[str, Mapping[str, float]]

_FIELDS = ("open", "high", "low", "close", "volume")
_NOTHING = (np.nan,) * len(_FIELDS)
_numbers = attrgetter(*_FIELDS)


class LivePanel:
    """The panel of a running system.

    It is opened on the stored history, from each instrument's first recorded bar, and then hears
    each close once. What it returns has the bits of
    `build_panel(history_until_now).loc[[closed_at]]`; what it costs depends on the windows of the
    registered indicators, not on the length of the history. It keeps no more than its windows.

    A live panel cannot be pickled, for TA-Lib's handles cannot: after a restart open a new one on
    the stored history. The indicators are those that are registered when it is opened.

    Parameters
    ----------
    history : History
        Every instrument that will ever be heard; its bars may be empty.

    Examples
    --------
    >>> from dexml.features.panel import build_panel
    >>> close = 100.0 + np.sin(np.arange(400.0))
    >>> bars = Bars(
    ...     instrument="BTC/USDT",
    ...     timeframe=Timeframe.H1,
    ...     closed_at=np.datetime64("2024-01-01", "ns") + np.arange(400) * np.timedelta64(1, "h"),
    ...     open=close, high=close + 1.0, low=close - 1.0, close=close, volume=np.ones(400),
    ... )
    >>> live = LivePanel(History(bars={"BTC/USDT": bars.take(slice(0, 399))}))
    >>> live.append([bars.bar(399)]).equals(build_panel(History(bars={"BTC/USDT": bars})).tail(1))
    True
    """

    def __init__(self, history: History) -> None:
        self._names = tuple(sorted(history.bars))
        self._timeframe: Timeframe = history.timeframe
        self._skip = warm_up(self._timeframe)
        self._indicators: tuple[Indicator, ...] = tuple(INDICATORS.values())
        studies = in_order([MOVES, *(study for one in self._indicators for study in one.studies)])
        self._derived = [one for one in studies if isinstance(one, Derived)]
        self._recursions = [one for one in studies if isinstance(one, Recursion)]
        n = len(self._names)
        self._higher = {one: LiveHigher(one, n) for one in studies if isinstance(one, HigherStudy)}
        self._handles = Handles(self._recursions, n)
        self._counts = np.zeros(n, dtype=np.int64)
        self._first = np.zeros(n, dtype="datetime64[ns]")
        self._kept = [name for one in self._derived if one.kept for name in one.outputs]
        self._tape = Tape((*_FIELDS, *self._kept), n, self._capacity())
        self._last = max(
            (bars.closed_at[-1] for bars in history.bars.values() if len(bars)), default=None
        )
        for column, name in enumerate(self._names):
            self._load(column, history.bars[name])
        self._context = LiveContext(history, self._names, self._last)
        self._venues = LiveVenues(history, self._names)
        self._health = LiveHealth(history, self._names)
        self._frame = LiveFrame(self._names)
        self._read: dict[int, Rows] = {}

    def _capacity(self) -> int:
        readers: tuple[Reader, ...] = (*self._indicators, *self._derived)
        longest = max((rows_read(one, self._timeframe) for one in readers), default=1)
        return max(self._skip, longest) + 1

    def _load(self, column: int, bars: Bars) -> None:
        self._counts[column] = len(bars)
        if not len(bars):
            return
        self._first[column] = bars.closed_at[0]
        values = compute_studies(bars, in_order(one for one in self._derived if one.kept))
        fields = {name: getattr(bars, name) for name in _FIELDS}
        kept = {name: values[name] for name in self._kept}
        self._tape.load(column, bars.closed_at, fields | kept)
        for higher in self._higher.values():
            higher.load(column, bars)
        if len(bars) > self._skip:
            self._handles.open(column, fields | kept)

    def append(
        self,
        bars: Iterable[Bar],
        *,
        news: pd.DataFrame | None = None,
        macro: pd.DataFrame | None = None,
        venue_closes: Closes | None = None,
        refused: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Hear the bars that closed at one instant, and the facts that came in since the last.

        Parameters
        ----------
        bars : iterable of Bar
            All of one close, later than any before; an instrument may be missing. Closes of one
            instrument are at least a timeframe apart.
        news, macro, refused : DataFrame, optional
            As in `History`. They may come late or early: each counts from its own `known_at`.
        venue_closes : mapping of instrument to mapping of exchange to close, optional

        Returns
        -------
        DataFrame of float64, shape (n_instruments past their warm-up, n_features)
            The rows of this close.

        Raises
        ------
        DataError
            If a bar is not of a later close or of an unknown instrument, or if an indicator gives
            NaN or infinity. After the latter the panel must be opened again.
        """
        heard = {bar.instrument: bar for bar in bars}
        closed_at = self._check(heard)
        found = [heard.get(name) for name in self._names]
        table = np.array([_NOTHING if one is None else _numbers(one) for one in found])
        present = np.array([one is not None for one in found])
        row = dict(zip(_FIELDS, np.ascontiguousarray(table.T), strict=True))
        self._context.hear(news, macro)
        columns = self._advance(closed_at, present, row)
        ready = present & (self._counts > self._skip)
        columns |= self._users(ready)
        ordered = {name: columns[name] for one in self._indicators for name in one.columns}
        if len(self._names) > 1:
            ordered |= self._crossed(present)
        ordered |= self._venues.append(closed_at, present, venue_closes or {}, self._tape["close"])
        disputed = present & self._venues.disputed(venue_closes or {})
        ordered |= self._health.append(closed_at, self._tape.closed_at, disputed, refused)
        ordered |= self._context.read(closed_at, present, self._first, ordered)
        return self._frame.rows(closed_at, ready, ordered)

    def reopen(self, history: History, names: Collection[str], *, facts: bool) -> None:
        """Read again what changed in the past, and leave the other instruments as they are.

        Parameters
        ----------
        history : History
            What is known of every instrument until the last close that was heard.
        names : collection of str
            Instruments whose bars, or closes at the same exchanges as before, came late or were
            revised.
        facts : bool
            Whether news, macro values or refused bars are to be read again, too.
        """
        for column, name in enumerate(self._names):
            if name in names:
                self._forget(column)
                self._load(column, history.bars[name])
                self._venues.reload(column, history)
                self._health.reload(column, history)
        if facts:
            self._context = LiveContext(history, self._names, self._last)
            self._health = LiveHealth(history, self._names)

    def _forget(self, column: int) -> None:
        self._tape.clear(column)
        self._handles.close(column)
        for higher in self._higher.values():
            higher.forget(column)

    def raw(self) -> pd.DataFrame:
        """Return what charts show at each instrument's newest bar: TA-Lib's columns, NaN if young.

        Returns
        -------
        DataFrame of float64, shape (n_instruments, n_raw)
            Index instrument; the columns that `compute_columns(bars, raw=True)` adds.
        """
        values = self._handles.read()
        table = {name: values[name][0].copy() for one in self._indicators for name in one.raw}
        return pd.DataFrame(table, index=pd.Index(self._names, name="instrument"))

    def _check(self, heard: Mapping[str, Bar]) -> np.datetime64:
        stamps = {bar.closed_at for bar in heard.values()}
        strange = sorted(set(heard) - set(self._names))
        if strange or len(stamps) != 1:
            raise DataError(
                "live panel",
                f"must hear bars of one close of {', '.join(self._names)}",
                strange or sorted(stamps),
                "Open it on a history that names every instrument, and append close by close.",
            )
        closed_at = to_datetime64(stamps.pop())
        step = np.timedelta64(self._timeframe.seconds, "s")
        too_soon = closed_at < self._tape.closed_at[-1] + step
        early = [name for k, name in enumerate(self._names) if name in heard and too_soon[k]]
        if early or (self._last is not None and closed_at <= self._last):
            raise DataError(
                "live panel",
                f"must hear closes in order and a whole timeframe apart, the last was {self._last}",
                f"{closed_at} of {', '.join(early or heard)}",
                "A revised or late bar changes the past: open it again on the stored history.",
            )
        self._last = closed_at
        return closed_at

    def _advance(
        self, closed_at: np.datetime64, present: Mask, row: dict[str, Floats]
    ) -> dict[str, Floats]:
        self._first[present & (self._counts == 0)] = closed_at
        self._counts += present
        self._tape.push(present, closed_at, row)
        self._read = {}
        values: dict[str, Floats] = {}
        for study in self._derived:
            found = study.compute(self._rows(study), values)
            for name in study.outputs:
                newest = found[name][-1:]
                if study.kept:
                    self._tape.set(name, present, newest[0])
                values[name] = self._tape[name] if study.kept else newest
        newest_row = row | {name: self._tape[name][-1] for name in self._kept}
        self._handles.update(present, newest_row)
        self._ripen(present)
        values |= self._handles.read()
        for higher in self._higher.values():
            values |= higher.update(present, closed_at, row)
        return self._shared(values)

    # An instrument's first row past the warm-up: all its bars are still on the tape.
    def _ripen(self, present: Mask) -> None:
        for column in np.flatnonzero(present & (self._counts == self._skip + 1)):
            fields = (*_FIELDS, *self._kept)
            n = self._skip + 1
            series = {name: np.ascontiguousarray(self._tape[name][-n:, column]) for name in fields}
            self._handles.open(int(column), series)

    def _rows(self, reader: Reader) -> Rows:
        n = rows_read(reader, self._timeframe)
        if n not in self._read:
            fields = {name: self._tape[name][-n:] for name in _FIELDS}
            stamps = self._tape.closed_at[-n:]
            self._read[n] = Rows(timeframe=self._timeframe, closed_at=stamps, **fields)
        return self._read[n]

    def _shared(self, values: Mapping[str, Floats]) -> dict[str, Floats]:
        columns: dict[str, Floats] = {}
        for one in self._indicators:
            if one.shared:
                rows = self._rows(one)
                found = one.compute(rows, values) if one.studies else one.compute(rows)
                columns |= {name: found[name][-1] for name in one.columns}
        return columns

    def _users(self, ready: Mask) -> dict[str, Floats]:
        own = [one for one in self._indicators if not one.shared]
        columns = {name: np.full(len(self._names), np.nan) for one in own for name in one.columns}
        for column in np.flatnonzero(ready) if own else ():
            bars = self._bars(int(column))
            for one in own:
                found = one.compute(window(bars, len(bars) - one.window, len(bars)))
                for name in one.columns:
                    columns[name][column] = found[name][-1]
        return columns

    def _bars(self, column: int) -> Bars:
        fields = {name: np.ascontiguousarray(self._tape[name][1:, column]) for name in _FIELDS}
        stamps = np.ascontiguousarray(self._tape.closed_at[1:, column])
        return unchecked(self._names[column], self._timeframe, stamps, fields)

    def _crossed(self, present: Mask) -> dict[str, Floats]:
        moves = [log_returns(self._tape["close"], n)[0] for n in (1, 6, 24)]
        sigma = realised_volatility(self._tape["squared_return"], 24)[0]
        *moves, sigma = (np.where(present, one, np.nan)[:, None] for one in (*moves, sigma))
        columns = compare(moves, sigma)
        return {name: columns[name][:, 0] for name in CROSS_SECTION_COLUMNS}
