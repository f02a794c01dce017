from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from dexml.domain import NEWS_COLUMNS
from dexml.simulation.market import INSTRUMENTS, MarketConfig
from dexml.simulation.market.headlines import NAMES, TEMPLATES, decayed_sentiment, draw_news


@pytest.fixture(scope="module")
def news() -> pd.DataFrame:
    return draw_news(MarketConfig(n_bars=1_000))


def test_vader_gives_every_headline_the_score_it_was_planted_with(news: pd.DataFrame) -> None:
    vader = SentimentIntensityAnalyzer()
    heard = [vader.polarity_scores(title)["compound"] for title in news["title"]]
    assert heard == news["score"].tolist()
    assert set(news["score"]) == set(TEMPLATES.values())


@pytest.mark.parametrize("month", range(1, 13))
def test_no_name_and_no_month_changes_a_score(month: int) -> None:
    vader = SentimentIntensityAnalyzer()
    stamp = pd.Timestamp(2023, month, 28, 4, 5).strftime("%d %b %Y %H:%M:%S")
    for template, score in TEMPLATES.items():
        for name in (*NAMES.values(), "Crypto market", "BNB and Chainlink"):
            text = f"{template.format(name=name)}, {stamp}"
            assert vader.polarity_scores(text)["compound"] == score


def test_headlines_are_published_then_known_and_none_after_the_end(news: pd.DataFrame) -> None:
    assert tuple(news.columns) == NEWS_COLUMNS
    assert (news["known_at"] > news["published_at"]).all()
    assert news["known_at"].is_monotonic_increasing
    assert news["known_at"].max() <= pd.Timestamp(MarketConfig(n_bars=1_000).end)
    crosses = news["known_at"].dt.floor("h") != news["published_at"].dt.floor("h")
    assert 0.01 < crosses.mean() < 0.3  # a join by `published_at` would look ahead


def test_one_to_four_headlines_an_hour_with_copies_and_noise(news: pd.DataFrame) -> None:
    first = news.drop_duplicates("title")
    hourly = first.groupby(first["published_at"].dt.floor("h")).size()
    assert (hourly.min(), hourly.max()) == (1, 4)
    assert 0.02 < 1 - len(first) / len(news) < 0.08
    assert 0.06 < (news["instruments"] == "").mean() < 0.2
    noise = news["source"].isin(["Moon Chatter", "Round Table Rumours"])
    assert (news["instruments"][noise] == "").all()
    names = {name for text in news["instruments"] for name in text.split()}
    assert names == set(INSTRUMENTS)


def test_decayed_sentiment_equals_its_formula() -> None:
    config = MarketConfig(n_bars=100)
    at = pd.to_datetime(["2022-12-31T20:00Z", "2023-01-01T02:30Z", "2023-01-01T02:40Z"])
    frame = pd.DataFrame(
        {
            "known_at": at.as_unit("ns"),
            "title": ["a", "b", "b"],
            "instruments": ["ETH/USDT", "BTC/USDT ETH/USDT", "BTC/USDT ETH/USDT"],
            "score": [-0.5, 0.8, 0.8],
        }
    )
    sentiment = decayed_sentiment(config, frame)
    old, new = 0.5 ** (7 / 6), 0.5 ** (0.5 / 6)  # at the close of 03:00; the copy counts once
    assert sentiment[2, 0] == pytest.approx(0.8 * new / (1 + new))
    assert sentiment[2, 1] == pytest.approx((0.8 * new - 0.5 * old) / (1 + new + old))
    assert sentiment[1, 0] == 0.0
    assert np.all(sentiment[:, 2:] == 0.0)
