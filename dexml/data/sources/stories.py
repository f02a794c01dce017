"""Headlines that tell one story: told twice, word for word or nearly, it counts once."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from dexml.data.relevance import coins_in

__all__ = ["NEAR", "Stories", "oldest_kept", "same_story", "words_of"]

# on 7,496 recorded headlines every pair from here up was one story; the first errors are at 0.45
NEAR = 0.5
_KEPT = 1_000  # about six kilobytes each
_WITHIN = pd.Timedelta(days=1)
_ORDER = ("known_at", "published_at", "source", "title")
_SMALL = frozenset(
    re.findall(r"\w+", "a an the as at by for from in into of on to with and or is are its s")
)
# a story with one of these is another one than the same words without it
_TURNS = frozenset(
    re.findall(
        r"\w+",
        "not no never up down above below rise rises rising fall falls falling gain gains lose "
        "loses buy buys sell sells bull bullish bear bearish high low higher lower drop drops "
        "jump jumps approves rejects approved rejected denies confirms before after "
        "bought sold list lists listed delist delists delisted",
    )
)


# a story of one of these is not that of another, though it may be told without a name
_EXCHANGES = frozenset(
    re.findall(
        r"\w+", "binance bitfinex bitstamp bybit coinbase ftx gemini huobi kraken kucoin okx"
    )
)


@dataclass(frozen=True, slots=True)
class _Story:
    words: tuple[str, ...]
    shingles: frozenset[str]
    facts: frozenset[str]
    coins: frozenset[str]
    exchanges: frozenset[str]
    at: pd.Timestamp


def words_of(title: str, source: str = "") -> tuple[str, ...]:
    """Return the words that tell a story: small letters, no marks, no publisher at the end.

    Examples
    --------
    >>> words_of("Bitcoin FALLS, as traders worry - The Wire", "The Wire")
    ('bitcoin', 'falls', 'traders', 'worry')
    """
    text = unicodedata.normalize("NFKC", title).strip()
    for mark in (" - ", " | ", " \N{EM DASH} ", " \N{EN DASH} "):
        if source and text.casefold().endswith(f"{mark}{source}".casefold()):
            text = text[: -len(mark) - len(source)]
    words = re.findall(r"[^\W_]+(?:[.,]\d+)*", text.casefold().replace("\u2019", "'"))
    kept = tuple(word for word in words if word not in _SMALL)
    return kept or tuple(words)


def same_story(first: str, second: str) -> bool:
    """Tell whether the second of two titles only tells the story of the first again.

    Examples
    --------
    >>> same_story("SEC sues exchange over token sales", "SEC sues exchange over its token sale")
    True
    >>> same_story("Bitcoin rises above $40,000", "Bitcoin rises above $41,000")
    False
    """
    at = pd.Timestamp(0, tz="UTC")
    return _near(_story(words_of(second), at), _story(words_of(first), at))


class Stories:
    """Remember which headlines were kept, so that a story told again within a day counts once.

    Notes
    -----
    Two titles are one story if their words are the same or, of at least four words each, at least
    `NEAR` of the shingles of both are shared (Jaccard index over words, pairs of neighbouring
    words and word stems of five letters), and they agree in every number and every word
    that turns a story round (rises or falls, approves or rejects), and were published within a day.
    Headlines are taken in the order of `known_at`, then `published_at`, source and title, whatever
    their order in the table; the first is kept.

    References
    ----------
    Broder (1997), "On the resemblance and containment of documents".

    Examples
    --------
    >>> at = pd.to_datetime(["2024-01-01 10:00", "2024-01-01 11:00"], utc=True)
    >>> news = pd.DataFrame({"title": ["Bitcoin falls!", "BITCOIN falls"], "known_at": at})
    >>> len(Stories().fold(news))
    1

    Attributes
    ----------
    since : Timestamp or None
        Stories told before it are forgotten; None if none are.
    """

    def __init__(self, since: pd.Timestamp | None = None) -> None:
        self.since = since
        self._exact: dict[tuple[str, ...], pd.Timestamp] = {}
        self._shingled: dict[tuple[str, int], list[_Story]] = {}  # by shingle and day

    def recall(self, news: pd.DataFrame) -> None:
        """Remember headlines that are already stored, from `since` on."""
        if self.since is not None:
            news = news[_instants(news) >= self.since]
        for words, at in _told(news):
            self._remember(_story(words, at))

    def reaches(self, at: pd.Timestamp) -> bool:
        """Tell whether all is remembered that a story of that instant may repeat."""
        return self.since is None or at - _WITHIN >= self.since

    def fold(self, news: pd.DataFrame) -> pd.DataFrame:
        """Return the headlines that are new, ordered by `known_at`, and remember them."""
        order = [name for name in _ORDER if name in news.columns]
        news = news.sort_values(order, kind="stable", ignore_index=True)
        kept = [self._is_new(_story(words, at)) for words, at in _told(news)]
        if len(self._exact) > _KEPT:
            self._forget(oldest_kept(news))
        return news[pd.Series(kept, dtype=bool)].reset_index(drop=True)

    def _is_new(self, story: _Story) -> bool:
        told = self._exact.get(story.words)
        if told is not None and abs(story.at - told) <= _WITHIN:
            return False
        if any(_near(story, other) for other in self._candidates(story)):
            return False
        self._remember(story)
        return True

    def _candidates(self, story: _Story) -> list[_Story]:
        found: dict[int, _Story] = {}
        for shingle in story.shingles:
            for day in range(_day(story.at) - 1, _day(story.at) + 2):
                found |= {id(one): one for one in self._shingled.get((shingle, day), ())}
        return [one for one in found.values() if abs(story.at - one.at) <= _WITHIN]

    def _remember(self, story: _Story) -> None:
        self._exact[story.words] = story.at
        for shingle in story.shingles:
            self._shingled.setdefault((shingle, _day(story.at)), []).append(story)

    def _forget(self, before: pd.Timestamp) -> None:
        self.since = before
        self._exact = {words: at for words, at in self._exact.items() if at >= before}
        recent = {key: told for key, told in self._shingled.items() if key[1] >= _day(before)}
        self._shingled = recent


def oldest_kept(news: pd.DataFrame) -> pd.Timestamp:
    """Return the instant from which stories are remembered beside these."""
    newest: pd.Timestamp = _instants(news).max()
    return newest - 2 * _WITHIN


def _day(at: pd.Timestamp) -> int:
    return int(at.value // _WITHIN.value)


def _told(news: pd.DataFrame) -> list[tuple[tuple[str, ...], pd.Timestamp]]:
    sources = news["source"] if "source" in news else pd.Series("", index=news.index)
    rows = zip(news["title"], sources, _instants(news), strict=True)
    return [(words_of(title, source), at) for title, source, at in rows]


# When a story was told: an archive's headlines may all become known at one later instant.
def _instants(news: pd.DataFrame) -> pd.Series:
    return news["published_at"] if "published_at" in news else news["known_at"]


def _story(words: tuple[str, ...], at: pd.Timestamp) -> _Story:
    stems = [word[:5] for word in words]
    pairs = {" ".join(pair) for pair in pairwise(stems)}
    facts = {word for word in words if word in _TURNS or any(map(str.isdigit, word))}
    return _Story(
        words,
        frozenset(stems) | pairs,
        frozenset(facts),
        coins_in(" ".join(words)),
        _EXCHANGES.intersection(words),
        at,
    )


def _near(new: _Story, told: _Story) -> bool:
    if new.words == told.words:
        return True
    if min(len(new.words), len(told.words)) < 4 or new.facts != told.facts:
        return False
    if new.exchanges and told.exchanges and new.exchanges != told.exchanges:
        return False
    if not new.coins <= told.coins:  # nothing that a coin is named in may be lost
        return False
    shared = len(new.shingles & told.shingles)
    return shared >= NEAR * len(new.shingles | told.shingles)
