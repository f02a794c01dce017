"""Websocket channels that follow the clock: what an exchange says as a bar opens and closes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web

from dexml.simulation.exchanges.book import Book, Candle
from dexml.simulation.exchanges.faults import Fault, Switchboard
from dexml.simulation.exchanges.spoiling import PAGE, REFUSALS, refusal

__all__ = ["Channel", "Words"]

TICK_S = 0.004  # how often the clock is looked at
FLOOD = " " * (11 << 20)  # drivers refuse messages of over 10 MiB
HELD_FOR = {Fault.DISORDER: 1, Fault.LATE: 3}  # messages of the instrument that go first

Message = dict[str, Any]


class Words(NamedTuple):
    """How an exchange speaks.

    Attributes
    ----------
    greeting : list of dict
        Sent to whoever connects.
    answer : callable
        Takes what a client said; returns what to answer, and the instruments it subscribed to.
    tell : callable
        Takes instrument and candle; returns the messages about it.
    damage : callable
        Takes a message, and what to put in place of a price; for a row or a trade of it.
    """

    greeting: list[Message]
    answer: Callable[[Message], tuple[list[Message], list[str]]]
    tell: Callable[[str, Candle], list[Message]]
    damage: Callable[[Message, object], Message]


class _Held(NamedTuple):
    left: int
    message: Message


class Channel:
    """Serve the stream of one exchange to any number of connections."""

    def __init__(self, venue: str, book: Book, board: Switchboard, words: Words) -> None:
        self._venue, self._book, self._board, self._words = venue, book, board, words

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to open the stream."""
        for fault in self._board.strike(self._venue, "dial", None):
            if fault in REFUSALS:
                return refusal(fault)
            if fault in (Fault.RESET, Fault.DROP) and request.transport is not None:
                request.transport.abort()
                return web.Response()  # which nobody reads
        socket = web.WebSocketResponse(timeout=0.2)
        try:
            await socket.prepare(request)
        except ConnectionError:
            return web.Response()
        wire = _Wire(socket, request, self._board, self._venue, self._words.damage)
        telling = asyncio.ensure_future(self._tell(wire))
        try:
            await wire.say(None, self._words.greeting)
            async for received in socket:
                if received.type is WSMsgType.TEXT:
                    answers, instruments = self._words.answer(json.loads(received.data))
                    await wire.say(None, answers)
                    wire.told.update(dict.fromkeys(instruments))
        except ConnectionError:
            pass  # the other side went away
        finally:
            telling.cancel()
        return socket

    async def _tell(self, wire: _Wire) -> None:
        seen = None
        with suppress(ConnectionError):  # the other side went away
            while not wire.socket.closed:
                view = (self._book.now_s(), len(wire.told))
                if view != seen:
                    seen = view
                    for instrument in list(wire.told):
                        await self._catch_up(wire, instrument)
                await asyncio.sleep(TICK_S)

    async def _catch_up(self, wire: _Wire, instrument: str) -> None:
        last = wire.told[instrument]
        if last is None:
            candles = self._book.candles(instrument, newest=1)
        else:
            candles = self._book.candles(instrument, first_s=last.opened_s)
        for candle in candles:
            for state in _states(candle, wire.told[instrument]):
                wire.told[instrument] = state
                await wire.say(instrument, self._words.tell(instrument, state))


def _states(candle: Candle, last: Candle | None) -> Iterable[Candle]:
    """Yield what there is to say of a candle: that it opened, and that it closed."""
    if last is None or candle.opened_s > last.opened_s:
        price = candle.open
        yield candle._replace(high=price, low=price, close=price, volume=0.0, closed=False)
        if candle.closed:
            yield candle
    elif candle.closed and not last.closed:
        yield candle


class _Wire:
    """One connection: sends messages, spoilt as the switchboard says."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        board: Switchboard,
        venue: str,
        damage: Callable[[Message, object], Message],
    ) -> None:
        self.socket, self._request, self._board, self._venue = socket, request, board, venue
        self._damage = damage
        self.told: dict[str, Candle | None] = {}  # by instrument subscribed to, what was said
        self._held: dict[str, list[_Held]] = {}
        self._before: dict[str, Message] = {}

    async def say(self, instrument: str | None, messages: Iterable[Message]) -> None:
        for message in messages:
            if instrument is None:
                await self._send(json.dumps(message))
            else:
                await self._say_spoilt(instrument, message)

    async def _say_spoilt(self, instrument: str, message: Message) -> None:
        faults = self._board.strike(self._venue, "stream", instrument)
        if await self._ended(faults) or Fault.SILENT in faults:
            return
        for held in [fault for fault in faults if fault in HELD_FOR][:1]:
            queue = self._held.setdefault(instrument, [])
            queue.append(_Held(HELD_FOR[held], message))
            return
        if Fault.FROZEN in faults:
            message = self._before.get(instrument, message)
        self._before[instrument] = message
        for text in self._texts(message, faults):
            await self._send(text)
        await self._release(instrument)

    async def _ended(self, faults: tuple[Fault, ...]) -> bool:
        if Fault.RESET in faults and self._request.transport is not None:
            self._request.transport.abort()
            return True
        if {Fault.DROP, *REFUSALS} & set(faults):
            await self.socket.close()
            return True
        return False

    def _texts(self, message: Message, faults: tuple[Fault, ...]) -> list[str]:
        texts = [json.dumps(message)]
        for fault, value in _DAMAGES.items():
            if fault in faults:
                texts = [json.dumps(self._damage(message, value))]
        if Fault.REVISED in faults:
            texts = [json.dumps(self._damage(message, None)), *texts]
        if Fault.DUPLICATE in faults:
            texts = [text for text in texts for _ in range(2)]
        if Fault.CUT in faults:
            texts = [text[: len(text) // 2] for text in texts]
        for fault, replaced in _BODIES.items():
            if fault in faults:
                texts = [replaced]
        return texts

    async def _release(self, instrument: str) -> None:
        queue = [_Held(left - 1, message) for left, message in self._held.get(instrument, ())]
        self._held[instrument] = [held for held in queue if held.left > 0]
        for held in queue:
            if held.left <= 0:
                await self._send(json.dumps(held.message))

    async def _send(self, text: str) -> None:
        if not self.socket.closed:
            await self.socket.send_str(text)


_DAMAGES: Mapping[Fault, object] = {Fault.WRONG_TYPES: {"price": []}, Fault.NAN: "NaN"}
_BODIES = {Fault.PAGE: PAGE, Fault.BOMB: FLOOD}
