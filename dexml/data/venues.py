"""The exchanges dexml is tested with, and how their unmodified ccxt drivers are opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from dexml.data.http import NotAnswered
from dexml.errors import ConfigError, DataError

__all__ = ["VENUES", "Venue", "open_driver", "quote_at", "raw_rows", "translated", "venue_named"]

MAX_ANSWER_BYTES = 8 << 20


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
    usd_for_usdt : bool
        The exchange quotes USD; an instrument in USDT is read from its USD market.
    path : str
        Of the market data under the base address.
    """

    name: str
    page: int
    asks_limit: bool = True
    by_window: bool = False
    keeps: int | None = None
    usd_for_usdt: bool = False
    path: str = ""

    def symbol(self, instrument: str) -> str:
        """Return the exchange's name of `instrument`.

        Examples
        --------
        >>> VENUES["kraken"].symbol("BTC/USDT"), VENUES["binance"].symbol("BTC/USDT")
        ('BTC/USD', 'BTC/USDT')
        """
        base, quote = instrument.split("/")
        return f"{base}/USD" if self.usd_for_usdt and quote == "USDT" else instrument


VENUES = {
    venue.name: venue
    for venue in (
        Venue(name="binance", page=1_000, path="/api/v3"),
        Venue(name="kraken", page=720, asks_limit=False, keeps=720, usd_for_usdt=True),
        Venue(name="coinbaseexchange", page=300, by_window=True, usd_for_usdt=True),
    )
}


def venue_named(name: str) -> Venue:
    """Return the venue of that name."""
    if name not in VENUES:
        known = ", ".join(sorted(VENUES))
        raise ConfigError("exchange", f"must be one of {known}", repr(name), "Choose one of them.")
    return VENUES[name]


def quote_at(venue: str, instrument: str) -> str:
    """Return the currency in which bars of `instrument` filed under `venue` are quoted.

    Examples
    --------
    >>> quote_at("kraken", "BTC/USDT"), quote_at("recorded", "BTC/USDT")
    ('USD', 'USDT')
    """
    known = VENUES.get(venue)
    return (known.symbol(instrument) if known else instrument).split("/")[1]


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
        {"timeout": int(timeout_s * 1_000), "session": session, "enableRateLimit": not _local(url)}
    )
    driver.enableLastJsonResponse = True  # ccxt's own rows do not tell an error page from no bars
    driver.options["fetchMarkets"] = {"types": ["spot"]}
    if url is not None:
        driver.urls["api"]["public"] = url.rstrip("/") + venue.path
    return driver


def _local(url: str | None) -> bool:
    # a server on this machine has no limit to respect, and Kraken's costs a second a call
    return url is not None and urlparse(url).hostname in {"127.0.0.1", "localhost", "::1"}


def raw_rows(venue: Venue, answer: Any) -> list[Any]:
    """Return the rows of an exchange's own answer.

    Raises
    ------
    NotAnswered
        If the answer is not one: ccxt reads an error page as "no bars".
    """
    rows = _kraken_rows(answer) if venue.name == "kraken" else answer
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        was = repr(answer)[:80]
        raise NotAnswered(f"{venue.name} bars", "must come as rows", was, "Try again later.")
    return rows


def _kraken_rows(answer: Any) -> Any:
    result = answer.get("result") if isinstance(answer, dict) else None
    lists = [value for value in (result or {}).values() if isinstance(value, list)]
    return lists[0] if len(lists) == 1 else None


def translated(read: Callable[[], Any], subject: str) -> Any:
    """Run a call of the driver; its faults come out as `NotAnswered` or `DataError`."""
    import ccxt

    try:
        return read()
    except ccxt.NetworkError as error:
        raise NotAnswered(subject, "must answer", repr(error)[:200], "Try again later.") from error
    except ccxt.BaseError as error:
        raise DataError(
            subject, "must be served", repr(error)[:200], "Check the instrument."
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # drivers stumble over empty bodies and wrong types with errors of Python itself
        raise NotAnswered(subject, "must be readable", repr(error), "Try again later.") from error
