"""Bars that an exchange no longer shows, read trade by trade: slow, and exact."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import ceil

from dexml.data.feeds.exchange import ExchangeFeed
from dexml.data.feeds.past_trades import (
    NS,
    SILENCE_S,
    PastTrade,
    Tape,
    TradeCandles,
    TradesCost,
)
from dexml.data.feeds.rows import SETTLE_S, Row
from dexml.data.feeds.venues import past_trades_of

__all__ = ["TradeHistory"]


class TradeHistory:
    """Sum the bars of an exchange up from its trades.

    Parameters
    ----------
    feed : ExchangeFeed
        Of an exchange whose past trades can be read, as `Venue.past_trades` says.

    Raises
    ------
    UsageError
        If they cannot.
    """

    def __init__(self, feed: ExchangeFeed) -> None:
        self._feed, self._how = feed, past_trades_of(feed.venue)
        self.timeframe = feed.timeframe
        self._step_s = feed.timeframe.seconds

    def now(self) -> datetime:
        """Return what time it is by the feed's clock."""
        return self._feed.clock.now()

    def cost(self, instrument: str, first_s: int, until_s: int) -> TradesCost:
        """Return what it takes to read the bars that open in [first_s, until_s).

        Asks two or three times: trades are numbered, and the numbers at both ends say how many lie
        between. A search for the price before a first bar without trades comes on top.

        Raises
        ------
        DataError
            As `rows`.
        """
        begin = self._number(instrument, max(0, first_s * NS - 1))
        if begin is None:
            n_trades = 0
        else:
            end = self._number(instrument, until_s * NS - 1) or self._number(instrument, None)
            n_trades = max(0, (end or begin) - begin)
        n_requests = ceil((n_trades + 1) / (self._how.page - 1))
        return TradesCost(
            n_trades=n_trades, n_requests=n_requests, seconds=n_requests * self._how.pace_s
        )

    def rows(self, instrument: str, first_s: int, until_s: int) -> Iterator[list[Row]]:
        """Yield the bars that open in [first_s, until_s), after each answer those that are over.

        Parameters
        ----------
        first_s, until_s : int
            Openings of bars.

        Raises
        ------
        NotAnswered
            If the exchange does not answer, or not with trades.
        DataError
            If it will not, or its trades run back in time.
        """
        candles: TradeCandles | None = None
        over_s = until_s
        for trades, now_s in self._read(instrument, first_s, until_s):
            if candles is None:
                traded = bool(trades) and trades[0].at_s < first_s + self._step_s
                before = None if traded else self._trade_before(instrument, first_s)
                candles = TradeCandles(self._step_s, first_s, before)
            over_s = until_s if now_s is None else min(until_s, now_s - SETTLE_S)
            yield candles.add(trades)
        if candles is not None:
            yield candles.end(over_s)

    def _read(
        self, instrument: str, first_s: int, until_s: int
    ) -> Iterator[tuple[list[PastTrade], int | None]]:
        tape = Tape(first_s, self._how.page)
        while not tape.ended:
            page = self._feed.past_trades(instrument, tape.cursor_ns)
            fresh = tape.new(page)
            inside = [trade for trade in fresh if trade.at_s < until_s]
            yield inside, page.now_s
            if len(inside) < len(fresh):
                return

    # A trade from longer ago says nothing of the span; each part searched is twice the one before.
    def _trade_before(self, instrument: str, first_s: int) -> PastTrade | None:
        oldest_s = max(0, first_s - SILENCE_S - self._step_s)
        back_s, since_s = self._step_s, first_s
        while since_s > oldest_s:
            until_s, since_s = since_s, max(oldest_s, first_s - back_s)
            found = None
            for trades, _ in self._read(instrument, since_s, until_s):
                found = trades[-1] if trades else found
            if found is not None:
                return found
            back_s *= 2
        return None

    def _number(self, instrument: str, since_ns: int | None) -> int | None:
        page = self._feed.past_trades(instrument, since_ns, 1)
        return page.trades[-1].number if page.trades else None
