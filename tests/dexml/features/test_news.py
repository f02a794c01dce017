from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Timeframe
from dexml.features.news import NEWS_WINDOWS, news_features, once
from tests.dexml.features.histories import some_news, walk


def test_every_aggregate_matches_brute_force() -> None:
    bars = walk(n=300)
    news = some_news(bars, 500)
    found = news_features(news, "ETH/USDT", bars.closed_at, Timeframe.H1)
    own = news[["ETH/USDT" in text.split() for text in news["instruments"]]]
    for t in range(0, 300, 11):
        now = pd.Timestamp(bars.closed_at[t], tz="UTC")
        for name, hours in NEWS_WINDOWS.items():
            age_h = (now - own["known_at"]) / pd.Timedelta(hours=1)
            scores = own["score"][(age_h >= 0) & (age_h < hours)]
            assert found[f"count_{name}"][t] == len(scores)
            for key, expected in (("mean", scores.mean()), ("dispersion", scores.std(ddof=0))):
                known = len(scores) > (0 if key == "mean" else 1)
                expected = expected if known else np.nan
                assert found[f"{key}_{name}"][t] == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_decay_halves_every_quarter_of_the_window_and_leans_to_neutral() -> None:
    bars = walk(n=60)
    news = some_news(bars, 1).assign(
        known_at=pd.Timestamp(bars.closed_at[20], tz="UTC"), instruments="BTC/USDT", score=0.8
    )
    found = news_features(news, "BTC/USDT", bars.closed_at, Timeframe.H1)["decay_24h"]
    assert found[19] == 0.0
    for hours in (0, 6, 12):
        weight = 0.5 ** (hours / 6)
        assert found[20 + hours] == pytest.approx(0.8 * weight / (1 + weight))
    assert found[44] == 0.0


def test_a_headline_counts_from_the_instant_it_was_known_not_published() -> None:
    bars = walk(n=60)
    at = pd.Timestamp(bars.closed_at[20], tz="UTC")
    news = some_news(bars, 1).assign(
        published_at=at - pd.Timedelta(hours=3), known_at=at + pd.Timedelta(minutes=1)
    )
    counts = news_features(news, None, bars.closed_at, Timeframe.H1)["count_24h"]
    assert counts[20] == 0
    assert counts[21] == 1


def test_a_repeated_headline_counts_once_whoever_prints_it() -> None:
    news = some_news(walk(n=60), 20)
    copies = news.assign(
        known_at=news["known_at"] + pd.Timedelta(hours=1),
        source="copy desk",
        title="  " + news["title"].str.upper(),
    )
    assert len(once(pd.concat([copies, news]))) == 20


def test_the_same_words_a_day_later_are_news_again() -> None:
    news = some_news(walk(n=60), 1)
    later = news.assign(known_at=news["known_at"] + pd.Timedelta(days=1))
    assert len(once(pd.concat([news, later]))) == 2
