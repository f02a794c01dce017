from __future__ import annotations

from collections.abc import Callable
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


def _refused(bars: Bars, row: int) -> pd.DataFrame:
    closed_at = pd.DatetimeIndex([bars.closed_at[row]], tz="UTC")
    facts = {"instrument": bars.instrument, "exchange": "kraken", "reason": "price jump"}
    return pd.DataFrame({"closed_at": closed_at, "known_at": closed_at, **facts})


def _disputed(history: History, name: str, row: int) -> History:
    closes = history.venue_closes[name].copy()
    closes.iloc[row, 0] = 1.07 * history.bars[name].close[row]
    return replace(history, venue_closes={**history.venue_closes, name: closes})


def _nothing(history: History, whole: History, k: int) -> History:
    return history


HAPPENINGS: dict[str, Callable[[History, History, int], History]] = {
    "revise": lambda now, _, k: _has_bar(now, "ETH/USDT", _revised(now.bars["ETH/USDT"], k - 2)),
    "long ago": lambda now, _, k: _has_bar(now, "BTC/USDT", _revised(now.bars["BTC/USDT"], 17)),
    "late bar": lambda now, whole, _: _has_bar(now, "SOL/USDT", whole.bars["SOL/USDT"]),
    "late news": lambda now, whole, _: replace(now, news=whole.news),
    "late macro": lambda now, whole, _: replace(now, macro=whole.macro),
    "late refusal": lambda now, _, k: replace(now, refused=_refused(now.bars["ETH/USDT"], k - 3)),
    "revised exchange": lambda now, _, k: _disputed(now, "BTC/USDT", k - 4),
}


def _batch(history: History, closed_at: np.datetime64) -> pd.DataFrame:
    return build_panel(history.until(closed_at)).loc[[pd.Timestamp(closed_at, tz="UTC")]]


def _has_bar(history: History, name: str, bars: Bars) -> History:
    return replace(history, bars={**history.bars, name: bars})


@given(
    st.lists(
        st.sampled_from(["on", "on", "on", "skip", "again", *HAPPENINGS]),
        min_size=5,
        max_size=12,
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
    fewer = {"news": whole.news.drop(index=9), "macro": whole.macro.drop(index=[9, 40])}
    history = replace(history, **{name: one.reset_index(drop=True) for name, one in fewer.items()})
    for happening in happenings:
        k += {"skip": 3, "again": 0}.get(happening, 1)
        history = HAPPENINGS.get(happening, _nothing)(history, whole, k)
        found = panel.rows(history, closes[k])
        pd.testing.assert_frame_equal(found, _batch(history, closes[k]), check_exact=True)


def test_a_history_that_only_went_on_is_never_opened_again() -> None:
    whole = _whole()
    closes, panel = whole.bars["BTC/USDT"].closed_at, CurrentPanel()
    for k in (N - 9, N - 8, N - 7, N - 4, N - 1):
        panel.rows(whole.until(closes[k]), closes[k])
    assert panel.n_opened == 1


Happening = Callable[[History], tuple[History, History]]


def _late(kind: str) -> Happening:
    def happening(whole: History) -> tuple[History, History]:
        return replace(whole, **{kind: getattr(whole, kind).drop(index=9)}), whole

    return happening


def _changed(change: Callable[[Bars, int], Bars], row: int) -> Happening:
    bars = _whole().bars["BTC/USDT"]
    return lambda whole: (whole, _has_bar(whole, "BTC/USDT", change(bars, row)))


def _new_venue(whole: History) -> tuple[History, History]:
    one = {"BTC/USDT": whole.venue_closes["BTC/USDT"]}
    return replace(whole, venue_closes=one), whole


@pytest.mark.parametrize(
    ("happening", "n_opened", "n_reopened"),
    [
        (_changed(_revised, 30), 1, 1),
        (_changed(_revised, N - 4), 1, 1),
        (_changed(_without, N - 9), 1, 1),
        (lambda whole: (whole, _disputed(whole, "ETH/USDT", N - 5)), 1, 1),
        (_late("news"), 1, 0),
        (_late("macro"), 1, 0),
        (
            lambda whole: (whole, replace(whole, refused=_refused(whole.bars["ETH/USDT"], N - 9))),
            1,
            0,
        ),
        (_new_venue, 2, 0),
    ],
    ids=[
        "old revision",
        "new revision",
        "hole",
        "exchange",
        "news",
        "macro",
        "refusal",
        "new venue",
    ],
)
def test_of_a_past_that_changed_only_what_changed_is_read_again(
    happening: Happening, n_opened: int, n_reopened: int
) -> None:
    before, after = happening(_whole())
    closes, panel = _whole().bars["BTC/USDT"].closed_at, CurrentPanel()
    panel.rows(before, closes[-3])
    for closed_at in closes[-2:]:
        found = panel.rows(after, closed_at)
        pd.testing.assert_frame_equal(found, _batch(after, closed_at), check_exact=True)
    assert (panel.n_opened, panel.n_reopened) == (n_opened, n_reopened)


# Fewer bars than a warm-up are left: its rows end, and begin again when they are there again.
def test_an_instrument_that_lost_its_history_waits_for_its_warm_up() -> None:
    whole = _whole()
    closes, panel = whole.bars["BTC/USDT"].closed_at, CurrentPanel()
    young = _has_bar(whole, "ETH/USDT", whole.bars["ETH/USDT"].take(slice(62, None)))
    for history, k in (
        (whole, -6),
        (young, -5),
        (young, -4),
        (young, -3),
        (young, -2),
        (whole, -1),
    ):
        found = panel.rows(history, closes[k])
        pd.testing.assert_frame_equal(found, _batch(history, closes[k]), check_exact=True)
    assert panel.n_opened == 1
    assert len(_batch(young, closes[-3])) == 2


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
