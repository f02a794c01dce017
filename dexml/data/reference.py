"""What time others say it is: the `Date` that any web server puts on any answer."""

from __future__ import annotations

from datetime import datetime

from dexml.data.http import answered_at

__all__ = ["TIME_OF", "stated_time"]

# an address of each exchange that is cheap to ask; whatever it answers is dated
TIME_OF = {
    "binance": "https://api.binance.com/api/v3/time",
    "coinbaseexchange": "https://api.exchange.coinbase.com/time",
    "kraken": "https://api.kraken.com/0/public/Time",
}


def stated_time(url: str, timeout_s: float = 3.0) -> datetime | None:
    """Return what time the server at `url` says it is, cut to whole seconds; None if it does not.

    Nothing is read but the head of its answer, which may be a refusal.
    """
    import httpx

    try:
        answer = httpx.head(url, timeout=timeout_s, trust_env=False)
    except httpx.HTTPError:
        return None
    return answered_at(answer.headers)
