"""Headlines from RSS feeds, scored, with the instant from which each could be used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Protocol

import pandas as pd

from dexml.data.http import NotAnswered, Patience, answered_at, get
from dexml.domain import NEWS_COLUMNS, empty_news
from dexml.errors import DataError

__all__ = ["NewsFeed", "NewsUpdate", "SentimentScorer", "Stories", "VaderScorer"]

ALIASES: Mapping[str, str] = {
    "BITCOIN": "BTC",
    "ETHEREUM": "ETH",
    "ETHER": "ETH",
    "SOLANA": "SOL",
    "CHAINLINK": "LINK",
    "DOGECOIN": "DOGE",
    "POLYGON": "MATIC",
    "RIPPLE": "XRP",
    "CARDANO": "ADA",
    "LITECOIN": "LTC",
    "UNISWAP": "UNI",
}
_AMBIGUOUS = {"LINK"}  # an English word: counts as a name only in full (Chainlink)
_SAME_STORY = pd.Timedelta(days=1)


class SentimentScorer(Protocol):
    """Whatever gives a headline a tone in [-1, 1]."""

    def score(self, title: str) -> float: ...


class VaderScorer:
    """Compound score of VADER.

    References
    ----------
    Hutto and Gilbert (2014), "VADER: a parsimonious rule-based model for sentiment analysis of
    social media text", ICWSM.

    Examples
    --------
    >>> VaderScorer().score("Bitcoin drops as traders worry")
    -0.4404
    """

    def __init__(self) -> None:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        self._scored = lru_cache(maxsize=4_096)(SentimentIntensityAnalyzer().polarity_scores)

    def score(self, title: str) -> float:
        return float(self._scored(title)["compound"])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewsUpdate:
    """Headlines as a table (`NEWS_COLUMNS`), and the feed's own time of the answer."""

    news: pd.DataFrame
    fetched_at: datetime
    n_refused: int


class NewsFeed:
    """Read an RSS feed.

    Parameters
    ----------
    url : str
        Address of the feed; `since=` is added, which feeds that do not know it ignore.
    instruments : sequence of str
        A headline belongs to those named in its categories or its title; to the whole market if
        to none.
    scorer : SentimentScorer, optional
        `VaderScorer` unless given.
    lag : timedelta
        From publication to first use, for items that do not tell (`dc:date`) and were there
        before the first visit.
    """

    def __init__(
        self,
        url: str,
        instruments: Sequence[str],
        scorer: SentimentScorer | None = None,
        lag: timedelta = timedelta(minutes=10),
        patience: Patience | None = None,
    ) -> None:
        self._url, self._lag = url, lag
        self._words = _words(instruments)
        self._scorer = scorer or VaderScorer()
        self._patience = patience or Patience()

    def fetch(self, since: datetime | None = None) -> NewsUpdate:
        """Return the headlines of the feed, duplicates folded, oldest first.

        Parameters
        ----------
        since : datetime, optional
            `fetched_at` of the visit before. An item that claims to be older than that, and is
            only seen now, was late: it is known from now on and not from when it claims.
        """
        import feedparser

        query = None if since is None else {"since": since.isoformat()}
        answer = self._patience.call(lambda: get(self._url, query))
        fetched_at = answered_at(answer.headers)
        parsed = feedparser.parse(answer.body)
        if fetched_at is None or not parsed.version:
            raise NotAnswered(
                self._url, "must be a dated RSS feed", answer.body[:60], "Check the address."
            )
        rows = [self._row(entry, since, fetched_at) for entry in reversed(parsed.entries)]
        kept = [row for row in rows if row is not None]
        return NewsUpdate(
            news=Stories().fold(_table(kept)),
            fetched_at=fetched_at,
            n_refused=len(rows) - len(kept),
        )

    def _row(
        self, entry: Any, since: datetime | None, fetched_at: datetime
    ) -> dict[str, Any] | None:
        title, published_at = entry.get("title", "").strip(), _instant(entry.get("published"))
        if not title or published_at is None or published_at > pd.Timestamp(fetched_at):
            return None
        return {
            "published_at": published_at,
            "known_at": self._known_at(entry, published_at, since, fetched_at),
            "source": entry.get("source", {}).get("title", self._url),
            "title": title,
            "instruments": self._named(title, entry.get("tags", ())),
            "score": self._scorer.score(title),
        }

    def _known_at(
        self, entry: Any, published_at: pd.Timestamp, since: datetime | None, fetched_at: datetime
    ) -> pd.Timestamp:
        # feedparser's own `get` would answer with the publication where no update is told
        now, told = pd.Timestamp(fetched_at), _instant(dict.get(entry, "updated"))
        if since is not None and (told is None or told <= pd.Timestamp(since)):
            return now
        return min(now, published_at + self._lag if told is None else max(published_at, told))

    def _named(self, title: str, tags: Iterable[Any]) -> str:
        terms = [str(tag.get("term", "")).upper() for tag in tags]
        exact = [term for term in terms if term in self._words]
        if exact:
            return " ".join(exact)
        words = {*terms, *re.findall(r"[A-Z0-9]+", title.upper())}
        return " ".join(name for name, names in self._words.items() if names & words)


