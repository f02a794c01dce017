"""Every column of the panel against what it means, in plain Python, at rows drawn by chance."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Bars, History
from dexml.features.indicators import INDICATORS, Group, compute_columns, indicator
from dexml.features.panel import WARM_UP, build_panel
from tests.dexml.features.histories import (
    START,
    some_macro,
    some_news,
    some_social,
    some_venues,
    walk,
)
from tests.dexml.features.oracles import context, market, prices, technical, volumes
from tests.dexml.features.oracles.seen import Market, Oracle, Seen

N = 640
ALONE = 570  # only the first instrument has a bar then
NEWS = 440  # the first headline is known at this close, the first about an instrument two later
NAMES = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")
HOUR = pd.Timedelta(hours=1)
SERIES = ("vix", "dxy", "rate", "social_btc")


def _seasonal(bars: Bars) -> Bars:
    """Return bars that move much more than usual in one hour of the day, and hardly in another."""
    hour = bars.closed_at.astype("datetime64[h]").astype(int) % 24
    loud = np.where(hour == 9, 15.0, np.where(hour == 15, 0.01, 1.0))
    edges = np.log(np.append(bars.open[:1], bars.close))
    close = bars.open[0] * np.exp(np.cumsum(np.diff(edges) * loud))
    open_ = np.append(bars.open[:1], close[:-1])
    high = np.maximum(open_, close) * bars.high / np.maximum(bars.open, bars.close)
    low = np.minimum(open_, close) * bars.low / np.minimum(bars.open, bars.close)
    return replace(bars, open=open_, high=high, low=low, close=close)


def _holed(name: str, seed: int, tick: float | None) -> Bars:
    """Return a walk that opens anywhere, with holes alone and in a row, before the warm-up too."""
    bars = walk(name, N, seed, tick=tick)
    bars = _seasonal(bars) if name == "ETH/USDT" else bars
    generator = np.random.default_rng(seed)
    place, kept = generator.random(N), generator.random(N) > 0.04
    first = int(generator.integers(450, 550))
    kept[first : first + 9] = False
    kept[ALONE] = name == NAMES[0]
    kept[-3:] = name != NAMES[-1]
    bars = replace(bars, open=bars.low + place * (bars.high - bars.low))
    return bars.take([k for k in range(N) if kept[k]])


def _refused(bars: dict[str, Bars]) -> pd.DataFrame:
    """Return refusals of bars that were healed, of one that never was, and of a last one."""
    rows = [(name, row, late) for name in NAMES[:2] for row, late in ((-70, 0), (-40, 3), (-9, 30))]
    closed_at = [bars[name].closed_at[row] for name, row, _ in rows]
    rows += [("SOL/USDT", 0, 0), ("XRP/USDT", 0, 0)]
    closed_at += [_close(ALONE), _close(N - 2)]
    known_at = [at + np.timedelta64(rows[k][2], "h") for k, at in enumerate(closed_at)]
    frame = {"closed_at": closed_at, "known_at": known_at}
    stamps = {name: pd.DatetimeIndex(values, tz="UTC") for name, values in frame.items()}
    facts = {"instrument": [name for name, *_ in rows], "exchange": "kraken"}
    return pd.DataFrame({**stamps, **facts, "reason": "price jump"})


def _close(hour: int) -> np.datetime64:
    return START + hour * np.timedelta64(1, "h")


def _macro(bars: Bars) -> pd.DataFrame:
    """Return a daily series with revisions, one that stops, one that begins late, and tweets."""
    daily = some_macro(bars)
    last = pd.Timestamp(bars.closed_at[-1], tz="UTC").floor("D")
    vix, dxy = (daily[daily["series"] == name] for name in ("vix", "dxy"))
    revised = vix.iloc[-9::3].assign(known_at=lambda rows: rows["known_at"] + 40 * HOUR, value=20.5)
    stopped = dxy[dxy["known_at"] <= last - 6 * 24 * HOUR]
    late = dxy[dxy["known_at"] > last - 7 * 24 * HOUR].assign(series="rate")
    tweets = some_social(bars).drop(index=range(420, 440))
    return pd.concat([vix, revised, stopped, late, tweets], ignore_index=True)


def _news(bars: Bars) -> pd.DataFrame:
    """Return headlines that begin after the warm-up, some known at a close, some told again."""
    news = some_news(bars, 900)
    news = news[news["known_at"] > pd.Timestamp(bars.closed_at[NEWS + 4], tz="UTC")]
    sharp = news.iloc[::5].assign(known_at=lambda rows: rows["known_at"].dt.ceil("h"))
    again = [
        news.iloc[k::7].assign(
            known_at=lambda rows, wait=wait: rows["known_at"] + wait,
            title=lambda rows: "  " + rows["title"].str.upper(),
        )
        for k, wait in enumerate((HOUR, 6 * HOUR, 5.9 * HOUR))
    ]
    rest = news.drop(index=sharp.index)
    begins = [news.iloc[[k]].assign(title=f"first {k}") for k in (0, 1)]
    begins[0] = begins[0].assign(instruments="", known_at=pd.Timestamp(_close(NEWS), tz="UTC"))
    begins[1] = begins[1].assign(
        instruments="BTC/USDT", known_at=pd.Timestamp(_close(NEWS + 2), tz="UTC")
    )
    return pd.concat([*begins, rest, sharp, *again], ignore_index=True)


@cache
def _history() -> History:
    ticks = (None, None, 0.5, 2.0)
    bars = {name: _holed(name, k, ticks[k]) for k, name in enumerate(NAMES)}
    whole = walk("BTC/USDT", N, 0)
    closes = {name: some_venues(bars[name], k) for k, name in enumerate(NAMES[:2])}
    closes["BTC/USDT"].iloc[-60:-50, 1] *= 1.06
    closes["ETH/USDT"] = closes["ETH/USDT"].drop(columns="kraken")
    closes["ETH/USDT"].iloc[-30:-4] = np.nan
    closes["SOL/USDT"] = some_venues(bars["SOL/USDT"])[["kraken"]]
    return History(
        bars=bars,
        news=_news(whole),
        macro=_macro(whole),
        venue_closes=closes,
        refused=_refused(bars),
    )


def _stationary(column: str) -> Oracle:
    formula = technical.FORMULAS[column]
    return lambda s: formula(s.chart, _Raw(s), s.t)


class _Raw(dict[str, list[float]]):
    """The raw technical columns of an instrument by their definitions, as they are asked for."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    def __missing__(self, column: str) -> list[float]:
        return self._seen.market.technical(self._seen.name, column)


