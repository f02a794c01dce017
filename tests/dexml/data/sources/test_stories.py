from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.sources.stories import Stories, oldest_kept, same_story

TITLES = [
    "XRP Moves With the Market as Ripples Announces Buyout",
    "XRP Moves With the Market as Ripple Announces Buyout",
    "MetaMask warns Apple users over iCloud phishing attacks",
    "MetaMask Warns Apple Users of iCloud Phishing Attacks",
    "Bitcoin rises above $40,000",
    "Bitcoin rises above $41,000",
    "Fees fall",
]


OTHER_STORIES = [
    (
        "Ethereum price analysis: bulls eye the next resistance",
        "Bitcoin price analysis: bulls eye the next resistance",
    ),
    (
        "Whale moves large stash of Bitcoin to Binance",
        "Whale moves large stash of Ethereum to Binance",
    ),
    ("Exchange halts withdrawals after outage", "Exchange halts Solana withdrawals after outage"),
    (
        "SEC sues Coinbase over unregistered token sales",
        "SEC sues Binance over unregistered token sales",
    ),
    (
        "Exchange to delist Chainlink perpetual futures",
        "Exchange to list Chainlink perpetual futures",
    ),
    ("Miners sold their coins in record volume", "Miners bought their coins in record volume"),
]


@pytest.mark.parametrize(("first", "second"), OTHER_STORIES)
def test_of_another_coin_or_exchange_or_turned_round_it_is_another_story(
    first: str, second: str
) -> None:
    assert not same_story(first, second)
    assert same_story(first, f"{first} today")


def told(rows: list[tuple[int, int]]) -> pd.DataFrame:
    at = pd.to_datetime([hour for _, hour in rows], unit="h", utc=True)
    titles = [TITLES[number] for number, _ in rows]
    return pd.DataFrame({"title": titles, "known_at": at, "published_at": at, "source": "Wire"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (TITLES[0], TITLES[1]),
        (TITLES[2], TITLES[3]),
        (
            "7 in 10 Investors Plan to Buy More Crypto, Survey Finds",
            "7 in 10 Investors Plan to Buy More Crypto, Bitstamp Survey Finds",
        ),
        ("Fed\u2019s Powell speaks on rates", "Fed's Powell Speaks on Rates!"),
    ],
)
def test_the_same_story_in_other_words(first: str, second: str) -> None:
    assert same_story(first, second)
    assert same_story(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (TITLES[4], TITLES[5]),
        (
            "SEC approves the spot Bitcoin fund of a large bank",
            "SEC rejects the spot Bitcoin fund of a large bank",
        ),
        (
            "Exchange will list the new token on Monday",
            "Exchange will not list the new token on Monday",
        ),
        (
            "Bitcoin and Ethereum Consolidate Gains, ADA Outperforms",
            "Bitcoin and Ethereum Consolidate Gains, AXS and WAVES Dive",
        ),
        (
            "Honduras Will Not Adopt Bitcoin as Legal Tender, Central Bank Implies",
            "Malaysia Will Not Adopt Bitcoin as Legal Tender, Says Deputy Finance Minister",
        ),
        ("Bitcoin up", "Bitcoin down"),
        ("Fees fall", "Fees rise"),
    ],
)
def test_near_words_of_another_story(first: str, second: str) -> None:
    assert not same_story(first, second)


def test_the_publisher_at_the_end_does_not_make_another_story() -> None:
    news = told([(6, 0), (6, 1)])
    news["title"] = ["Fees fall - Wire", "Fees fall"]
    assert list(Stories().fold(news)["title"]) == ["Fees fall - Wire"]


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 60)), max_size=12).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(rows))
    )
)
def test_the_order_of_the_rows_changes_nothing(
    both: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    first, second = (Stories().fold(told(rows)) for rows in both)
    pd.testing.assert_frame_equal(first, second)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 60)), max_size=12), st.integers(0, 60))
def test_folding_visit_by_visit_keeps_what_folding_at_once_does(
    rows: list[tuple[int, int]], hour: int
) -> None:
    news = told(rows)
    before = news["known_at"] < pd.Timestamp(hour, unit="h", tz="UTC")
    stories = Stories()
    parts = pd.concat([stories.fold(news[before]), stories.fold(news[~before])])
    pd.testing.assert_frame_equal(parts.reset_index(drop=True), Stories().fold(news))


def test_a_story_is_new_again_after_a_day() -> None:
    assert len(Stories().fold(told([(0, 0), (1, 24), (0, 25)]))) == 2


def _day_by_day(n_days: int, n_a_day: int = 100) -> pd.DataFrame:
    at = pd.to_datetime([k / n_a_day for k in range(n_days * n_a_day)], unit="D", utc=True)
    titles = [f"Coin {k} moves on day {k // n_a_day} of the year" for k in range(len(at))]
    return pd.DataFrame({"title": titles, "known_at": at, "published_at": at, "source": "Wire"})


def test_what_it_remembers_does_not_grow_with_the_years() -> None:
    news, stories = _day_by_day(60), Stories()
    for day in range(60):
        assert len(stories.fold(news.iloc[100 * day : 100 * (day + 1)])) == 100
        assert len(stories._exact) <= 1_100
    assert not stories.reaches(news["known_at"].iloc[0])
    assert stories.reaches(news["known_at"].iloc[-1])


def test_only_what_may_be_told_again_is_recalled() -> None:
    news = _day_by_day(9)
    stories = Stories(since=oldest_kept(news))
    stories.recall(news)
    assert len(stories._exact) == 201
    assert stories.fold(news.tail(100)).empty
