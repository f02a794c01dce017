"""A live feed in a thread of its own, so that its owner can answer while it works."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from dexml.data.feeds.live import LiveFeed
from dexml.data.feeds.rows import FeedUpdate

__all__ = ["Following"]

STOP_S = 15.0
_LOG = logging.getLogger(__name__)


class Following:
    """Take turns of a feed in the background until `stop`.

    Parameters
    ----------
    feed : LiveFeed
        Used by this thread alone.
    keep : callable
        Stores an update and returns how many bars were new; the feed waits for it, so what is not
        stored yet is never more than one update.
    tick_s : float
        Longest wait for news; the clock is looked at so often.
    """

    def __init__(
        self, feed: LiveFeed, keep: Callable[[FeedUpdate], int], tick_s: float = 1.0
    ) -> None:
        self._feed, self._keep, self._tick_s = feed, keep, tick_s
        self._told, self._n_new, self._lock = FeedUpdate.empty(), 0, threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still follows; if not, the exchange must be asked in another way."""
        return self._thread.is_alive()

    def told(self) -> tuple[FeedUpdate, int]:
        """Return what was said since the last call, without the bars, and how many were new."""
        with self._lock:
            told = (self._told, self._n_new)
            self._told, self._n_new = FeedUpdate.empty(), 0
        return told

    def stop(self) -> None:
        """End the thread and the connections."""
        self._stopping.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._follow())
        except Exception:  # the thread's edge: the owner sees that it is gone, and polls
            _LOG.exception("the live feed of %s ended", self._feed.venue.name)

    async def _follow(self) -> None:
        try:
            while not self._stopping.is_set():
                update = await self._feed.turn(self._tick_s)
                n_new = self._keep(update)
                with self._lock:
                    self._n_new += n_new
                    self._told = self._told.with_what(update).without_bars()
        finally:
            await self._feed.close()
