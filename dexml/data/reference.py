"""What time others say it is: the `Date` that any web server puts on any answer."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from dexml.data.http import answered_at

if TYPE_CHECKING:
    import httpx

__all__ = ["TIME_OF", "stated_time"]

# an address of each exchange that is cheap to ask; whatever it answers is dated
TIME_OF = {
    "binance": "https://api.binance.com/api/v3/time",
    "coinbaseexchange": "https://api.exchange.coinbase.com/time",
    "kraken": "https://api.kraken.com/0/public/Time",
}


@cache
def _client() -> httpx.Client:
    import httpx

    return httpx.Client(trust_env=False)  # an open connection answers sooner: narrower bounds


def stated_time(url: str, timeout_s: float = 3.0) -> datetime | None:
    """Return what time the server at `url` says it is, cut to whole seconds; None if it does not.

    Nothing is read but the head of its answer, which may be a refusal.
    """
    import httpx

    try:
        answer = _client().head(url, timeout=timeout_s)
    except httpx.HTTPError:
        return None
    return answered_at(answer.headers)