def _raw(column: str, s: Seen) -> float:
    return s.market.technical(s.name, column)[s.t]


def _oracles() -> dict[str, Oracle]:
    found = [prices.ORACLES, volumes.ORACLES, market.ORACLES, context.ORACLES]
    found += [context.series_oracles(name) for name in SERIES]
    found += [{name: partial(_raw, name) for name in technical.DEFINITIONS}]
    found += [{name: _stationary(name) for name in technical.FORMULAS}]
    return {name: oracle for one in found for name, oracle in one.items()}


ORACLES = _oracles()


@cache
def _market() -> Market:
    return Market(_history())


@cache
def _panel() -> pd.DataFrame:
    return build_panel(_history())


def _rows(bars: Bars) -> list[int]:
    """Return rows drawn by chance, the first, the last, and those beside holes."""
    drawn = np.random.default_rng(len(bars)).integers(WARM_UP, len(bars), 40)
    holes = WARM_UP + np.flatnonzero(np.diff(bars.closed_at[WARM_UP:]) > np.timedelta64(1, "h"))
    told = np.searchsorted(bars.closed_at, [_close(ALONE), _close(NEWS), _close(NEWS + 2)])
    edges = [WARM_UP, WARM_UP + 1, *told, len(bars) - 1, *holes[-5:], *(holes[-5:] + 1)]
    return sorted({int(row) for row in (*drawn, *edges)})


def _unexplained() -> set[str]:
    raw = {name for one in INDICATORS.values() for name in one.raw}
    registered = {name for one in INDICATORS.values() for name in one.columns}
    return (raw | registered | set(_panel().columns)) - set(ORACLES)


