from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Bars, History, Timeframe
from dexml.errors import DataError, LeakFound
from dexml.features.audit import audit
from dexml.features.indicators import INDICATORS, Group, indicator
from dexml.features.panel import build_panel
from dexml.features.registry import Compute
from dexml.features.rolling import rolling_max, rolling_min
from dexml.targets import labels
from tests.dexml.features.histories import some_history, some_social, some_venues

HISTORY = some_history(800)
SOCIAL = replace(
    HISTORY,
    macro=pd.concat([HISTORY.macro, some_social(HISTORY.bars["BTC/USDT"])], ignore_index=True),
)
VENUES = replace(
    HISTORY,
    venue_closes={name: some_venues(HISTORY.bars[name]) for name in ("BTC/USDT", "ETH/USDT")},
)


def _by_instrument(values: pd.Series) -> pd.core.groupby.SeriesGroupBy:
    return values.groupby(level="instrument")


def _close(history: History, panel: pd.DataFrame) -> pd.Series:
    frames = {name: bars.frame()["close"] for name, bars in history.bars.items()}
    close = pd.concat(frames, names=["instrument"]).swaplevel().sort_index()
    return close.reindex(panel.index)


def _tomorrow(history: History, panel: pd.DataFrame) -> pd.Series:
    close = _close(history, panel)
    return (_by_instrument(close).shift(-1) / close).fillna(1.0)


def _centred_mean(history: History, panel: pd.DataFrame) -> pd.Series:
    smooth = _by_instrument(panel["return_1"]).rolling(5, center=True, min_periods=1).mean()
    return smooth.droplevel(0).reindex(panel.index)


def _global_z_score(history: History, panel: pd.DataFrame) -> pd.Series:
    values = panel["volume_ratio_1"]
    return (values - values.mean()) / values.std()


def _filled_backwards(history: History, panel: pd.DataFrame) -> pd.Series:
    sparse = panel["return_1"].where(np.arange(len(panel)) % 7 == 0)
    return _by_instrument(sparse).bfill()


def _count(stamps: pd.Series, panel: pd.DataFrame) -> pd.Series:
    ordered = np.sort(stamps.dt.tz_localize(None).to_numpy())
    at = panel.index.get_level_values(0).tz_localize(None).to_numpy()
    return pd.Series(np.searchsorted(ordered, at, side="right").astype(float), index=panel.index)


def _news_by_publication(history: History, panel: pd.DataFrame) -> pd.Series:
    return _count(history.news["published_at"], panel)


def _macro_by_period(history: History, panel: pd.DataFrame) -> pd.Series:
    vix = history.macro[history.macro["series"] == "vix"].sort_values("period_at")
    row = (_count(vix["period_at"], panel) - 1).astype(int)
    return pd.Series(vix["value"].to_numpy()[row], index=panel.index)


def _open_day(history: History, panel: pd.DataFrame) -> pd.Series:
    close = _close(history, panel)
    stamps = panel.index.get_level_values(0)
    day = (stamps - pd.Timedelta(1, "ns")).floor("D")
    return close.groupby([day, panel.index.get_level_values(1)]).transform("last") / close


def _bars_since_the_start(history: History, panel: pd.DataFrame) -> pd.Series:
    return _by_instrument(panel["return_1"]).cumsum()


def _social_by_period(history: History, panel: pd.DataFrame) -> pd.Series:
    social = history.macro[history.macro["series"] == "social_btc"].sort_values("period_at")
    row = (_count(social["period_at"], panel) - 1).astype(int)
    return pd.Series(social["value"].to_numpy()[row], index=panel.index)


Plant = Callable[[History, pd.DataFrame], pd.Series]
LEAKS: dict[str, Plant] = {
    "tomorrow": _tomorrow,
    "centred_mean": _centred_mean,
    "global_z_score": _global_z_score,
    "filled_backwards": _filled_backwards,
    "news_by_publication": _news_by_publication,
    "macro_by_period": _macro_by_period,
    "social_by_period": _social_by_period,
    "open_day": _open_day,
    "since_the_start": _bars_since_the_start,
}


def _with(name: str) -> Callable[[History], pd.DataFrame]:
    def build(history: History) -> pd.DataFrame:
        panel = build_panel(history)
        return panel.assign(**{name: LEAKS[name](history, panel)})

    return build


@pytest.mark.parametrize("seed", range(3))
def test_the_built_in_features_and_targets_do_not_leak(seed: int) -> None:
    everything = replace(VENUES, macro=SOCIAL.macro)
    report = audit(everything, labels=labels, seed=seed)
    assert report.leaks == ()
    raw = tuple(name for one in INDICATORS.values() for name in one.raw)
    assert report.features == tuple(build_panel(everything))
    assert (report.raw, len(report.labels)) == (raw, 5)
    assert report.checked == len(report.features) + len(raw) + 5
    report.raise_if_leaking()


@pytest.mark.parametrize("name", list(LEAKS))
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_leak_is_found_by_name_and_nothing_else_is_blamed(name: str, seed: int) -> None:
    report = audit(SOCIAL, build=_with(name), seed=seed)
    assert report.names == (name,)
    with pytest.raises(LeakFound, match=name):
        report.raise_if_leaking()


def test_what_depends_on_the_start_is_told_from_what_sees_the_future() -> None:
    report = audit(HISTORY, build=_with("since_the_start"))
    assert {leak.check for leak in report.leaks} == {"start"}


def test_a_join_by_publication_is_found_with_no_random_cut_at_all() -> None:
    assert audit(HISTORY, build=_with("news_by_publication"), n_cuts=1).names


