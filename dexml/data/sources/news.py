"""Headlines from RSS feeds, scored, with the instant from which each could be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import pandas as pd

from dexml.data.http import NotAnswered, Patience, answered_at, get
from dexml.data.relevance import Relevance
from dexml.data.sources.scorers import SentimentScorer, VaderScorer
from dexml.data.sources.stories import Stories
from dexml.domain import NEWS_COLUMNS, empty_news
from dexml.errors import DataError

__all__ = ["NewsFeed", "NewsSource", "NewsUpdate", "headline_table"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewsUpdate:
    """Headlines as a table (`NEWS_COLUMNS` and `fetched_at`), and the source's time of the answer.

    Attributes
    ----------
    truncated : bool
        Whether the source had more than it showed.
    """

    news: pd.DataFrame
    fetched_at: datetime
    n_refused: int
    truncated: bool = False


class NewsSource(Protocol):
    """Whatever gives headlines; `name` tells sources apart."""

    name: str

    def fetch(self, since: datetime | None = None) -> NewsUpdate: ...


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
    name : str
        Tells this feed from others.
    """

    def __init__(
        self,
        url: str,
        instruments: Sequence[str],
        scorer: SentimentScorer | None = None,
        lag: timedelta = timedelta(minutes=10),
        patience: Patience | None = None,
        name: str = "news",
    ) -> None:
        self.name = name
        self._url, self._lag = url, lag
        self._relevance = Relevance(instruments)
        self._scorer = scorer or VaderScorer()
        self._patience = patience or Patience()

    def fetch(self, since: datetime | None = None) -> NewsUpdate:
        """Return the headlines of the feed, duplicates folded, oldest first.

        Parameters
        ----------
        since : datetime, optional
            `fetched_at` of the visit before. What is new since then is known from this visit on,
            whatever it claims: who decided in between did not have it. On the first visit an item
            counts from when it tells (`dc:date`), else `lag` after its publication.
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
            news=Stories().fold(headline_table(kept, fetched_at)),
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
            "instruments": self._relevance.of(title, _terms(entry)),
            "score": self._scorer.score(title),
        }

    def _known_at(
        self, entry: Any, published_at: pd.Timestamp, since: datetime | None, fetched_at: datetime
    ) -> pd.Timestamp:
        now = pd.Timestamp(fetched_at)
        if since is not None:
            return now
        # feedparser's own `get` would answer with the publication where no update is told
        told = _instant(dict.get(entry, "updated"))
        return min(now, published_at + self._lag if told is None else max(published_at, told))


def headline_table(rows: list[dict[str, Any]], fetched_at: datetime) -> pd.DataFrame:
    """Make a table of headlines, with the instant at which they were read.

    Raises
    ------
    DataError
        If a score is not in [-1, 1].
    """
    if not rows:
        return empty_news().assign(fetched_at=pd.Series(dtype="datetime64[ns, UTC]"))
    frame = pd.DataFrame(rows, columns=list(NEWS_COLUMNS)).assign(fetched_at=fetched_at)
    for name in ("published_at", "known_at", "fetched_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.as_unit("ns")
    if not frame["score"].between(-1, 1).all():
        raise DataError("headline score", "must be in [-1, 1]", frame["score"].max(), "Scale it.")
    return frame


def _terms(entry: Any) -> list[str]:
    return [str(tag.get("term") or "") for tag in entry.get("tags", ())]


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
