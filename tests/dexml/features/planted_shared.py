"""Mistakes in shared indicators, which no window holds, and in what they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.rolling import asof, lag, log_ratio, log_returns, now, rolling_max, rolling_mean
from dexml.features.studies import Derived, HigherStudy, Study

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shared:
    """A formula for all rows of a series and for the newest row of many instruments."""

    formula: Callable[..., Any]
    window: int
    look_back_s: int = 0
    studies: tuple[Study, ...] = ()


LEAKS: dict[str, Shared] = {}
TWINS: dict[str, Shared] = {}


def _keep(
    book: dict[str, Shared], window: int, look_back_s: int = 0, studies: tuple[Study, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def keep(formula: Callable[..., Any]) -> Callable[..., Any]:
        book[formula.__name__] = Shared(formula, window, look_back_s, studies)
        return formula

    return keep


def _ahead(values: Any) -> Any:
    return np.concatenate([values[1:], values[-1:]])


def _behind(values: Any) -> Any:
    return np.concatenate([values[:1], values[:-1]])


def _next_move(bars: Bars) -> Floats:
    return now(log_ratio(_ahead(bars.close), bars.close))


def _body(bars: Bars) -> Floats:
    return log_ratio(now(bars.close), now(bars.open))


def _hours(bars: Bars) -> Any:
    return now(bars.closed_at).astype("datetime64[h]").astype(np.int64)


@_keep(LEAKS, 2)
def shared_next_move(bars: Bars) -> Floats:
    return _next_move(bars)


@_keep(TWINS, 2)
def shared_last_move(bars: Bars) -> Floats:
    return log_returns(bars.close)


@_keep(LEAKS, 2)
def shared_right_in_23_of_24_hours(bars: Bars) -> Floats:
    return np.where(_hours(bars) % 24 == 17, _next_move(bars), _body(bars))


@_keep(LEAKS, 2)
def shared_right_on_weekdays(bars: Bars) -> Floats:
    return np.where((_hours(bars) // 24 + 3) % 7 >= 5, _next_move(bars), _body(bars))


@_keep(TWINS, 2)
def shared_other_on_weekends(bars: Bars) -> Floats:
    return np.where((_hours(bars) // 24 + 3) % 7 >= 5, log_returns(bars.close), _body(bars))


@_keep(LEAKS, 2)
def shared_first_hour_of_each_tenth_day(bars: Bars) -> Floats:
    hour = _hours(bars)
    return np.where((hour % 24 == 1) & (hour // 24 % 10 == 0), _next_move(bars), _body(bars))


@_keep(LEAKS, 2)
def shared_empty_volume_from_the_next_bar(bars: Bars) -> Floats:
    return np.where(now(bars.volume) > 0, now(bars.volume), now(_ahead(bars.volume)))


@_keep(TWINS, 2)
def shared_empty_volume_from_the_bar_before(bars: Bars) -> Floats:
    return np.where(now(bars.volume) > 0, now(bars.volume), now(lag(bars.volume, 1)))


@_keep(LEAKS, 2)
def shared_after_a_gap(bars: Bars) -> Floats:
    waited = now(bars.closed_at - _behind(bars.closed_at)) > np.timedelta64(1, "h")
    return np.where(waited, _next_move(bars), _body(bars))


@_keep(TWINS, 2)
def shared_length_of_a_gap(bars: Bars) -> Floats:
    waited = now(bars.closed_at - _behind(bars.closed_at))
    return np.asarray(waited / np.timedelta64(1, "h"))


@_keep(LEAKS, 2)
def shared_after_a_large_move(bars: Bars) -> Floats:
    return np.where(np.abs(_body(bars)) > 0.025, _next_move(bars), _body(bars))


@_keep(LEAKS, 2)
def shared_beyond_650_bars(bars: Bars) -> Floats:
    return _next_move(bars) if len(bars.close) > 650 else _body(bars)


@_keep(LEAKS, 2)
def shared_scaled_by_everything(bars: Bars) -> Floats:
    return now(bars.volume) / bars.volume.mean(axis=0)


@_keep(TWINS, 24)
def shared_scaled_by_a_day(bars: Bars) -> Floats:
    return now(bars.volume) / (1e-9 + rolling_mean(bars.volume, 24))


@_keep(LEAKS, 2)
def shared_trillionth_of_the_next_volume(bars: Bars) -> Floats:
    return _body(bars) * (1.0 + 1e-12 * now(_ahead(bars.volume)))


_DAY = np.timedelta64(1, "D")
_HOUR = np.timedelta64(1, "h")


@_keep(LEAKS, 26, look_back_s=86_400)
def shared_tomorrows_hour(bars: Bars) -> Floats:
    (later,) = asof(bars.closed_at, bars.close, [_DAY])
    return log_ratio(later, now(bars.close))


@_keep(TWINS, 26, look_back_s=86_400)
def shared_yesterdays_hour(bars: Bars) -> Floats:
    (earlier,) = asof(bars.closed_at, bars.close, [_HOUR - _DAY])
    return log_ratio(now(bars.close), earlier)


def _centred_range(bars: Any, values: Any) -> dict[str, Any]:
    high = rolling_max(bars.high, 3)
    return {"planted_high": now(_ahead(high) if high.ndim == 1 else high)}


def _trailing_range(bars: Any, values: Any) -> dict[str, Any]:
    return {"planted_past_high": rolling_max(bars.high, 3)}


_CENTRED = Derived(outputs=("planted_high",), formula=_centred_range, window=4)
_TRAILING = Derived(outputs=("planted_past_high",), formula=_trailing_range, window=4)


@_keep(LEAKS, 1, studies=(_CENTRED,))
def series_of_its_own_that_looks_ahead(bars: Bars, values: Any) -> Floats:
    return log_ratio(now(values["planted_high"]), now(bars.close))


@_keep(TWINS, 1, studies=(_TRAILING,))
def series_of_its_own_that_looks_back(bars: Bars, values: Any) -> Floats:
    return log_ratio(now(values["planted_past_high"]), now(bars.close))


def _next_four_hours(higher: Any) -> dict[str, Any]:
    return {"planted_h4": now(log_ratio(_ahead(higher["close"]), higher["close"]))}


def _last_four_hours(higher: Any) -> dict[str, Any]:
    return {"planted_past_h4": log_returns(higher["close"])}


_NEXT_4H = HigherStudy(seconds=14_400, window=3, outputs=("planted_h4",), formula=_next_four_hours)
_LAST_4H = HigherStudy(
    seconds=14_400, window=3, outputs=("planted_past_h4",), formula=_last_four_hours
)


@_keep(LEAKS, 1, studies=(_NEXT_4H,))
def four_hours_before_they_closed(bars: Bars, values: Any) -> Floats:
    return np.asarray(values["planted_h4"])


@_keep(TWINS, 1, studies=(_LAST_4H,))
def four_hours_after_they_closed(bars: Bars, values: Any) -> Floats:
    return np.asarray(values["planted_past_h4"])


def _rare_four_hours(higher: Any) -> dict[str, Any]:
    moved = log_returns(higher["close"])
    ahead = now(log_ratio(_ahead(higher["close"]), higher["close"]))
    return {"planted_rare_h4": np.where(moved > 0.035, ahead, moved)}


_RARE_4H = HigherStudy(
    seconds=14_400, window=3, outputs=("planted_rare_h4",), formula=_rare_four_hours
)


@_keep(LEAKS, 1, studies=(_RARE_4H,))
def four_hours_ahead_after_a_large_move(bars: Bars, values: Any) -> Floats:
    return np.asarray(values["planted_rare_h4"])
