"""Headlines whose tone carries information: written from templates, scored as VADER scores them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import NEWS_COLUMNS, Floats
from dexml.simulation.market.config import MarketConfig

__all__ = ["NAMES", "TEMPLATES", "decayed_sentiment", "draw_news", "market_sentiment"]

# Template -> VADER compound; the compound does not depend on the name or the time put in.
TEMPLATES: dict[str, float] = {
    "{name} plunges as panic and fraud worries hurt": -0.9231,
    "{name} crashes amid terrible losses and panic": -0.8442,
    "{name} loses ground as critics warn of trouble": -0.765,
    "{name} sinks on fear of heavy losses": -0.7096,
    "{name} falls after weak data and rising risk": -0.6124,
    "{name} hit by a failed upgrade": -0.5106,
    "{name} drops as traders worry": -0.4404,
    "{name} slips on doubts over demand": -0.4019,
    "{name} upgrade faces a short delay": -0.3182,
    "{name} misses its weekly average": -0.2263,
    "{name} trades flat in quiet session": 0.0,
    "{name} developers publish a routine update": 0.0,
    "{name} finds solid footing after a long week": 0.1531,
    "{name} desk sees a chance of a breakout": 0.25,
    "{name} network handles record load with ease": 0.3612,
    "{name} sees hope of steady inflows": 0.4404,
    "{name} holders confident after upgrade": 0.4939,
    "{name} outlook is promising and popular with buyers": 0.6705,
    "{name} wins support from major funds": 0.7506,
    "{name} gains as adoption shows strong progress": 0.8176,
    "{name} rallies on strong demand and great optimism": 0.886,
}
NAMES = {
    "BTC": "Bitcoin",
    "ETH": "Ethereum",
    "SOL": "Solana",
    "BNB": "BNB",
    "LINK": "Chainlink",
    "DOGE": "Dogecoin",
}
HALF_LIFE_H = 6.0
_SOURCES = np.array(["Chain Courier", "Ledger Wire", "Market Lantern"])
_CHATTER = np.array(["Moon Chatter", "Round Table Rumours"])  # whole market, pure noise
_EARLIER_H = 48  # headlines begin this long before the first bar
_MOOD_HALF_LIFE_H = 3.0
_SCORES = np.array(list(TEMPLATES.values()))
_TEXTS = tuple(TEMPLATES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Draft:
    hour: NDArray[np.int64]  # full hours since the first headline
    second: NDArray[np.int64]  # after the hour
    delay_s: NDArray[np.int64]  # from published to known
    first: NDArray[np.int64]  # instrument named first; -1: the whole market
    other: NDArray[np.int64]  # instrument named beside it; -1: none
    template: NDArray[np.int64]
    source: NDArray[np.str_]


def draw_news(config: MarketConfig) -> pd.DataFrame:
    """Draw the headlines known by the end of the market, columns `NEWS_COLUMNS`.

    One to four an hour for each six instruments. Some appear a second time, word for word, in
    another source; some name two instruments; those that name none are noise.
    """
    generator = config.generator(4)
    draft = _draft(config, generator)
    begin = pd.Timestamp(config.start) - pd.Timedelta(hours=_EARLIER_H)
    published = begin + pd.to_timedelta(draft.hour * 3_600 + draft.second, unit="s")
    frame = pd.DataFrame(
        {
            "published_at": published.as_unit("ns"),
            "known_at": (published + pd.to_timedelta(draft.delay_s, unit="s")).as_unit("ns"),
            "source": draft.source,
            "title": _titles(config, draft, published),
            "instruments": _named(config, draft),
            "score": _SCORES[draft.template],
        }
    )
    frame = pd.concat([frame, _copies(frame, generator)])
    frame = frame[frame["known_at"] <= pd.Timestamp(config.end)]
    return frame.sort_values(["known_at", "title", "source"], ignore_index=True)[list(NEWS_COLUMNS)]


def _draft(config: MarketConfig, generator: np.random.Generator) -> _Draft:
    n_instruments = len(config.instruments)
    n_hours = _EARLIER_H + int(np.ceil(config.hours()[-1]))
    groups = -(-n_instruments // 6)
    hour = np.repeat(np.arange(n_hours), groups + generator.binomial(3 * groups, 0.5, n_hours))
    n = len(hour)
    first = generator.integers(0, n_instruments, n)
    other = generator.integers(0, n_instruments, n)
    first[generator.random(n) < 0.12] = -1
    other[(first < 0) | (other == first) | (generator.random(n) >= 0.2)] = -1
    tone = 0.45 * _moods(generator, n_hours, n_instruments)[hour, first]
    tone = np.where(first < 0, 0.0, tone) + 0.4 * generator.standard_normal(n)
    source = np.where(first < 0, generator.choice(_CHATTER, n), generator.choice(_SOURCES, n))
    return _Draft(
        hour=hour,
        second=generator.integers(0, 3_600, n),
        delay_s=generator.integers(30, 600, n),
        first=first,
        other=other,
        template=np.argmin(np.abs(_SCORES[None, :] - tone[:, None]), axis=1),
        source=source,
    )


def _moods(generator: np.random.Generator, n_hours: int, n_instruments: int) -> Floats:
    kept = 0.5 ** (1.0 / _MOOD_HALF_LIFE_H)
    moods = generator.standard_normal((n_hours, n_instruments))
    for hour in range(1, n_hours):
        moods[hour] = kept * moods[hour - 1] + np.sqrt(1 - kept**2) * moods[hour]
    return moods


def _titles(config: MarketConfig, draft: _Draft, published: pd.DatetimeIndex) -> list[str]:
    bases = [name.split("/")[0] for name in config.instruments]
    names = [NAMES.get(base, base) for base in bases]
    # The time makes every title unique, so that only true copies are folded as duplicates.
    stamps = published.strftime("%d %b %Y %H:%M:%S")
    rows = zip(draft.first, draft.other, draft.template, stamps, strict=True)
    return [
        f"{_TEXTS[template].format(name=_subject(names, first, other))}, {stamp}"
        for first, other, template, stamp in rows
    ]


def _subject(names: list[str], first: int, other: int) -> str:
    if first < 0:
        return "Crypto market"
    return names[first] if other < 0 else f"{names[first]} and {names[other]}"


def _named(config: MarketConfig, draft: _Draft) -> list[str]:
    names = (*config.instruments, "")  # -1 reads the last
    pairs = zip(draft.first, draft.other, strict=True)
    return [f"{names[first]} {names[other]}".strip() for first, other in pairs]


def _copies(frame: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    copies = frame[generator.random(len(frame)) < 0.05].copy()
    late = pd.to_timedelta(generator.integers(60, 3_600, len(copies)), unit="s").as_unit("ns")
    for name in ("published_at", "known_at"):
        copies[name] = copies[name] + late
    return copies.assign(source="Copy Desk")


def decayed_sentiment(config: MarketConfig, news: pd.DataFrame) -> Floats:
    r"""Shrunken decay-weighted mean score of each instrument's headlines at each close.

    Returns
    -------
    ndarray of shape (n_bars, n_instruments)
        0 without headlines.

    Notes
    -----
    With :math:`w_j = 2^{-age_j / 6h}` over the headlines that name the instrument and are known
    by the close, ages counted from `known_at` and copies counted once:
    :math:`\sum_j w_j s_j / (1 + \sum_j w_j)`.
    """
    news = news.drop_duplicates("title")
    named = [text.split() for text in news["instruments"]]
    columns = []
    for name in config.instruments:
        own = news[np.array([name in names for names in named], dtype=bool)]
        columns.append(_decayed_mean(config, own, HALF_LIFE_H))
    return np.column_stack(columns)


def market_sentiment(config: MarketConfig, news: pd.DataFrame) -> Floats:
    """Return the same of all headlines that name anything, forgotten four times as fast.

    Returns
    -------
    ndarray of shape (n_bars,)
    """
    named = news[news["instruments"] != ""].drop_duplicates("title")
    return _decayed_mean(config, named, HALF_LIFE_H / 4)


def _decayed_mean(config: MarketConfig, news: pd.DataFrame, half_life_h: float) -> Floats:
    known, closes = news["known_at"].dt.tz_localize(None).to_numpy(), config.closed_at
    entry = np.searchsorted(closes, known, side="left")  # first close that knows it
    weight = 0.5 ** ((closes[entry] - known) / np.timedelta64(1, "h") / half_life_h)
    kept = 0.5 ** (config.timeframe.seconds / 3_600.0 / half_life_h)
    top, bottom = (
        np.bincount(entry, weights=values, minlength=config.n_bars)
        for values in (weight * news["score"].to_numpy(), weight)
    )
    for bar in range(1, config.n_bars):
        top[bar] += kept * top[bar - 1]
        bottom[bar] += kept * bottom[bar - 1]
    return top / (1.0 + bottom)
