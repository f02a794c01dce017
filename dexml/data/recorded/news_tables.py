"""A table of recorded headlines turned into rows of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dexml.data.recorded.bar_tables import LeftOut, refuse_if_mostly_bad
from dexml.data.recorded.layouts import TIMES
from dexml.data.recorded.times import mixed_units, read_times
from dexml.data.relevance import Relevance
from dexml.data.sources.scorers import SentimentScorer, VaderScorer
from dexml.domain import NEWS_COLUMNS

__all__ = ["ParsedNews", "is_news", "parse_news"]

_TIMES = ("timestamp_utc", "published_at", "publishedat", "published", "pubdate", *TIMES)
_TITLES = ("title", "headline")
DEFAULT_LAG = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParsedNews:
    """Headlines (`NEWS_COLUMNS`, `fetched_at`), the rows left out, and what it is, in words."""

    news: pd.DataFrame
    faults: list[LeftOut]
    understood_as: str
    notes: tuple[str, ...]


def is_news(columns: list[str]) -> bool:
    """Tell whether a table has headlines and their times.

    Examples
    --------
    >>> is_news(["Date", "Headline", "sentiment"]), is_news(["date", "text"])
    (True, False)
    """
    return _found(columns, _TITLES) is not None and _found(columns, _TIMES) is not None


def parse_news(
    file: Path,
    table: pd.DataFrame,
    instruments: Sequence[str],
    now: datetime,
    scorer: SentimentScorer | None = None,
    lag: timedelta | None = None,
) -> ParsedNews:
    """Read headlines; tones that the file gives are a machine's of unknown make, and not used.

    Parameters
    ----------
    instruments : sequence of str
        Those that a headline can speak of.
    now : datetime
        Headlines from later are refused.
    lag : timedelta, optional
        From publication to first use; ten minutes unless given.

    Notes
    -----
    A headline at midnight sharp has a date and no time of day: it is known when that day is over.

    Raises
    ------
    DataError
        If the times cannot be read, or more than 5% of the rows are unsound.
    """
    columns = {name.strip().lower(): name for name in reversed(list(table.columns))}
    times = table[str(_found(list(columns.values()), _TIMES))]
    published = read_times(file.name, times)
    titles = _text(table[str(_found(list(columns.values()), _TITLES))])
    rows = pd.DataFrame({"published_at": published, "title": titles.to_numpy()})
    rows["source"] = _sources(file, table, columns)
    faults = _faults(rows, now)
    refuse_if_mostly_bad(file, len(rows), faults)
    kept = rows.drop(index=[fault.row for fault in faults])
    dated = _only_dated(kept["published_at"])
    wait = pd.Timedelta(DEFAULT_LAG if lag is None else lag)
    known_at = kept["published_at"].where(~dated, kept["published_at"] + pd.Timedelta(1, "D"))
    relevance, tone = Relevance(instruments), scorer or VaderScorer()
    news = kept.assign(
        known_at=(known_at + wait).dt.as_unit("ns"),
        instruments=[relevance.of(title) for title in kept["title"]],
        score=[tone.score(title) for title in kept["title"]],
        fetched_at=pd.Timestamp(now).as_unit("ns"),
    )[[*NEWS_COLUMNS, "fetched_at"]].reset_index(drop=True)
    days = f"{int(dated.sum())} with a date only, known when it is over" if dated.any() else ""
    notes = tuple(filter(None, (mixed_units(times), days)))
    return ParsedNews(news=news, faults=faults, understood_as=_in_words(news), notes=notes)


def _found(columns: list[str], names: tuple[str, ...]) -> str | None:
    spelled = {name.strip().lower(): name for name in reversed(columns)}
    return next((spelled[name] for name in names if name in spelled), None)


def _text(values: pd.Series[Any]) -> pd.Series[str]:
    text = values.map(lambda value: value if isinstance(value, str) else "")
    return text.str.split().str.join(" ")


def _sources(file: Path, table: pd.DataFrame, columns: dict[str, str]) -> list[str]:
    stem = file.name.split(".")[0]
    if "source" not in columns:
        return [stem] * len(table)
    return [source or stem for source in _text(table[columns["source"]])]


def _faults(rows: pd.DataFrame, now: datetime) -> list[LeftOut]:
    checks = {
        "no time": rows["published_at"].isna(),
        "no title": rows["title"] == "",
        "in the future": rows["published_at"] > pd.Timestamp(now),
    }
    found: dict[int, str] = {}
    for reason, bad in checks.items():
        for row in np.flatnonzero(bad.to_numpy()):
            found.setdefault(int(row), reason)
    return [LeftOut(row, found[row]) for row in sorted(found)]


def _only_dated(published: pd.Series[pd.Timestamp]) -> pd.Series[bool]:
    return published == published.dt.normalize()


def _in_words(news: pd.DataFrame) -> str:
    first, last = news["published_at"].min(), news["published_at"].max()
    named = int((news["instruments"] != "").sum())
    return (
        f"{len(news)} headlines, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, "
        f"{named} about instruments"
    )