def _found(name: str, column: str) -> np.ndarray:
    """Return a column of an instrument at each of its bars, NaN within the warm-up."""
    bars = _history().bars[name]
    if column not in _panel():
        return compute_columns(bars, raw=True, only=(column,))[column]
    shown = _panel()[column].xs(name, level="instrument")
    assert shown.index.equals(pd.DatetimeIndex(bars.closed_at[WARM_UP:], tz="UTC"))
    return np.concatenate([np.full(WARM_UP, np.nan), shown.to_numpy()])


@pytest.mark.parametrize("column", ORACLES)
def test_a_column_is_what_its_meaning_gives(column: str) -> None:
    told = set()
    for name, bars in _history().bars.items():
        found = _found(name, column)
        for row in _rows(bars):
            expected = ORACLES[column](Seen(_market(), name, row))
            told.add(expected)
            where = f"{column} of {name} at {bars.closed_at[row]}, row {row}"
            assert found[row] == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True), where
    assert len(told) > 1


def test_every_column_has_an_oracle_and_every_oracle_a_column() -> None:
    assert not _unexplained()
    raw = {name for one in INDICATORS.values() for name in one.raw}
    assert set(ORACLES) == raw | set(_panel().columns)


def test_a_column_without_an_oracle_is_named() -> None:
    @indicator(Group.PRICE, "half_close", warm_up=1, unit="x", raw=("raw_half",))
    def half_close(bars: Bars) -> dict[str, np.ndarray]:
        return {"half_close": bars.close / 2}

    try:
        assert _unexplained() == {"half_close", "raw_half"}
    finally:
        INDICATORS.pop("half_close")


# In a market that stands still nothing is infinite, and what compares is neutral.
NEUTRAL = {
    **dict.fromkeys(("bar_location", "range_position_20", "range_position_72"), 0.5),
    **dict.fromkeys(("h4_range_position_20", "d1_range_position_14", "bbands_position"), 0.5),
    **dict.fromkeys(("return_rank_1", "return_rank_24"), 0.5),
    **dict.fromkeys(("volatility_same_hour", "true_range_rel", "relative_volatility_24"), 1.0),
    **dict.fromkeys(("volatility_closed_form", "volatility_closed_form_seasonal"), 1.0),
    **dict.fromkeys(("aroon_up", "aroon_down"), 100.0),  # the last of equals is the newest
    **{"data_health": 1.0, "cdl_doji": 1.0, "willr_14": -0.0},
}
CLOCK = tuple(name for name in ORACLES if name.startswith("next_"))


def test_in_a_market_that_stands_still_every_column_is_neutral() -> None:
    flat = {name: np.full(N, 5.0) for name in ("open", "high", "low", "close")}
    still = replace(walk(n=N), volume=np.zeros(N), **flat)
    bars = {name: replace(still, instrument=name) for name in NAMES[:2]}
    panel = build_panel(History(bars=bars)).drop(columns=list(CLOCK))
    found = {name: set(values.round(12)) for name, values in panel.items()}
    assert found == {name: {NEUTRAL.get(str(name), 0.0)} for name in found}


def test_an_empty_market_counts_as_a_trace_of_volume() -> None:
    bars = walk(n=N)
    silent = np.where(np.arange(N) == N - 1, 5.0, 0.0)
    found = compute_columns(replace(bars, volume=silent), only=("volume_ratio_1",))
    assert found["volume_ratio_1"][-1] == pytest.approx(np.log(5.0 / 1e-12))


# The mean of equal closes is off by a rounding, and there is hardly a volatility to measure it in.
def test_after_standing_still_for_long_distances_are_bounded_by_a_thousand() -> None:
    n = 2_500
    close = np.where(np.arange(n) < 60, 5.1 + 0.1 * (np.arange(n) % 2), 5.1)
    bars = replace(walk(n=n), **dict.fromkeys(("open", "high", "low", "close"), close))
    found = compute_columns(bars, only=("leaving_distance", "staying_distance"))
    assert {float(values[384:].max()) for values in found.values()} == {1e3}
