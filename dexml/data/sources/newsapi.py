"""Headlines of NewsAPI (newsapi.org) through its own client, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
import requests

from dexml.data.http import NotAnswered, Patience, answered_at, retry_after_s
from dexml.data.relevance import Relevance
from dexml.data.sources.forwarding import forwarding_session
from dexml.data.sources.news import NewsUpdate, headline_table
from dexml.data.sources.scorers import SentimentScorer, VaderScorer
from dexml.errors import DataError

__all__ = ["ApiKey", "NewsApiFeed"]

PAGE = 100
_QUERY = "bitcoin OR ethereum OR cryptocurrency"
# what the service answers with: may asking again help, and what to do
_REFUSED: Mapping[int, str] = {
    400: "Correct the query.",
    401: "Check the key of NewsAPI.",
    403: "Check the key of NewsAPI.",
    426: "The plan of this key shows no more; ask for newer headlines.",
}


class ApiKey:
    """A key that no message, log or error can show.

    Examples
    --------
    >>> print(ApiKey("f00d" * 8))
    ApiKey(***)
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not text.strip() or not text.isascii():
            raise DataError("key of NewsAPI", "must be ASCII text", "something else", "Copy it.")
        self._text = text.strip()

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "ApiKey(***)"


class NewsApiFeed:
    """Read `/v2/everything`.

    Parameters
    ----------
    key : ApiKey
    instruments : sequence of str
        A headline belongs to those that its title names.
    url : str, optional
        Address of a server that speaks the same format; the real one unless given.
    query : str
        What NewsAPI searches for.
    scorer : SentimentScorer, optional
        `VaderScorer` unless given.
    lag : timedelta
        From publication to first use, for headlines that were there before the first visit. A free
        key shows them only a day after publication.
    """

    name = "newsapi"

    def __init__(
        self,
        key: ApiKey,
        instruments: Sequence[str],
        url: str | None = None,
        *,
        query: str = _QUERY,
        scorer: SentimentScorer | None = None,
        lag: timedelta = timedelta(minutes=10),
        patience: Patience | None = None,
        max_pages: int = 10,  # 1,000 headlines a visit
    ) -> None:
        self._key, self._url, self._query = key, url, query
        self._relevance, self._lag, self._max_pages = Relevance(instruments), lag, max_pages
        self._scorer = scorer or VaderScorer()
        self._patience = patience or Patience()

    def fetch(self, since: datetime | None = None) -> NewsUpdate:
        """Return the headlines since the visit at `since`, oldest first.

        Notes
        -----
        All of a headline's first sight is `fetched_at`. On the first visit (`since` None) it counts
        as known `lag` after its publication; later it is known from when it was seen.

        Raises
        ------
        NotAnswered
            If asking again may help: too many requests (429), a fault of the server, no JSON.
        DataError
            If it will not: a refused key (401, 403), a wrong query (400), a plan that shows none
            of it (426). Pages from before a plan's limit are returned, and `truncated` says so.
        """
        articles: list[Any] = []
        with forwarding_session(self._url) as session:
            for page in range(1, self._max_pages + 1):
                try:
                    read = partial(self._page, session, since, page)
                    answer, fetched_at = self._patience.call(read)
                except _PlanLimit:
                    if page == 1:
                        raise
                    return self._update(articles, since, fetched_at, truncated=True)
                articles += answer["articles"]
                if len(articles) >= answer["totalResults"] or not answer["articles"]:
                    return self._update(articles, since, fetched_at, truncated=False)
        return self._update(articles, since, fetched_at, truncated=True)

    def _page(
        self, session: requests.Session, since: datetime | None, page: int
    ) -> tuple[dict[str, Any], datetime]:
        from newsapi import NewsApiClient
        from newsapi.newsapi_exception import NewsAPIException

        heard = _Ear(session)
        client = NewsApiClient(self._key.reveal(), session=heard)
        # dates are cut to seconds: ask a moment earlier, what is known is folded
        start = None if since is None else (since - timedelta(minutes=1)).replace(tzinfo=None)
        try:
            answer = client.get_everything(
                q=self._query,
                from_param=start,
                language="en",
                sort_by="publishedAt",
                page_size=PAGE,
                page=page,
            )
        except (requests.RequestException, NewsAPIException, ValueError) as error:
            raise _explained(heard.last, error) from None  # the cause may quote the key
        return _checked(answer), _date(heard.last)

    def _update(
        self, articles: list[Any], since: datetime | None, fetched_at: datetime, *, truncated: bool
    ) -> NewsUpdate:
        rows = [self._row(article, since, fetched_at) for article in articles]
        kept = [row for row in rows if row is not None]
        return NewsUpdate(
            news=headline_table(kept, fetched_at).sort_values(
                ["known_at", "published_at", "source", "title"], ignore_index=True
            ),
            fetched_at=fetched_at,
            n_refused=len(rows) - len(kept),
            truncated=truncated,
        )

    def _row(
        self, article: Any, since: datetime | None, fetched_at: datetime
    ) -> dict[str, Any] | None:
        title, told = _field(article, "title"), _field(article, "publishedAt")
        published_at = pd.to_datetime(told, utc=True, errors="coerce")
        now = pd.Timestamp(fetched_at)
        removed = title in ("", "[Removed]")  # what publishers took back stays as an empty shell
        if removed or pd.isna(published_at) or published_at > now:
            return None
        return {
            "published_at": published_at,
            "known_at": now if since is not None else min(now, published_at + self._lag),
            "source": _field(article, "source", "name") or "NewsAPI",
            "title": title,
            "instruments": self._relevance.of(title),
            "score": self._scorer.score(title),
        }


class _PlanLimit(DataError):
    """The key's plan shows no more."""


class _Ear:
    # the client keeps nothing of an answer but its body: remember status and headers

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.last: requests.Response | None = None

    def get(self, url: str, **options: Any) -> requests.Response:
        self.last = self._session.get(url, allow_redirects=False, **options)
        return self.last


def _explained(answer: requests.Response | None, error: Exception) -> DataError:
    status = 0 if answer is None else answer.status_code
    if status in _REFUSED:
        kind = _PlanLimit if status == 426 else DataError
        return kind("NewsAPI", "must take the request", status, _REFUSED[status])
    was = f"{type(error).__name__} after {status}"
    refused = NotAnswered("NewsAPI", "must answer with headlines", was, "Try again later.")
    refused.retry_after_s = None if answer is None else retry_after_s(answer.headers)
    return refused


def _checked(answer: Any) -> dict[str, Any]:
    sound = (
        isinstance(answer, dict)
        and isinstance(answer.get("articles"), list)
        and isinstance(answer.get("totalResults"), int)
    )
    if not sound:
        raise NotAnswered("NewsAPI", "must give articles", str(answer)[:60], "Try again later.")
    return dict(answer)


def _date(answer: requests.Response | None) -> datetime:
    at = None if answer is None else answered_at(answer.headers)
    if at is None:
        raise NotAnswered("NewsAPI", "must date its answer", "no Date", "Try again later.")
    return at


def _field(article: Any, *names: str) -> str:
    for name in names:
        article = article.get(name) if isinstance(article, dict) else None
    return " ".join(article.split()) if isinstance(article, str) else ""
