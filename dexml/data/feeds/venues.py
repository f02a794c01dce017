"""The exchanges dexml is tested with and any other, and how their ccxt drivers are opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlparse

from dexml.data.feeds import hearing
from dexml.data.feeds.any_exchange import has_driver, nearest, page_of, pointed, row_lists
from dexml.data.feeds.past_trades import TradePage, kraken_page
from dexml.data.http import NotAnswered
from dexml.errors import ConfigError, UsageError

__all__ = [
    "VENUES",
    "PastTrades",
    "Stream",
    "Venue",
    "is_local",
    "is_untested",
    "open_driver",
    "past_trades_of",
    "point_at",
    "raw_rows",
    "refuse_no_markets",
    "venue_named",
]

MAX_ANSWER_BYTES = 8 << 20
_CAUTIOUS_PAGE = 100  # bars that are looked beyond if an answer of unknown length is empty


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
    rows : callable or None
        Finds the rows of bars in the exchange's own answer. None: nobody said where they are; an
        answer without bars is believed only if there is an empty list somewhere in it.
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
    rows: Callable[[Any], Any] | None = _as_it_is
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
    """Return the venue of that name: one of `VENUES`, else what ccxt's driver tells of it.

    Raises
    ------
    ConfigError
        If ccxt has no such exchange, or cannot read its bars.
    """
    if name in VENUES:
        return VENUES[name]
    reads_bars, page = page_of(name)
    if not reads_bars:
        rule = f"must be one of {', '.join(sorted(VENUES))}, or another that ccxt reads bars of"
        fix = f"Choose one of them, or {', '.join(nearest(name, sorted(VENUES)))}."
        raise ConfigError("exchange", rule, repr(name), fix)
    return Venue(
        name=name,
        page=page or _CAUTIOUS_PAGE,
        asks_limit=page is not None,
        by_window=True,  # an empty answer says nothing of what comes after it
        rows=None,
    )


def is_untested(name: str) -> bool:
    """Tell whether a name is that of an exchange that dexml reads without having been tested.

    Examples
    --------
    >>> is_untested("bitstamp"), is_untested("kraken"), is_untested("recorded")
    (True, False, False)
    """
    return name not in VENUES and has_driver(name)


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
    if venue.name in VENUES:
        driver.options["fetchMarkets"] = {"types": ["spot"]}
    if url is not None:
        point_at(driver, venue, url)
    return driver


def point_at(driver: Any, venue: Venue, url: str) -> None:
    """Let a driver ask a server for market data instead of the exchange."""
    if venue.name in VENUES:
        driver.urls["api"]["public"] = url.rstrip("/") + venue.path
    else:
        driver.urls["api"] = pointed(driver.urls["api"], url)


def is_local(url: str | None) -> bool:
    """Tell whether a server runs on this machine, and so has no rate limit to respect."""
    return url is not None and urlparse(url).hostname in {"127.0.0.1", "localhost", "::1"}


def raw_rows(venue: Venue, answer: Any, parsed: list[Any]) -> list[Any]:
    """Return the rows of an exchange's own answer.

    Parameters
    ----------
    parsed : list
        What ccxt made of it; where nobody said where the rows are, these count, unless there are
        none.

    Raises
    ------
    NotAnswered
        If the answer is not one: ccxt reads an error page as "no bars".
    """
    try:
        rows = venue.rows(answer) if venue.rows else parsed or next(row_lists(answer))
    except (LookupError, TypeError, StopIteration):
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
