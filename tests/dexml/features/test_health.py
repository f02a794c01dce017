from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.health import health_at
from dexml.data.storage.store import Store
from dexml.domain import Bars, History
from dexml.features.audit import audit
from dexml.features.current import CurrentPanel
from dexml.features.health import HEALTH_WINDOW, data_health
from dexml.features.panel import VIEWS, build_panel, view
from dexml.simulation.market import MarketConfig, plant
from tests.dexml.features.histories import some_history, some_venues, walk

NAME = "BTC/USDT"
HOUR = np.timedelta64(1, "h")


def refused(bars: Bars, rows: list[tuple[int, int]]) -> pd.DataFrame:
    """Bars of these rows were refused, and that was known so many hours later."""
    closed_at = pd.DatetimeIndex([bars.closed_at[row] for row, _ in rows], tz="UTC").as_unit("ns")
    known_at = closed_at + pd.to_timedelta([hours for _, hours in rows], unit="h")
    facts = {"instrument": bars.instrument, "exchange": "kraken", "reason": "price jump"}
    frame = pd.DataFrame({"closed_at": closed_at, "known_at": known_at, **facts})
    return frame[["instrument", "exchange", "closed_at", "known_at", "reason"]]


def scores(history: History) -> np.ndarray:
    return data_health(history)[NAME]["data_health"]


def test_where_nothing_was_ever_refused_it_is_one() -> None:
    history = plant(MarketConfig(n_bars=600)).history
    assert build_panel(history)["data_health"].eq(1.0).all()


def test_every_model_sees_it() -> None:
    panel = build_panel(some_history())
    for target in VIEWS:
        assert "data_health" in view(target, panel.columns)


def test_a_refused_bar_counts_for_a_window_from_when_it_was_seen() -> None:
    bars = walk(NAME, 200)
    found = scores(History(bars={NAME: bars}, refused=refused(bars, [(100, 0), (150, 5)])))
    doubted = [k for k in range(HEALTH_WINDOW, 200) if found[k] == 23 / 24]
    assert doubted == [*range(100, 124), *range(155, 174)]
    assert (found[HEALTH_WINDOW:] >= 23 / 24).all()


def test_what_is_seen_after_its_window_never_counts() -> None:
    bars = walk(NAME, 200)
    late = refused(bars, [(100, 24), (101, 500)])
    assert (scores(History(bars={NAME: bars}, refused=late))[24:] == 1.0).all()


def test_a_bar_refused_twice_counts_once_from_the_first() -> None:
    bars = walk(NAME, 200)
    twice = pd.concat([refused(bars, [(100, 9)]), refused(bars, [(100, 2)])])
    found = scores(History(bars={NAME: bars}, refused=twice))
    assert [k for k in range(24, 200) if found[k] < 1] == list(range(102, 124))
    assert found[110] == 23 / 24


@given(st.sets(st.integers(1, 150), max_size=60), st.sets(st.integers(30, 150), max_size=9))
def test_without_refusals_it_is_the_score_that_policy_and_status_have(
    missing: set[int], disputed: set[int]
) -> None:
    whole = walk(NAME, 151)
    bars = whole.take([k for k in range(151) if k not in missing])
    closes = pd.DataFrame({"a": bars.close, "b": bars.close})
    closes.index = pd.DatetimeIndex(bars.closed_at, tz="UTC")
    apart = np.isin(bars.closed_at, whole.closed_at[sorted(disputed)])
    closes.loc[apart, "b"] *= 1.06
    found = scores(History(bars={NAME: bars}, venue_closes={NAME: closes}))
    for row in range(len(bars)):
        at = bars.closed_at[row]
        if at - bars.closed_at[0] >= HEALTH_WINDOW * HOUR:
            known = closes.iloc[: row + 1]
            assert found[row] == pytest.approx(health_at(bars, at, {}, known).score, abs=1e-12)


@settings(max_examples=8)
@given(
    st.lists(st.tuples(st.integers(384, 429), st.integers(0, 30)), max_size=12),
    st.sets(st.integers(1, 429), max_size=40),
    st.sets(st.integers(400, 429), max_size=4),
)
def test_one_bar_at_a_time_has_the_bits_of_the_whole(
    rows: list[tuple[int, int]], missing: set[int], disputed: set[int]
) -> None:
    whole = {name: walk(name, 430, seed) for seed, name in enumerate((NAME, "ETH/USDT"))}
    closes = some_venues(whole[NAME])
    closes.iloc[sorted(disputed), 0] *= 1.1
    kept = [k for k in range(430) if k not in missing or k == 429]
    history = History(
        bars={**whole, NAME: whole[NAME].take(kept)},
        venue_closes={NAME: closes.iloc[kept]},
        refused=refused(whole[NAME], rows),
    )
    current = CurrentPanel()
    for at in whole[NAME].closed_at[-25:]:
        batch = build_panel(history.until(at))
        heard = current.rows(history, at)
        assert heard.equals(batch.loc[[pd.Timestamp(at, tz="UTC")]])
    assert current.n_opened == 1


def test_the_audit_covers_it_and_finds_no_leak() -> None:
    history = some_history(700)
    spoilt = replace(history, refused=refused(history.bars[NAME], [(600, 3), (640, 0), (690, 1)]))
    report = audit(spoilt)
    assert report.names == ()


def test_the_audit_names_health_that_does_not_ask_when_it_was_known() -> None:
    history = some_history(700)

    def at_once(given: History) -> pd.DataFrame:
        rows = given.refused
        early = rows.assign(known_at=rows["closed_at"])
        return build_panel(replace(given, refused=early), on_windows=False)

    spoilt = replace(history, refused=refused(history.bars[NAME], [(600, 3), (640, 9)]))
    report = audit(spoilt, build=at_once)
    assert report.names == ("data_health",)


def test_what_the_store_refused_reaches_the_panel_though_it_was_healed(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), walk(NAME, 440)
    store.append_bars("binance", bars.take(slice(0, 420)))
    columns = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[420] *= 1_000.0
    store.append_bars("binance", replace(bars, **columns).take(slice(420, 421)))
    store.append_bars("binance", bars.take(slice(410, 440)))
    history = store.history(("binance",), (NAME,), "1h")
    found = build_panel(history)["data_health"]
    assert len(history.bars[NAME]) == 440
    assert found.iloc[420 - 384 - 1 : 440 - 384].tolist() == [1.0] + 20 * [23 / 24]
