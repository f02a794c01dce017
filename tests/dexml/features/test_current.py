from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.domain import Bars, History
from dexml.errors import DataError
from dexml.features.current import CurrentPanel
from dexml.features.panel import WARM_UP, build_panel
from tests.dexml.features.histories import some_history, some_venues

N = WARM_UP + 60


@cache
def _whole() -> History:
    history = some_history(N)
    some = {name: some_venues(history.bars[name]) for name in ("BTC/USDT", "ETH/USDT")}
    return replace(history, venue_closes=some)


def _without(bars: Bars, row: int) -> Bars:
    return Bars.from_frame(
        bars.instrument, bars.timeframe, bars.frame().drop(index=bars.frame().index[row])
    )


def _revised(bars: Bars, row: int) -> Bars:
    volume = bars.volume.copy()
    volume[row] += 7.0
    return replace(bars, volume=volume)


def _batch(history: History, closed_at: np.datetime64) -> pd.DataFrame:
    return build_panel(history.until(closed_at)).loc[[pd.Timestamp(closed_at, tz="UTC")]]


def _has_bar(history: History, name: str, bars: Bars) -> History:
    return replace(history, bars={**history.bars, name: bars})


@given(
    st.lists(
        st.sampled_from(["on", "on", "on", "skip", "again", "revise", "late bar", "late news"]),
        min_size=4,
        max_size=9,
    )
)
@settings(max_examples=8)
def test_whatever_happens_to_the_history_the_rows_have_the_bits_of_the_batch(
    happenings: list[str],
) -> None:
    whole = _whole()
    closes = whole.bars["BTC/USDT"].closed_at
    k, panel = WARM_UP + 5, CurrentPanel()
    history = _has_bar(whole, "SOL/USDT", _without(whole.bars["SOL/USDT"], k - 3))
    history = replace(history, news=whole.news.drop(index=9).reset_index(drop=True))
    for happening in happenings:
        k += {"skip": 3, "again": 0}.get(happening, 1)
        if happening == "revise":
            history = _has_bar(history, "ETH/USDT", _revised(history.bars["ETH/USDT"], k - 2))
        elif happening == "late bar":
            history = _has_bar(history, "SOL/USDT", whole.bars["SOL/USDT"])
        elif happening == "late news":
            history = replace(history, news=whole.news)
        found = panel.rows(history, closes[k])
        pd.testing.assert_frame_equal(found, _batch(history, closes[k]), check_exact=True)


def test_a_history_that_only_went_on_is_never_opened_again() -> None:
    whole = _whole()
    closes, panel = whole.bars["BTC/USDT"].closed_at, CurrentPanel()
    for k in (N - 9, N - 8, N - 7, N - 4, N - 1):
        panel.rows(whole.until(closes[k]), closes[k])
    assert panel.n_opened == 1


@pytest.mark.parametrize("happening", ["revision", "late news", "late macro", "late venue"])
def test_a_past_that_changed_is_opened_again(happening: str) -> None:
    whole = _whole()
    closes, panel = whole.bars["BTC/USDT"].closed_at, CurrentPanel()
    fewer = replace(whole, news=whole.news.drop(index=9), macro=whole.macro.drop(index=9))
    one = {"BTC/USDT": whole.venue_closes["BTC/USDT"]}
    before, after = {
        "revision": (whole, _has_bar(whole, "BTC/USDT", _revised(whole.bars["BTC/USDT"], 30))),
        "late news": (fewer, replace(fewer, news=whole.news)),
        "late macro": (fewer, replace(fewer, macro=whole.macro)),
        "late venue": (replace(whole, venue_closes=one), whole),
    }[happening]
    panel.rows(before, closes[-2])
    found = panel.rows(after, closes[-1])
    assert panel.n_opened == 2
    pd.testing.assert_frame_equal(found, _batch(after, closes[-1]), check_exact=True)


def test_a_close_without_a_bar_or_a_warm_up_is_refused() -> None:
    whole = _whole()
    closes = whole.bars["BTC/USDT"].closed_at
    hour = np.timedelta64(1, "h")
    with pytest.raises(DataError, match=r"must reach the close of .* was bars until"):
        CurrentPanel().rows(whole, closes[-1] + hour)
    with pytest.raises(DataError, match="was no instrument past its warm-up"):
        CurrentPanel().rows(whole, closes[WARM_UP - 1])


def test_after_a_refusal_the_next_close_is_made_from_the_whole_history() -> None:
    whole = _whole()
    closes, panel = whole.bars["BTC/USDT"].closed_at, CurrentPanel()
    panel.rows(whole, closes[-3])
    with pytest.raises(DataError):
        panel.rows(whole, closes[-1] + np.timedelta64(1, "h"))
    found = panel.rows(whole, closes[-1])
    pd.testing.assert_frame_equal(found, _batch(whole, closes[-1]), check_exact=True)
