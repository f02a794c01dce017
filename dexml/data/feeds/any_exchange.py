"""What can be said of an exchange that nobody described for dexml: what its ccxt driver tells."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["has_driver", "nearest", "page_of", "pointed", "row_lists"]

_DEEP = 4  # levels of an answer that are looked through for rows


def page_of(name: str) -> tuple[bool, int | None]:
    """Return whether ccxt has a driver that reads bars, and how many it says are in an answer."""
    import ccxt

    if name not in ccxt.exchanges:
        return False, None
    driver = getattr(ccxt, name)()
    features = (driver.features or {}).get("spot") or {}
    told = (features.get("fetchOHLCV") or {}).get("limit")
    return bool(driver.has.get("fetchOHLCV")), told


def has_driver(name: str) -> bool:
    """Tell whether ccxt has a driver of that name, without loading it.

    Examples
    --------
    >>> has_driver("bitstamp"), has_driver("recorded")
    (True, False)
    """
    found = importlib.util.find_spec("ccxt")
    folders = (found.submodule_search_locations or ()) if found is not None else ()
    return name.isidentifier() and any(Path(one, f"{name}.py").is_file() for one in folders)


def nearest(name: str, known: list[str]) -> list[str]:
    """Return the names that are most like one, of those known here and to ccxt.

    Examples
    --------
    >>> nearest("bitstmap", ["binance", "kraken"])[0]
    'bitstamp'
    """
    import ccxt

    return get_close_matches(name.lower(), sorted({*known, *ccxt.exchanges})) or known


def row_lists(answer: Any, deep: int = _DEEP) -> Iterator[list[Any]]:
    """Yield the lists in an answer that can be rows of bars: empty ones, or ones of rows.

    Examples
    --------
    >>> list(row_lists({"data": {"ohlc": []}})), list(row_lists({"error": ["no such pair"]}))
    ([[]], [])
    """
    if isinstance(answer, list) and all(isinstance(row, list | dict) for row in answer):
        yield answer
    elif isinstance(answer, dict) and deep:
        for value in answer.values():
            yield from row_lists(value, deep - 1)


def pointed(addresses: Any, url: str) -> Any:
    """Return a driver's addresses with a server's own in place of the exchange's.

    Examples
    --------
    >>> pointed({"public": "https://www.bitstamp.net/api"}, "http://127.0.0.1:9")
    {'public': 'http://127.0.0.1:9/api'}
    """
    if isinstance(addresses, dict):
        return {name: pointed(one, url) for name, one in addresses.items()}
    return url.rstrip("/") + urlsplit(addresses).path if isinstance(addresses, str) else addresses
