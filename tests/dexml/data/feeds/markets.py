"""A short planted market, and a feed that follows it into a store while the clock is moved."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from dexml.clock import SimulatedClock
from dexml.data.feeds.live import LiveFeed
from dexml.data.http import Patience
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe, to_datetime
from tests.random_walk import some_bars

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAMES = ("BTC/USDT", "ETH/USDT")
VENUES = ("binance", "kraken", "coinbaseexchange")


def market(n_bars: int, names: tuple[str, ...] = NAMES) -> dict[str, Bars]:
    return {name: some_bars(name, n_bars, seed, Timeframe.M1) for seed, name in enumerate(names)}


def digest(folder: Path, venue: str, names: tuple[str, ...] = NAMES) -> str:
    """Return a digest of every byte of every stored bar."""
    summed = hashlib.sha256()
    for name in names:
        bars = Store(folder).bars(venue, name, Timeframe.M1)
        for column in ("closed_at", *PRICE_COLUMNS):
            summed.update(getattr(bars, column).tobytes())
    return summed.hexdigest()


async def nap(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.005))


class Follower:
    """Lets a feed live through a market and stores what counts, as the product does."""

    def __init__(self, venue: str, url: str, clock: SimulatedClock, folder: Path) -> None:
        self.venue, self.url, self.clock, self.store = venue, url, clock, Store(folder)
        self.n_stored = 0
        self.last = dict.fromkeys(NAMES, np.datetime64(START.replace(tzinfo=None), "ns"))
        self.feed = self._open()

    def _open(self) -> LiveFeed:
        stored = {}
        for name in NAMES:
            bars = self.store.bars(self.venue, name, Timeframe.M1)
            stored[name] = to_datetime(bars.closed_at[-1]) if len(bars) else START
        patience = Patience(n_tries=2, base_s=0.01, jitter=random.Random(0))
        return LiveFeed(
            self.venue, self.url, NAMES, Timeframe.M1, stored, self.clock, 5.0, patience, nap
        )

    async def restart(self) -> None:
        await self.feed.close()
        self.feed = self._open()

    async def turn(self) -> None:
        update = await self.feed.turn(0.01)
        for name, bars in update.closed.items():
            self._assert_no_gap(name, bars)
        self.n_stored += self.store.append_closes(
            self.venue, update.closed, update.seen_at, live=True
        )

    def _assert_no_gap(self, name: str, bars: Bars) -> None:
        steps = np.diff(bars.closed_at[bars.closed_at > self.last[name]], prepend=self.last[name])
        assert (steps == np.timedelta64(1, "m")).all(), f"{name} left out bars before {bars}"
        self.last[name] = max(self.last[name], bars.closed_at[-1])

    async def settle(self, limit_s: float, listening: bool = False) -> bool:
        """Take turns until all that ended is there; False if that took too long."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            await self.turn()
            heard = not (listening and self.feed.unheard)
            if heard and self.feed.is_idle and not self.feed.behind:
                return True
        return False

    async def live_a_bar(self, limit_s: float) -> bool:
        """Move the clock over the end of a bar, and on until streams and REST must have told it."""
        self.clock.advance(MINUTE - timedelta(seconds=8))  # the end
        await self.settle(min(limit_s, 0.05))
        self.clock.advance(timedelta(seconds=8))
        return await self.settle(limit_s)
