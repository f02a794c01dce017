"""Mistakes in joining news, macro values, exchanges and other instruments to bars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bars, History

Floats = NDArray[np.float64]
Join = Callable[[History, Bars], Floats]

_WARM_UP = 384
LEAKS: dict[str, Join] = {}
TWINS: dict[str, Join] = {}


def leak(join: Join) -> Join:
    LEAKS[join.__name__] = join
    return join


def twin(join: Join) -> Join:
    TWINS[join.__name__] = join
    return join


def joined_panel(history: History) -> pd.DataFrame:
    """Return a panel of nothing but these columns, as `build_panel` would lay it out."""
    frames = []
    for name, bars in sorted(history.bars.items()):
        stamps = pd.DatetimeIndex(bars.closed_at, tz="UTC")
        index = pd.MultiIndex.from_arrays(
            [stamps, np.full(len(bars), name, dtype=object)], names=("closed_at", "instrument")
        )
        columns = {key: join(history, bars) for key, join in (LEAKS | TWINS).items()}
        frames.append(pd.DataFrame(columns, index=index).iloc[_WARM_UP:])
    return pd.concat(frames).sort_index()


def _ns(stamps: pd.Series) -> NDArray[np.datetime64]:
    return stamps.to_numpy(dtype="datetime64[ns]")


def _series(history: History, name: str = "vix") -> pd.DataFrame:
    return history.macro[history.macro["series"] == name]


def _as_of(bars: Bars, rows: pd.DataFrame, on: str, side: str = "right") -> Floats:
    ordered = rows.sort_values([on, "known_at"], kind="stable")
    at = np.searchsorted(_ns(ordered[on]), bars.closed_at, side=side) - 1
    return np.where(at >= 0, ordered["value"].to_numpy()[np.maximum(at, 0)], np.nan)


@leak
def macro_on_the_day_it_names(history: History, bars: Bars) -> Floats:
    return _as_of(bars, _series(history), "period_at")


@twin
def macro_from_its_release(history: History, bars: Bars) -> Floats:
    return _as_of(bars, _series(history), "known_at")


@twin
def macro_after_its_release(history: History, bars: Bars) -> Floats:
    return _as_of(bars, _series(history), "known_at", side="left")


@leak
def macro_of_another_series_too_early(history: History, bars: Bars) -> Floats:
    late, early = _series(history), _series(history, "dxy")
    return _as_of(bars, late, "known_at") + _as_of(bars, early, "period_at")


@leak
def macro_an_hour_too_early(history: History, bars: Bars) -> Floats:
    rows = _series(history)
    return _as_of(bars, rows.assign(seen=rows["known_at"] - pd.Timedelta(hours=1)), "seen")


@leak
def macro_as_finally_revised(history: History, bars: Bars) -> Floats:
    rows = _series(history).sort_values("known_at")
    final = rows.assign(value=rows.groupby("period_at")["value"].transform("last"))
    return _as_of(bars, final.drop_duplicates("period_at"), "known_at")


@twin
def macro_as_first_told(history: History, bars: Bars) -> Floats:
    rows = _series(history).sort_values("known_at")
    return _as_of(bars, rows.drop_duplicates("period_at"), "known_at")


@leak
def macro_joined_forward(history: History, bars: Bars) -> Floats:
    rows = _series(history).sort_values("known_at")
    at = np.searchsorted(_ns(rows["known_at"]), bars.closed_at)
    return rows["value"].to_numpy()[np.minimum(at, len(rows) - 1)]


@leak
def macro_scaled_by_everything(history: History, bars: Bars) -> Floats:
    return _as_of(bars, _series(history), "known_at") / _series(history)["value"].std()


@leak
def macro_interpolated(history: History, bars: Bars) -> Floats:
    rows = _series(history).sort_values("known_at").drop_duplicates("known_at")
    known = _ns(rows["known_at"]).astype(np.int64)
    return np.interp(bars.closed_at.astype(np.int64), known, rows["value"])


def _counted(bars: Bars, seen: pd.Series, hours: int = 24, ahead: int = 0) -> Floats:
    ordered, last = np.sort(_ns(seen)), bars.closed_at + np.timedelta64(ahead, "h")
    until = np.searchsorted(ordered, last, side="right")
    since = np.searchsorted(ordered, last - np.timedelta64(hours, "h"), side="right")
    return (until - since).astype(np.float64)


@leak
def news_when_published(history: History, bars: Bars) -> Floats:
    return _counted(bars, history.news["published_at"])


@twin
def news_when_known(history: History, bars: Bars) -> Floats:
    return _counted(bars, history.news["known_at"])


@leak
def news_of_the_next_hour(history: History, bars: Bars) -> Floats:
    return _counted(bars, history.news["known_at"], hours=1, ahead=1)


@twin
def news_of_the_last_hour(history: History, bars: Bars) -> Floats:
    return _counted(bars, history.news["known_at"], hours=1)


@leak
def news_in_the_hour_it_begins(history: History, bars: Bars) -> Floats:
    hour = history.news["known_at"].dt.floor("h")
    scores = history.news.groupby(hour)["score"].sum()
    return scores.reindex(pd.DatetimeIndex(bars.closed_at, tz="UTC")).fillna(0.0).to_numpy()


@twin
def news_in_the_hour_it_ends(history: History, bars: Bars) -> Floats:
    hour = history.news["known_at"].dt.ceil("h")
    scores = history.news.groupby(hour)["score"].sum()
    return scores.reindex(pd.DatetimeIndex(bars.closed_at, tz="UTC")).fillna(0.0).to_numpy()


@leak
def news_of_one_source_too_early(history: History, bars: Bars) -> Floats:
    news = history.news
    return _counted(bars, news["known_at"].where(news["source"] != "blog", news["published_at"]))


@leak
def news_for_one_instrument_too_early(history: History, bars: Bars) -> Floats:
    when = "published_at" if bars.instrument == "SOL/USDT" else "known_at"
    return _counted(bars, history.news[when])


def _kraken(history: History, bars: Bars) -> pd.Series:
    stamps = pd.DatetimeIndex(bars.closed_at, tz="UTC")
    return history.venue_closes[bars.instrument]["kraken"].reindex(stamps)


@leak
def exchange_filled_backwards(history: History, bars: Bars) -> Floats:
    return _kraken(history, bars).bfill().ffill().to_numpy() / bars.close


@twin
def exchange_filled_forwards(history: History, bars: Bars) -> Floats:
    return _kraken(history, bars).ffill().to_numpy() / bars.close


@leak
def exchange_interpolated(history: History, bars: Bars) -> Floats:
    filled = _kraken(history, bars).interpolate(limit_direction="both")
    return filled.to_numpy() / bars.close


@leak
def exchange_labelled_by_its_open(history: History, bars: Bars) -> Floats:
    return _kraken(history, bars).ffill().shift(-1).ffill().to_numpy() / bars.close


@leak
def coins_that_survived(history: History, bars: Bars) -> Floats:
    last = {name: one.closed_at[-1] for name, one in history.bars.items() if len(one)}
    return np.full(len(bars), float(sum(at == max(last.values()) for at in last.values())))


@twin
def coins_that_traded_just_now(history: History, bars: Bars) -> Floats:
    traded = [np.isin(bars.closed_at, one.closed_at) for one in history.bars.values()]
    return np.sum(traded, axis=0).astype(np.float64)


@leak
def rank_by_all_volume(history: History, bars: Bars) -> Floats:
    totals = {name: one.volume.sum() for name, one in history.bars.items()}
    mine = totals[bars.instrument]
    return np.full(len(bars), mine / sum(totals.values()))


@leak
def next_price_of_another_coin(history: History, bars: Bars) -> Floats:
    other = history.bars["ETH/USDT"]
    at = np.searchsorted(other.closed_at, bars.closed_at, side="right")
    return other.close[np.minimum(at, len(other) - 1)] / bars.close


@twin
def last_price_of_another_coin(history: History, bars: Bars) -> Floats:
    other = history.bars["ETH/USDT"]
    at = np.searchsorted(other.closed_at, bars.closed_at, side="right") - 1
    return other.close[np.maximum(at, 0)] / bars.close
