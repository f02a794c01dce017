"""In which currency an exchange quotes an instrument: what is read there, and filed as."""

from __future__ import annotations

__all__ = ["USD_FOR_USDT", "market_at", "quote_at"]

USD_FOR_USDT = {"coinbaseexchange", "kraken"}  # their USD market stands for USDT


def market_at(venue: str, instrument: str) -> str:
    """Return the market of an exchange whose bars are filed as those of `instrument`.

    Examples
    --------
    >>> market_at("kraken", "BTC/USDT"), market_at("binance", "BTC/USDT")
    ('BTC/USD', 'BTC/USDT')
    """
    base, quote = instrument.split("/")
    return f"{base}/USD" if venue in USD_FOR_USDT and quote == "USDT" else instrument


def quote_at(venue: str, instrument: str) -> str:
    """Return the currency in which bars of `instrument` filed under `venue` are quoted.

    Examples
    --------
    >>> quote_at("kraken", "BTC/USDT"), quote_at("recorded", "BTC/USDT")
    ('USD', 'USDT')
    """
    return market_at(venue, instrument).split("/")[1]
