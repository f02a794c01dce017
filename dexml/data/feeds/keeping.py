"""Puts what an exchange said into the store, and remembers how far it got."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime

from dexml.data.feeds.rows import FeedUpdate
from dexml.data.feeds.setting_aside import keep_refused
from dexml.data.storage.store import Store
from dexml.domain import Timeframe, to_datetime

__all__ = ["Keeper"]


class Keeper:
    """The one writer of an exchange's bars in this process; threads take turns.

    Attributes
    ----------
    last : dict of instant or None
        Close of the newest bar stored, by instrument.
    """

    def __init__(
        self, store: Store, venue: str, instruments: Sequence[str], timeframe: Timeframe
    ) -> None:
        self._store, self._venue, self._lock = store, venue, threading.Lock()
        self._timeframe = Timeframe(timeframe)
        self.last = {name: self._recall(name, timeframe) for name in instruments}

    @property
    def newest(self) -> datetime | None:
        """Newest close of all."""
        return max((at for at in self.last.values() if at is not None), default=None)

    def keep(self, update: FeedUpdate, live: bool = True) -> int:
        """Store the closed bars of an update, and set aside what cannot be bars.

        Returns how many bars were new or changed.

        Parameters
        ----------
        live : bool
            As `Store.append_closes` takes it; False for history that was asked for.
        """
        with self._lock:
            keep_refused(self._store, self._venue, self._timeframe, update)
            n_new = self._store.append_closes(self._venue, update.closed, update.seen_at, live)
            for name, bars in update.closed.items():
                newest, last = to_datetime(bars.closed_at[-1]), self.last[name]
                self.last[name] = newest if last is None else max(newest, last)
        return n_new

    def _recall(self, name: str, timeframe: Timeframe) -> datetime | None:
        bars = self._store.bars(self._venue, name, Timeframe(timeframe))
        return to_datetime(bars.closed_at[-1]) if len(bars) else None
