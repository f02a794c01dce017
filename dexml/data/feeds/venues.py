"""The exchanges dexml is tested with, and how their unmodified ccxt drivers are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlparse

from dexml.data.feeds import hearing
from dexml.data.feeds.past_trades import TradePage, kraken_page
from dexml.data.http import NotAnswered
from dexml.errors import ConfigError, DataError, UsageError

__all__ = [
    "VENUES",
    "PastTrades",
    "Stream",
    "Venue",
    "is_local",
    "open_driver",
    "past_trades_of",
    "raw_rows",
    "refuse_no_markets",
    "translated",
    "translating",
    "venue_named",
]

MAX_ANSWER_BYTES = 8 << 20


def _as_it_is(answer: Any) -> Any:
    return answer


def _kraken_rows(answer: Any) -> Any:
    result = answer.get("result") if isinstance(answer, dict) else None
    lists = [value for value in (result or {}).values() if isinstance(value, list)]
    return lists[0] if len(lists) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How an exchange is listened to.

    Attributes
    ----------
    keys : tuple of str
        Where ccxt keeps the stream's address: `urls["api"]["ws"][...]`.
    path : str
        Of the stream under the base address of a local server.
    watch : "together", "bars" or "trades"
        One subscription for the bars of all instruments; one each; or trades, one each.
    says_final : bool
        It says by itself when a bar will not change any more.
    hear : callable
        Reads a message.
    """

    keys: tuple[str, ...]
    path: str
    watch: Literal["together", "bars", "trades"]
    says_final: bool
    hear: Callable[[Any], list[hearing.Said | hearing.Traded]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrades:
    """How the trades of the past are read; the driver's `fetch_trades` takes `since` in ns.

    Attributes
    ----------
    page : int
        Trades in one answer, at most.
    pace_s : float
        Seconds between requests that the exchange bears.
    read : callable
        Reads the exchange's own answer.
    """

    page: int
    pace_s: float
    read: Callable[[Any], TradePage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """What differs between exchanges.

    Attributes
    ----------
    page : int
        Bars in one answer, at most.
    asks_limit : bool
        The driver accepts a number of bars to ask for.
    by_window : bool
        A page is a span of time, which may be empty though later bars exist.
    keeps : int or None
        The endpoint shows only so many closed bars, whatever is asked.
    path : str
        Of the market data under the base address.
    rows : callable
        Finds the rows of bars in the exchange's own answer.
    stream : Stream or None
        What the exchange tells by itself; None: it is only asked.
    past_trades : PastTrades or None
        Where bars that it no longer shows can be summed up from.
    """

    name: str
    page: int
    asks_limit: bool = True
    by_window: bool = False
    keeps: int | None = None
    path: str = ""
    rows: Callable[[Any], Any] = _as_it_is
    stream: Stream | None = None
    past_trades: PastTrades | None = None


VENUES = {
    venue.name: venue
    for venue in (
        Venue(
            name="binance",
            page=1_000,
            path="/api/v3",
            stream=Stream(
                keys=("spot",),
                path="/stream/ws",
                watch="together",
                says_final=True,
                hear=hearing.binance,
            ),
        ),
        Venue(
            name="kraken",
            page=720,
            asks_limit=False,
            keeps=720,
            rows=_kraken_rows,
            stream=Stream(
                keys=("publicV2",),
                path="/v2",
                watch="bars",
                says_final=False,
                hear=hearing.kraken,
            ),
            past_trades=PastTrades(page=1_000, pace_s=1.2, read=kraken_page),
        ),
        Venue(
            name="coinbaseexchange",
            page=300,
            by_window=True,
            stream=Stream(keys=(), path="", watch="trades", says_final=True, hear=hearing.coinbase),
        ),
    )
}


def venue_named(name: str) -> Venue:
    """Return the venue of that name."""
    if name not in VENUES:
        known = ", ".join(sorted(VENUES))
        raise ConfigError("exchange", f"must be one of {known}", repr(name), "Choose one of them.")
    return VENUES[name]


def past_trades_of(venue: Venue) -> PastTrades:
    """Return how past trades of the venue are read, or refuse."""
    if venue.past_trades is None:
        raise UsageError(
            f"past trades of {venue.name}", "must be readable", "nowhere", "Leave out --trades."
        )
    return venue.past_trades


def open_driver(venue: Venue, url: str | None, timeout_s: float) -> Any:
    """Open ccxt's driver, on `url` instead of the exchange's own address if one is given."""
    import ccxt
    import requests

    from dexml.data.bounded import BoundedAdapter

    session = requests.Session()
    adapter = BoundedAdapter(timeout_s, MAX_ANSWER_BYTES)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    driver = getattr(ccxt, venue.name)(
        {
            "timeout": int(timeout_s * 1_000),
            "session": session,
            "enableRateLimit": not is_local(url),
        }
    )
    driver.enableLastJsonResponse = True  # ccxt's own rows do not tell an error page from no bars
    driver.options["fetchMarkets"] = {"types": ["spot"]}
    if url is not None:
        driver.urls["api"]["public"] = url.rstrip("/") + venue.path
    return driver


def is_local(url: str | None) -> bool:
    """Tell whether a server runs on this machine, and so has no rate limit to respect."""
    return url is not None and urlparse(url).hostname in {"127.0.0.1", "localhost", "::1"}


def raw_rows(venue: Venue, answer: Any) -> list[Any]:
    """Return the rows of an exchange's own answer.

    Raises
    ------
    NotAnswered
        If the answer is not one: ccxt reads an error page as "no bars".
    """
    try:
        rows = venue.rows(answer)
    except (LookupError, TypeError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, list | dict) for row in rows):
        was = repr(answer)[:80]
        raise NotAnswered(f"{venue.name} bars", "must come as rows", was, "Try again later.")
    return rows


def refuse_no_markets(venue: Venue, driver: Any) -> None:
    """Let a driver forget that an exchange sells nothing: some read a web page so."""
    if not driver.markets:
        driver.markets = None
        subject = f"{venue.name} markets"
        raise NotAnswered(subject, "must be listed", "an empty list", "Try again later.")


def translated(read: Callable[[], Any], subject: str) -> Any:
    """Run a call of the driver; its faults come out as `NotAnswered` or `DataError`."""
    with translating(subject):
        return read()


@contextmanager
def translating(subject: str) -> Iterator[None]:
    """Let faults of the driver come out as `NotAnswered` or `DataError`."""
    import aiohttp
    import ccxt

    try:
        yield
    except ccxt.NetworkError as error:
        raise NotAnswered(subject, "must answer", repr(error)[:200], "Try again later.") from error
    except ccxt.BaseError as error:
        if isinstance(error.__cause__, aiohttp.ClientError):  # a broken answer, not a refusal
            raise NotAnswered(subject, "must answer", repr(error)[:200], "Try again.") from error
        raise DataError(
            subject, "must be served", repr(error)[:200], "Check the instrument."
        ) from error
    except (OSError, aiohttp.ClientError) as error:
        raise NotAnswered(subject, "must answer", repr(error)[:200], "Try again later.") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # drivers stumble over empty bodies and wrong types with errors of Python itself
        raise NotAnswered(subject, "must be readable", repr(error), "Try again later.") from error
