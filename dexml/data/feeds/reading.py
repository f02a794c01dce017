"""Bars over REST without blocking: page by page, one limit for all instruments of an exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from dexml.clock import Clock
from dexml.data.feeds.rows import Fetched, checked, paging
from dexml.data.feeds.streaming import ANSWER, Answered
from dexml.data.feeds.translating import translating
from dexml.data.feeds.venues import (
    Venue,
    raw_rows,
    refuse_no_markets,
)
from dexml.data.http import NotAnswered, Patience, answered_at, retry_after_s
from dexml.data.quotes import market_at
from dexml.domain import Timeframe

__all__ = ["Reader"]

AT_ONCE = 4  # requests of one exchange under way

Pause = Callable[[float], Awaitable[None]]


class Reader:
    """Reads pages of bars through one driver.

    ccxt's own throttle spaces the requests. When the exchange answers with `Retry-After`, no
    instrument is asked for until that time has passed.

    Parameters
    ----------
    driver : ccxt async driver
    pause : callable
        Waits so many seconds.
    """

    def __init__(
        self,
        venue: Venue,
        driver: Any,
        timeframe: Timeframe,
        clock: Clock,
        patience: Patience,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._venue, self._driver, self._timeframe = venue, driver, timeframe
        self._clock, self._patience, self._pause = clock, patience, pause
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._opening = asyncio.Lock()
        self._free_at = 0.0  # by the loop's time

    async def open(self) -> None:
        """Read once what the exchange sells."""
        async with self._opening:
            if self._driver.markets is None:
                await self._patience.call_async(self._markets, self._pause)

    async def read(self, instrument: str, first: int | None, until: int | None) -> Fetched:
        """Return the rows that open at `first` or later, up to `until` or the present.

        Raises
        ------
        NotAnswered
            If the exchange does not answer, or not with bars.
        DataError
            If it will not: an instrument that it does not sell.
        """
        await self.open()
        asking = paging(self._venue, self._timeframe.seconds, first, until)
        cursor = next(asking)
        while True:
            page = await self._patience.call_async(
                partial(self._page, instrument, cursor), self._pause
            )
            try:
                cursor = asking.send(page)
            except StopIteration as ended:
                fetched: Fetched = ended.value
                return fetched

    async def _markets(self) -> None:
        subject = f"{self._venue.name} markets"
        await self._asked(partial(self._driver.load_markets, True), subject)
        refuse_no_markets(self._venue, self._driver)

    async def _page(self, instrument: str, first: int | None) -> Fetched:
        symbol = market_at(self._venue.name, instrument)
        limit = self._venue.page if self._venue.asks_limit else None
        since_ms = None if first is None else first * 1_000
        ask = partial(self._driver.fetch_ohlcv, symbol, self._timeframe.value, since_ms, limit)
        subject = f"{self._venue.name} {symbol}"
        rows, answer = await self._asked(ask, subject)
        n_raw = len(raw_rows(self._venue, answer.json, rows))
        answered = answered_at(answer.headers)
        now_s = None if answered is None else int(answered.timestamp())
        latest = max(now_s or 0, int(self._clock.now().timestamp()))
        page = checked(rows, self._timeframe.seconds, first, now_s, latest)
        if n_raw and page.refused and not page.rows:
            raise NotAnswered(subject, "must give bars", page.refused[0], "Try again later.")
        return page

    async def _asked(self, ask: Callable[[], Awaitable[Any]], subject: str) -> tuple[Any, Answered]:
        async with self._slots:
            rest_s = self._free_at - asyncio.get_running_loop().time()
            if rest_s > 0:
                await self._pause(rest_s)
            answer = Answered()
            token = ANSWER.set(answer)
            try:
                with translating(subject):
                    return await ask(), answer
            except NotAnswered as error:
                error.retry_after_s = retry_after_s(answer.headers)
                self._let_rest(error.retry_after_s)
                raise
            finally:
                ANSWER.reset(token)

    def _let_rest(self, asked_s: float | None) -> None:
        if asked_s is not None:
            until = asyncio.get_running_loop().time() + min(asked_s, self._patience.cap_s)
            self._free_at = max(self._free_at, until)
