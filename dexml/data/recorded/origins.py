"""Which exchange, pool or index a file comes from, read from its name and its folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Origin", "origin_of"]

# names as ccxt spells them, by the words that files and folders use
_VENUES: Mapping[str, str] = {
    "binance": "binance",
    "binanceusdm": "binanceusdm",
    "bitfinex": "bitfinex",
    "bitmex": "bitmex",
    "bitstamp": "bitstamp",
    "bybit": "bybit",
    "coinbase": "coinbaseexchange",
    "coinbaseexchange": "coinbaseexchange",
    "coinbasepro": "coinbaseexchange",
    "deribit": "deribit",
    "ftx": "ftx",
    "gate": "gate",
    "gateio": "gate",
    "gdax": "coinbaseexchange",
    "gemini": "gemini",
    "huobi": "htx",
    "htx": "htx",
    "kraken": "kraken",
    "kucoin": "kucoin",
    "okex": "okx",
    "okx": "okx",
    "yahoo": "yahoo",
}
_PERPETUAL = {"usdm", "perp", "perpetual", "swap", "futures"}
_IN_QUOTE = {"yahoo"}  # its volumes of coins are dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where bars are from.

    Attributes
    ----------
    venue : str
        Name of the exchange as ccxt spells it; "_perp" is added for perpetuals of exchanges that
        ccxt has no name of its own for.
    volume_in_quote : bool
        Whether volumes are money and not coins.
    """

    venue: str
    volume_in_quote: bool = False


def origin_of(file: Path, root: Path) -> Origin | None:
    """Tell the venue from the file's name, else from its folders up to `root`, nearest first.

    Examples
    --------
    >>> origin_of(Path("data/binance_usdm_perp/BTCUSDT.csv"), Path("data")).venue
    'binanceusdm'
    >>> origin_of(Path("data/Gdax_ETHUSD_1h.csv"), Path("data")).venue
    'coinbaseexchange'
    >>> origin_of(Path("data/BTCUSDT.csv"), Path("data")) is None
    True
    """
    for name in _names(file, root):
        words = re.findall(r"[a-z]+", name.lower())
        venue = next((_VENUES[word] for word in words if word in _VENUES), None)
        if venue is not None:
            return Origin(venue=_market(venue, words), volume_in_quote=venue in _IN_QUOTE)
    return None


def _names(file: Path, root: Path) -> list[str]:
    top = root if root.is_dir() or root != file else file.parent
    folders = [folder.name for folder in file.parents if folder == top or top in folder.parents]
    return [file.name, *folders]


def _market(venue: str, words: list[str]) -> str:
    if _PERPETUAL.isdisjoint(words) or venue.endswith("usdm"):
        return venue
    return "binanceusdm" if venue == "binance" else f"{venue}_perp"
