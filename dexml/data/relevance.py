"""Which instruments a headline speaks of: coins by name, by ticker, by pair."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

__all__ = ["Naming", "Relevance", "coins_in"]

# Names as headlines write them; the longer name goes first and takes its words with it, so that
# Bitcoin Cash is not Bitcoin.
_NAMES: Mapping[str, str] = {
    "bitcoin cash": "BCH",
    "bitcoin sv": "BSV",
    "bitcoin gold": "BTG",
    "bitcoin": "BTC",
    "bitcoins": "BTC",
    "ethereum classic": "ETC",
    "ethereum name service": "ENS",
    "ethereum": "ETH",
    "ether": "ETH",
    "solana": "SOL",
    "chainlink": "LINK",
    "dogecoin": "DOGE",
    "binance coin": "BNB",
    "bnb chain": "BNB",
    "cardano": "ADA",
    "litecoin": "LTC",
    "uniswap": "UNI",
    "polkadot": "DOT",
    "monero": "XMR",
    "shiba inu": "SHIB",
}
# words of the language as well: names only when written as names
_CAPITALISED: Mapping[str, str] = {
    "Polygon": "MATIC",
    "Ripple": "XRP",
    "Avalanche": "AVAX",
    "Cosmos": "ATOM",
    "Stellar": "XLM",
    "Near Protocol": "NEAR",
}
_NOT_AFTER = r"(?![ -](?:effects?|sheets?|rescue|danger|performance))"
# tickers that are nothing else, in any language headlines are written in
_PLAIN_TICKERS = {"BTC", "ETH", "XRP", "BNB", "DOGE", "LTC", "MATIC", "BCH", "SHIB", "AVAX", "XMR"}


class Relevance:
    """Find the instruments of a headline.

    Parameters
    ----------
    instruments : sequence of str
        Those that can be found.

    Notes
    -----
    Words are matched whole. A ticker that is a word or a name as well (LINK, SOL, ADA, ONE and
    whatever is not known to be unambiguous) counts only where it stands as a ticker: in capitals
    within a title that is not all capitals, as $LINK, as (LINK), or in a pair like LINK/USDT.

    Examples
    --------
    >>> names = Relevance(["BTC/USDT", "LINK/USDT"])
    >>> names.of("Chainlink and bitcoin rise"), names.of("A link to the past")
    ('BTC/USDT LINK/USDT', '')
    """

    def __init__(self, instruments: Sequence[str]) -> None:
        self._instruments = tuple(instruments)
        bases = {name.split("/")[0] for name in instruments}
        self._tickers = {base: _ticker(base) for base in sorted(bases)}
        self._names = re.compile(_any(_NAMES), re.IGNORECASE)
        self._capitalised = re.compile(_any(_CAPITALISED) + _NOT_AFTER)

    def of(self, title: str, terms: Sequence[str] = ()) -> str:
        """Return the instruments named, separated by spaces in their own order; "" if none.

        Parameters
        ----------
        terms : sequence of str
            Categories that the source gave; those that are instruments overrule the title.
        """
        said = [term.upper() for term in terms]
        exact = [term for term in said if term in self._instruments]
        if exact:
            return " ".join(exact)
        coins = self._coins(title) | {term for term in said if term in self._tickers}
        coins |= {_NAMES[term.lower()] for term in terms if term.lower() in _NAMES}
        return " ".join(name for name in self._instruments if name.split("/")[0] in coins)

    def _coins(self, title: str) -> set[str]:
        names = {_NAMES[found.lower()] for found in self._names.findall(title)}
        names |= {_CAPITALISED[found] for found in self._capitalised.findall(title)}
        rest = self._names.sub(" ", title)
        shouted, small = title.isupper(), rest.lower()
        near = ((base, found) for base, found in self._tickers.items() if base.lower() in small)
        return names | {
            base
            for base, (anywhere, as_word) in near
            if anywhere.search(rest) or (as_word.search(rest) and not shouted)
        }


class Naming:
    """Which instruments of a history its headlines name, whenever they and it were stored.

    What a source or an import found counts where it is of the history, and so does what the title
    says: an instrument that came later is named by headlines that were there before, and the same
    instruments have the same headlines in a store of many and in one of few.

    Parameters
    ----------
    instruments : sequence of str
        Of the history.

    Examples
    --------
    >>> news = pd.DataFrame({"title": ["Solana and Ethereum rise"], "instruments": ["ETH/USDT"]})
    >>> Naming(["SOL/USDT", "BTC/USDT"]).named(news)["instruments"].tolist()
    ['SOL/USDT']
    """

    def __init__(self, instruments: Sequence[str]) -> None:
        self._instruments, self._relevance = tuple(instruments), Relevance(instruments)
        self._known: dict[tuple[str, str], str] = {}

    def named(self, news: pd.DataFrame) -> pd.DataFrame:
        """Return headlines (`title`, `instruments`) with the instruments that they name."""
        if not len(news):
            return news
        told = zip(news["title"], news["instruments"], strict=True)
        return news.assign(instruments=[self._names(title, stored) for title, stored in told])

    def _names(self, title: str, stored: str) -> str:
        key = (title, stored)
        if key not in self._known:
            found = {*stored.split(), *self._relevance.of(title).split()}
            self._known[key] = " ".join(name for name in self._instruments if name in found)
        return self._known[key]


def coins_in(words: str) -> frozenset[str]:
    """Return the coins that a title in small letters names, whatever is traded.

    Examples
    --------
    >>> sorted(coins_in("bitcoin cash and eth rise beside ripple"))
    ['BCH', 'ETH', 'XRP']
    """
    return frozenset(_COINS[found] for found in _ANY_COIN.findall(words))


def _any(names: Mapping[str, str]) -> str:
    longest_first = sorted(names, key=len, reverse=True)
    return rf"\b({'|'.join(map(re.escape, longest_first))})\b"


# (what counts in any title, what counts unless the whole title is in capitals)
def _ticker(base: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    text = re.escape(base)
    as_word = re.compile(rf"(?<![\w$.-]){text}(?![\w'-])")
    if base in _PLAIN_TICKERS:
        return re.compile(rf"(?<!\w){text}(?!\w)", re.IGNORECASE), as_word
    marked = rf"\${text}(?!\w)|\({text}\)|(?<!\w){text}[-/](?:USDT|USDC|USD|BTC|ETH|EUR)(?!\w)"
    return re.compile(marked, re.IGNORECASE), as_word


_COINS = {
    **_NAMES,
    **{name.lower(): coin for name, coin in _CAPITALISED.items()},
    **{ticker.lower(): ticker for ticker in {*_NAMES.values(), *_CAPITALISED.values()}},
}
_ANY_COIN = re.compile(_any(_COINS))
