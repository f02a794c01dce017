"""Mistakes that let an indicator of bars know the future, each beside what was meant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import filtfilt, find_peaks, firwin, lfilter, savgol_filter

from dexml.domain import Bars

Floats = NDArray[np.float64]
Formula = Callable[[Bars], Floats]

WARM_UP = 120  # of every indicator here
LEAKS: dict[str, Formula] = {}
TWINS: dict[str, Formula] = {}


def leak(formula: Formula) -> Formula:
    LEAKS[formula.__name__] = formula
    return formula


def twin(formula: Formula) -> Formula:
    TWINS[formula.__name__] = formula
    return formula


def _close(bars: Bars) -> pd.Series:
    return pd.Series(bars.close, index=pd.DatetimeIndex(bars.closed_at))


def _ahead(values: Floats, n: int = 1) -> Floats:
    return np.concatenate([values[n:], np.repeat(values[-1:], n)])


def _behind(values: Floats, n: int = 1) -> Floats:
    return np.concatenate([np.repeat(values[:1], n), values[:-n]])


def _moves(bars: Bars) -> Floats:
    return np.diff(np.log(bars.close), prepend=np.log(bars.open[:1]))


@leak
def centred_window(bars: Bars) -> Floats:
    return bars.close / _close(bars).rolling(5, center=True, min_periods=1).mean().to_numpy()


@twin
def trailing_window(bars: Bars) -> Floats:
    return bars.close / _close(bars).rolling(5, min_periods=1).mean().to_numpy()


@leak
def scaled_by_everything(bars: Bars) -> Floats:
    moves = _moves(bars)
    return (moves - moves.mean()) / moves.std()


@twin
def scaled_by_the_last_100(bars: Bars) -> Floats:
    rolled = pd.Series(_moves(bars)).rolling(100, min_periods=1)
    return (_moves(bars) - rolled.mean().to_numpy()) / rolled.std().fillna(1.0).to_numpy()


@leak
def global_rank(bars: Bars) -> Floats:
    return pd.Series(bars.volume).rank(pct=True).to_numpy()


@twin
def rank_in_the_last_100(bars: Bars) -> Floats:
    return pd.Series(bars.volume).rolling(100, min_periods=1).rank(pct=True).to_numpy()


@leak
def empty_volume_filled_backwards(bars: Bars) -> Floats:
    return pd.Series(bars.volume).replace(0.0, np.nan).bfill().ffill().to_numpy()


@twin
def empty_volume_filled_forwards(bars: Bars) -> Floats:
    return pd.Series(bars.volume).replace(0.0, np.nan).ffill().fillna(1.0).to_numpy()


@leak
def empty_volume_interpolated(bars: Bars) -> Floats:
    return (
        pd.Series(bars.volume).replace(0.0, np.nan).interpolate(limit_direction="both").to_numpy()
    )


@leak
def the_label(bars: Bars) -> Floats:
    return (_ahead(bars.close) > bars.close).astype(np.float64)


@twin
def the_last_outcome(bars: Bars) -> Floats:
    return (bars.close > _behind(bars.close)).astype(np.float64)


def _noise(bars: Bars) -> Floats:
    return np.sin(bars.closed_at.astype(np.int64) // 10**9 % 10_007)


@leak
def the_label_under_noise(bars: Bars) -> Floats:
    return np.where(_noise(bars) > -0.8, the_label(bars), 0.5) + 5.0 * _noise(bars)


@twin
def noise_alone(bars: Bars) -> Floats:
    return 5.0 * _noise(bars)


def _four_hours(bars: Bars, **how: str) -> pd.Series:
    return _close(bars).resample("4h", **how).last().dropna()


@leak
def four_hours_labelled_by_their_start(bars: Bars) -> Floats:
    return _four_hours(bars).reindex(pd.DatetimeIndex(bars.closed_at), method="ffill").to_numpy()


def _closed(bars: Bars, higher: pd.Series, side: str) -> Floats:
    row = np.searchsorted(higher.index.to_numpy(), bars.closed_at, side=side) - 1
    return bars.close / np.where(row >= 0, higher.to_numpy()[np.maximum(row, 0)], bars.close)


@twin
def four_hours_labelled_by_their_end(bars: Bars) -> Floats:
    return _closed(bars, _four_hours(bars, closed="right", label="right"), "right")


@leak
def four_hours_joined_forward(bars: Bars) -> Floats:
    higher = _four_hours(bars, closed="right", label="right").rename("four").reset_index()
    left = pd.DataFrame({"index": pd.DatetimeIndex(bars.closed_at)})
    joined = pd.merge_asof(left, higher, on="index", direction="forward")
    return bars.close / joined["four"].to_numpy()


@twin
def four_hours_joined_a_bar_late(bars: Bars) -> Floats:
    return _closed(bars, _four_hours(bars, closed="right", label="right"), "left")


@leak
def todays_last_close(bars: Bars) -> Floats:
    day = pd.DatetimeIndex(bars.closed_at - np.timedelta64(1, "h")).date
    return bars.close / _close(bars).groupby(day).transform("last").to_numpy()


@twin
def todays_high_so_far(bars: Bars) -> Floats:
    day = pd.DatetimeIndex(bars.closed_at - np.timedelta64(1, "h")).date
    return bars.close / pd.Series(bars.high).groupby(day).cummax().to_numpy()


@leak
def bars_since_a_peak(bars: Bars) -> Floats:
    row = np.arange(len(bars))
    at = np.zeros(len(bars), dtype=np.intp)
    at[find_peaks(bars.close)[0]] = find_peaks(bars.close)[0]
    return np.minimum(row - np.maximum.accumulate(at), 40.0)


@twin
def bars_since_a_confirmed_peak(bars: Bars) -> Floats:
    row = np.arange(len(bars))
    at = np.zeros(len(bars), dtype=np.intp)
    at[find_peaks(bars.close)[0] + 1] = find_peaks(bars.close)[0] + 1
    return np.minimum(row - np.maximum.accumulate(at), 40.0)


@leak
def smoothed_by_fourier(bars: Bars) -> Floats:
    spectrum = np.fft.rfft(bars.close)
    spectrum[len(spectrum) // 4 :] = 0.0
    return bars.close / np.fft.irfft(spectrum, len(bars))


@leak
def smoothed_by_savitzky_golay(bars: Bars) -> Floats:
    return bars.close / savgol_filter(bars.close, 11, 2)


@leak
def filtered_both_ways(bars: Bars) -> Floats:
    return bars.close / filtfilt(firwin(7, 0.2), [1.0], bars.close)


@twin
def filtered_one_way(bars: Bars) -> Floats:
    taps = firwin(7, 0.2)
    return bars.close / lfilter(taps, [1.0], bars.close, zi=bars.close[0] * np.ones(6))[0]


@leak
def mean_of_its_hour(bars: Bars) -> Floats:
    hour = bars.closed_at.astype("datetime64[h]").astype(np.int64) % 24
    return pd.Series(_ahead(_moves(bars))).groupby(hour).transform("mean").to_numpy()


@twin
def mean_of_its_hour_on_four_days(bars: Bars) -> Floats:
    moves = pd.Series(_moves(bars))
    return sum(moves.shift(24 * k - 1).fillna(0.0) for k in range(1, 5)).to_numpy()


@leak
def ahead_in_one_hour_of_the_day(bars: Bars) -> Floats:
    hour = bars.closed_at.astype("datetime64[h]").astype(np.int64) % 24
    return np.where(hour == 17, _ahead(bars.close), _behind(bars.close)) / bars.close


@twin
def behind_in_every_hour(bars: Bars) -> Floats:
    return _behind(bars.close) / bars.close


@leak
def ahead_on_weekends(bars: Bars) -> Floats:
    weekend = pd.DatetimeIndex(bars.closed_at).dayofweek >= 5
    return np.where(weekend, _ahead(bars.close), bars.close) / bars.open


@leak
def ahead_beyond_500_bars(bars: Bars) -> Floats:
    return (_ahead(bars.close) if len(bars) > 500 else bars.close) / bars.open


@leak
def a_billionth_of_the_next_move(bars: Bars) -> Floats:
    return _moves(bars) + 1e-9 * _ahead(_moves(bars))


@leak
def the_next_volume(bars: Bars) -> Floats:
    return np.log1p(_ahead(bars.volume))


@twin
def the_last_volume(bars: Bars) -> Floats:
    return np.log1p(_behind(bars.volume))


@leak
def hours_until_the_next_bar(bars: Bars) -> Floats:
    return np.diff(bars.closed_at, append=bars.closed_at[-1:] + np.timedelta64(1, "h")).astype(
        "timedelta64[h]"
    ) / np.timedelta64(1, "h")


@twin
def hours_since_the_last_bar(bars: Bars) -> Floats:
    return np.diff(bars.closed_at, prepend=bars.closed_at[:1]).astype("timedelta64[h]") / (
        np.timedelta64(1, "h")
    )


@leak
def ahead_of_one_instrument(bars: Bars) -> Floats:
    return (_ahead(bars.close) if bars.instrument == "ETH/USDT" else bars.close) / bars.open


@leak
def averaged_newest_first(bars: Bars) -> Floats:
    return bars.close / _close(bars)[::-1].ewm(span=5).mean()[::-1].to_numpy()


@twin
def averaged_oldest_first(bars: Bars) -> Floats:
    return bars.close / _close(bars).ewm(span=5).mean().to_numpy()


@leak
def last_bar_mended(bars: Bars) -> Floats:
    moves = _moves(bars)
    moves[-1] = moves[-2]  # "it is not complete yet"
    return moves


_FIRST_SEEN: dict[str, dict[np.datetime64, float]] = {}


@leak
def remembered_from_an_earlier_call(bars: Bars) -> Floats:
    seen = _FIRST_SEEN.setdefault(bars.instrument, {})
    for at, value in zip(bars.closed_at, _ahead(bars.close) / bars.close, strict=True):
        seen.setdefault(at, value)
    return np.array([seen[at] for at in bars.closed_at])