class Stories:
    """Remember which headlines were kept, so that a story told again within a day counts once.

    Examples
    --------
    >>> at = pd.to_datetime(["2024-01-01 10:00", "2024-01-01 11:00"], utc=True)
    >>> news = pd.DataFrame({"title": ["Bitcoin falls!", "BITCOIN falls"], "known_at": at})
    >>> len(Stories().fold(news))
    1
    """

    def __init__(self) -> None:
        self._told: dict[str, pd.Timestamp] = {}

    def recall(self, news: pd.DataFrame) -> None:
        """Remember headlines that are already stored."""
        for story, at in zip(_stories(news), news["known_at"], strict=True):
            self._told[story] = at

    def fold(self, news: pd.DataFrame) -> pd.DataFrame:
        """Return the headlines that are new, ordered by `known_at`, and remember them."""
        news = news.sort_values("known_at", kind="stable", ignore_index=True)
        kept = [
            self._is_new(story, at)
            for story, at in zip(_stories(news), news["known_at"], strict=True)
        ]
        return news[pd.Series(kept, dtype=bool)].reset_index(drop=True)

    def _is_new(self, story: str, at: pd.Timestamp) -> bool:
        told = self._told.get(story)
        if told is not None and abs(at - told) <= _SAME_STORY:
            return False
        self._told[story] = at
        return True


def _stories(news: pd.DataFrame) -> list[str]:
    return [re.sub(r"\W+", " ", title).strip().casefold() for title in news["title"]]


def _words(instruments: Sequence[str]) -> dict[str, set[str]]:
    words = {}
    for name in instruments:
        base = name.split("/")[0]
        spoken = {alias for alias, coin in ALIASES.items() if coin == base}
        words[name] = {name, *spoken} | (set() if base in _AMBIGUOUS else {base})
    return words


def _instant(text: str | None) -> pd.Timestamp | None:
    try:
        stamp = pd.Timestamp(text) if text and text[:4].isdigit() else _rfc(text)
    except (TypeError, ValueError):
        return None
    if stamp is None or pd.isna(stamp):
        return None
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def _rfc(text: str | None) -> pd.Timestamp | None:
    return None if not text else pd.Timestamp(parsedate_to_datetime(text))


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    if not rows:
        return empty_news()
    frame = pd.DataFrame(rows, columns=list(NEWS_COLUMNS))
    for name in ("published_at", "known_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.as_unit("ns")
    if not frame["score"].between(-1, 1).all():
        raise DataError("headline score", "must be in [-1, 1]", frame["score"].max(), "Scale it.")
    return frame