def test_dropping_rows_that_the_future_decides_is_a_leak() -> None:
    def build(history: History) -> pd.DataFrame:
        panel = build_panel(history)
        return panel[panel["volume_ratio_1"] < panel["volume_ratio_1"].quantile(0.9)]

    assert "(rows)" in audit(HISTORY, build=build).names


def test_labels_that_know_the_last_bars_are_found() -> None:
    def filled(bars: dict[str, Bars], horizon: int) -> pd.DataFrame:
        return labels(bars, horizon).fillna(0.0)

    assert "direction" in audit(HISTORY, labels=filled).names
    assert "direction" in audit(HISTORY, labels=labels(HISTORY.bars).fillna(0.0)).names
    assert audit(HISTORY, labels=labels(HISTORY.bars)).leaks == ()


def test_labels_of_another_horizon_are_found() -> None:
    found = audit(HISTORY, labels=labels(HISTORY.bars, 3), horizon=1).names
    assert "direction" in found
    assert audit(HISTORY, labels=labels, horizon=3).leaks == ()


def test_labels_that_look_farther_than_the_horizon_are_found() -> None:
    def greedy(bars: dict[str, Bars], horizon: int) -> pd.DataFrame:
        frame = labels(bars, horizon)
        spread = frame["direction"].mean()
        return frame.assign(direction=frame["direction"] * spread)

    assert "direction" in audit(HISTORY, labels=greedy).names


def test_a_history_that_is_too_short_is_refused() -> None:
    with pytest.raises(DataError, match="at least 434 bars long"):
        audit(some_history(400))


def test_history_without_news_and_macro_is_audited_too() -> None:
    assert audit(History(bars=HISTORY.bars)).leaks == ()


def test_series_that_begin_late_are_no_leak() -> None:
    late = pd.Timestamp("2023-03-28", tz="UTC")
    news, macro = HISTORY.news, HISTORY.macro
    history = replace(
        HISTORY, news=news[news["known_at"] > late], macro=macro[macro["known_at"] > late]
    )
    assert audit(history).leaks == ()


def _next_agreement(history: History, panel: pd.DataFrame) -> pd.Series:
    closes = history.venue_closes["BTC/USDT"]
    at = panel.index.get_level_values(0)
    return pd.Series(
        (closes["binance"] / closes["kraken"]).shift(-1).reindex(at).fillna(1.0).to_numpy(),
        index=panel.index,
    )


def test_the_next_close_of_another_exchange_is_found() -> None:
    def build(history: History) -> pd.DataFrame:
        panel = build_panel(history)
        return panel.assign(next_agreement=_next_agreement(history, panel))

    report = audit(VENUES, build=build)
    assert report.names == ("next_agreement",)
    assert "perturbation" in {leak.check for leak in report.leaks}


@contextmanager
def _registered(compute: Compute, **facts: Any) -> Iterator[None]:
    indicator(Group.PRICE, "planted", unit="x", **facts)(compute)
    try:
        yield
    finally:
        INDICATORS.pop(compute.__name__)


def _long_memory(bars: Bars) -> dict[str, np.ndarray]:
    """Return over 50 bars, though 10 are declared."""
    return {"planted": np.log(bars.close / np.roll(bars.close, 50))}


def _centred(bars: Bars) -> dict[str, np.ndarray]:
    """Mean of the bars around."""
    mean = pd.Series(bars.close).rolling(5, center=True, min_periods=1).mean()
    return {"planted": bars.close / mean.to_numpy()}


def _on_the_last_bar(bars: Bars) -> dict[str, np.ndarray]:
    """Return that is another one on the last bar."""
    values = bars.close / np.concatenate([bars.close[:1], bars.close[:-1]])
    values[-1] = 2.0
    return {"planted": values}


def _of_one_instrument(bars: Bars) -> dict[str, np.ndarray]:
    """Return of the next bar, for one instrument only."""
    values = bars.close / np.concatenate([bars.close[:1], bars.close[:-1]])
    return {"planted": np.append(values[1:], 1.0) if "ETH" in bars.instrument else values}


@pytest.mark.parametrize("plant", [_long_memory, _centred, _on_the_last_bar, _of_one_instrument])
def test_an_indicator_that_reaches_beyond_its_window_is_named(plant: Compute) -> None:
    with _registered(plant, warm_up=10):
        report = audit(HISTORY)
        assert report.names == ("planted",)
        assert "window" in {leak.check for leak in report.leaks}


def test_an_indicator_that_keeps_its_window_passes() -> None:
    with _registered(_long_memory, warm_up=50):
        assert audit(HISTORY).leaks == ()


def test_a_shared_indicator_that_reads_beyond_its_window_is_named() -> None:
    def greedy(bars: Bars) -> dict[str, np.ndarray]:
        """Range of 60 bars, though 20 are declared."""
        return {"planted": rolling_max(bars.high, 60) / rolling_min(bars.low, 60)}

    with _registered(greedy, warm_up=60, window=20, shared=True):
        report = audit(HISTORY)
        assert [(leak.feature, leak.check) for leak in report.leaks] == [("planted", "live")]


@pytest.mark.shared
def test_recorded_bars_do_not_leak(shared: Path) -> None:
    bars = {}
    for symbol in ("BTC", "DOGE"):
        path = shared / f"data/ohlcv_1h/binance_usdm_perp/{symbol}USDT.parquet"
        frame = pd.read_parquet(path).tail(3_000).rename(columns=str.lower)
        frame.index = pd.DatetimeIndex(frame["timestamp_utc"]) + pd.Timedelta(hours=1)
        name = f"{symbol}/USDT"
        bars[name] = Bars.from_frame(name, Timeframe.H1, frame)
    report = audit(History(bars=bars), labels=labels)
    assert report.leaks == ()
    assert report.seconds < 10
