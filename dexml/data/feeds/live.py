"""Bars of one exchange as they close: told by its stream, looked up over REST, never guessed.

The stream brings bars in time; REST repairs what it missed, checks what it told, and carries on
alone while there is no stream. `Track` decides which bars count; here they are fetched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from dexml.clock import Clock
from dexml.data.feeds.hearing import Row, Said, TradeBars, Traded
from dexml.data.feeds.reading import Pause, Reader
from dexml.data.feeds.rows import SETTLE_S, FeedUpdate, Fetched, bars_of
from dexml.data.feeds.streaming import open_async_driver, open_session, watching
from dexml.data.feeds.track import OVERLAP, Track
from dexml.data.feeds.translating import translating
from dexml.data.feeds.venues import (
    venue_named,
)
from dexml.data.http import Patience
from dexml.data.quotes import market_at
from dexml.domain import Timeframe, check_instrument
from dexml.errors import DataError

__all__ = ["LiveFeed"]

STALL_BARS = 2  # a stream that says nothing for so long is begun anew
_LOG = logging.getLogger(__name__)


class LiveFeed:
    """Follow one exchange; call `turn` again and again, and `close` at the end.

    Memory is bounded: of each instrument a few dozen bars are kept, whatever the stream says.

    Parameters
    ----------
    venue, url, instruments, timeframe, timeout_s
        As for `ExchangeFeed`.
    stored : mapping of instrument to instant or None
        Close of the newest bar that is stored; what came after it is fetched first. Without one
        the newest page is taken.
    clock : Clock
        Says what time it is; a bar ends by it and by the exchange's own clock.
    patience : Patience, optional
        How reads are repeated.
    pause : callable, optional
        Waits so many seconds between tries.
    """

    def __init__(
        self,
        venue: str,
        url: str | None,
        instruments: Sequence[str],
        timeframe: Timeframe,
        stored: Mapping[str, datetime | None],
        clock: Clock,
        timeout_s: float = 10.0,
        patience: Patience | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self.venue, self.timeframe = venue_named(venue), Timeframe(timeframe)
        self.instruments = tuple(check_instrument(name) for name in instruments)
        self._url, self._clock, self._timeout_s = url, clock, timeout_s
        self._patience, self._pause = patience or Patience(), pause
        self._tracks = {name: self._track(stored.get(name)) for name in self.instruments}
        self._trades: dict[str, TradeBars] = {}
        self._markets: dict[str, str] = {}
        self._driver: Any = None
        self._session: Any = None
        self._reader: Reader | None = None
        self._watches: list[asyncio.Task[None]] = []
        self._reads: dict[str, asyncio.Task[tuple[Fetched, float]]] = {}
        self._opening: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._heard_at = 0.0
        self._listening_from = 0.0
        self.n_garbled = 0
        self.n_restarts = 0

    def _track(self, stored: datetime | None) -> Track:
        step, stream = self.timeframe.seconds, self.venue.stream
        says_final = stream is not None and stream.says_final
        if stored is None:
            return Track(step, None, says_final)
        last = int(stored.timestamp()) // step * step - step
        # an earlier life may have believed its stream while REST was down: one page tells
        return Track(step, last, says_final, audited=last - (self.venue.page - OVERLAP) * step)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being read over REST, nor due to be."""
        now = self._now()
        due = any(track.due(now) for track in self._tracks.values())
        return not due and not self._reads and self._opening is None

    @property
    def behind(self) -> tuple[str, ...]:
        """Instruments whose last ended bar has not come."""
        step, now = self.timeframe.seconds, self._now()
        due = int(now - SETTLE_S) // step * step - step
        return tuple(
            name for name, track in self._tracks.items() if track.last is None or track.last < due
        )

    @property
    def unheard(self) -> tuple[str, ...]:
        """Instruments of which the stream has not spoken since it began."""
        return tuple(name for name, track in self._tracks.items() if track.newest is None)

    async def turn(self, wait_s: float) -> FeedUpdate:
        """Return what counts since the last turn, after at most `wait_s` seconds without news."""
        self._open()
        await self._wait(wait_s)
        now_at = self._clock.now()
        update, now = replace(FeedUpdate.empty(), seen_at=now_at), now_at.timestamp()
        for name, track in self._tracks.items():
            rows = self._harvest(name, track, update, now) + track.counted()
            refused = track.refused()
            if refused:  # what is said of an instrument replaces what was said before
                update.refused[name] = (*update.refused.get(name, ()), *refused)
            if rows:
                once = {row.opened_s: row for row in rows}
                ordered = [once[opened] for opened in sorted(once)]
                update.closed[name] = bars_of(name, self.timeframe, ordered)
            if track.price is not None:
                update.prices[name] = track.price
            if self._reader is not None and name not in self._reads and track.due(now):
                self._begin_read(self._reader, name, track.asks(now), now)
        await self._begin_anew_if_stalled(now)
        return update

    async def close(self) -> None:
        """End the stream, the reads and the connections."""
        opening = [] if self._opening is None else [self._opening]
        await _ended([*opening, *self._watches, *self._reads.values()])
        if self._driver is not None:
            await self._hang_up()
            await self._session.close()
            self._driver.session = self._driver.tcp_connector = None
        self._driver = self._session = self._reader = None

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _wait(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), wait_s)
        self._news.clear()

    def _open(self) -> None:
        if self._driver is None:
            self._session = open_session()
            self._driver = open_async_driver(
                self.venue, self._url, self._timeout_s, self._session, self._hear, self._stumble
            )
            self._reader = Reader(
                self.venue, self._driver, self.timeframe, self._clock, self._patience, self._pause
            )
        if not self._watches and self._opening is None:
            self._opening = asyncio.create_task(self._begin_watching())

    async def _begin_watching(self) -> None:
        """Learn the markets' names, then listen; without them there is nothing to listen to."""
        try:
            assert self._reader is not None
            await self._reader.open()
            self._listen()
        except DataError as error:
            _LOG.info("%s cannot be listened to yet: %s", self.venue.name, error)
            await self._pause(self._patience.wait_s(3))
        finally:
            self._opening = None

    def _listen(self) -> None:
        symbols = []
        for name in self.instruments:
            symbol = market_at(self.venue.name, name)
            market = self._driver.markets.get(symbol)
            if market is not None:
                symbols.append(symbol)
                self._markets |= {symbol: name, str(market["id"]): name}
        self._note_listening()
        waits = watching(self._driver, self.venue, symbols, self.timeframe.value)
        self._watches = [asyncio.create_task(self._watch(wait)) for wait in waits]

    def _note_listening(self) -> None:
        now = self._now()
        self._heard_at = self._listening_from = now
        self._trades = {}
        for track in self._tracks.values():
            track.begin_listening(now)

    async def _watch(self, wait: Callable[[], Any]) -> None:
        n_failures = 0
        while True:
            try:
                with translating(f"{self.venue.name} stream"):
                    await wait()
                n_failures = 0
                continue
            except DataError as error:
                _LOG.info("%s", error)
            except asyncio.CancelledError:
                if _is_cancelled():  # else ccxt gave up the wait, not we
                    raise
            n_failures += 1
            self._break_off()
            await self._pause(self._patience.wait_s(n_failures))

    def _break_off(self) -> None:
        self._trades = {}
        for track in self._tracks.values():
            track.begin_listening(self._now())
        self._news.set()

    def _hear(self, message: Any) -> None:
        stream = self.venue.stream
        for said in [] if stream is None else stream.hear(message):
            name = self._markets.get(said.market)
            if name is not None:
                self._take_in(name, said)

    def _take_in(self, name: str, said: Said | Traded) -> None:
        track, now = self._tracks[name], self._now()
        self._heard_at = now
        if isinstance(said, Traded):
            bars = self._trades.setdefault(name, TradeBars(self.timeframe.seconds))
            if track.hear_trade(said.at_s, float(said.price), now):
                for bar in bars.add(said):
                    track.hear(bar.row, bar.final, now)
        else:
            track.hear(said.row, said.final, now)
        self._news.set()

    def _stumble(self, error: Exception) -> None:
        self.n_garbled += 1
        _LOG.debug("%s: a message could not be read: %r", self.venue.name, error)

    def _begin_read(self, reader: Reader, name: str, first: int | None, now: float) -> None:
        async def read() -> tuple[Fetched, float]:
            return await reader.read(name, first, int(now)), now

        self._reads[name] = asyncio.create_task(read())
        self._reads[name].add_done_callback(lambda _task: self._news.set())

    def _harvest(self, name: str, track: Track, update: FeedUpdate, now: float) -> list[Row]:
        task = self._reads.get(name)
        if task is None or not task.done():
            return []
        del self._reads[name]
        try:
            fetched, asked_at = task.result()
        except DataError as error:
            update.failed[name] = str(error)
            track.failed(now, self._patience.wait_s(track.n_failures + 1))
            return []
        update.refused[name] = tuple(fetched.refused)
        return track.answered(fetched, asked_at, now)

    async def _begin_anew_if_stalled(self, now: float) -> None:
        step = self.timeframe.seconds
        deaf = any(track.deaf for track in self._tracks.values())
        mute = now - self._heard_at >= STALL_BARS * step
        if not self._watches or not (deaf or mute) or now - self._listening_from < step:
            return
        _LOG.warning("%s says nothing; its stream is begun anew", self.venue.name)
        self.n_restarts += 1
        await _ended(self._watches)
        await self._hang_up()
        self._listen()

    async def _hang_up(self) -> None:
        for address, client in list((self._driver.clients or {}).items()):
            await client.close()
            self._driver.clients.pop(address, None)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
