"""Indicators that know what they were shown earlier, beside those that only save work.

Each is asked for a window and answers as if it had nothing else; in a process that has seen the
history once, all of the first kind know the next bar.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Bars

Floats = NDArray[np.float64]
Formula = Callable[[Bars], Floats]

WARM_UP = 30
LEAKS: dict[str, Formula] = {}
TWINS: dict[str, Formula] = {}


def leak(formula: Formula) -> Formula:
    LEAKS[formula.__name__] = formula
    return formula


def twin(formula: Formula) -> Formula:
    TWINS[formula.__name__] = formula
    return formula


def _next_of(stamps: NDArray[np.datetime64], closes: Floats, bars: Bars) -> Floats:
    at = np.searchsorted(stamps, bars.closed_at)
    return closes[np.minimum(at + 1, len(closes) - 1)] / bars.close - 1.0


_BY_NAME: dict[str, tuple[NDArray[np.datetime64], Floats]] = {}


@leak
def first_bars_kept_by_name(bars: Bars) -> Floats:
    kept = _BY_NAME.setdefault(bars.instrument, (bars.closed_at.copy(), bars.close.copy()))
    return _next_of(*kept, bars)


_BY_STAMP: dict[tuple[str, np.datetime64], float] = {}


@leak
def closes_kept_by_stamp(bars: Bars) -> Floats:
    hour = np.timedelta64(1, "h")
    for at, close in zip(bars.closed_at, bars.close, strict=True):
        _BY_STAMP.setdefault((bars.instrument, at), close)
    ahead = [_BY_STAMP.get((bars.instrument, at + hour), 0.0) for at in bars.closed_at]
    return np.array(ahead) / bars.close - 1.0


_KEPT: Floats | None = None


@leak
def first_closes_kept_under_nothing(bars: Bars) -> Floats:
    global _KEPT
    if _KEPT is None:
        _KEPT = bars.close.copy()
    return _KEPT[np.minimum(np.arange(len(bars)) + 1, len(_KEPT) - 1)] / bars.close - 1.0


_LONGEST: dict[str, tuple[NDArray[np.datetime64], Floats]] = {}


@leak
def longest_bars_found_again_by_content(bars: Bars) -> Floats:
    known = _LONGEST.get(bars.instrument)
    if known is None or len(known[1]) < len(bars):
        _LONGEST[bars.instrument] = known = (bars.closed_at.copy(), bars.close.copy())
    rows = {value: k for k, value in enumerate(known[1])}
    at = np.array([rows.get(value, 0) for value in bars.close])
    return known[1][np.minimum(at + 1, len(known[1]) - 1)] / bars.close - 1.0


@leak
def mean_of_all_that_was_ever_shown(bars: Bars, _means: dict[str, float] = {}) -> Floats:  # noqa: B006
    _means[bars.instrument] = max(_means.get(bars.instrument, 0.0), float(bars.close.max()))
    return bars.close / _means[bars.instrument]


_SOURCES: dict[str, tuple[NDArray[np.datetime64], Floats]] = {}


@lru_cache(maxsize=None)  # noqa: UP033
def _source(name: str) -> tuple[NDArray[np.datetime64], Floats]:
    return _SOURCES[name]


@leak
def history_in_a_cache_by_name(bars: Bars) -> Floats:
    _SOURCES.setdefault(bars.instrument, (bars.closed_at.copy(), bars.close.copy()))
    return _next_of(*_source(bars.instrument), bars)


@leak
def move_of_another_coin_kept_by_stamp(bars: Bars) -> Floats:
    return np.array([_BY_STAMP.get(("ETH/USDT", at), 0.0) for at in bars.closed_at]) / bars.close


@leak
def attribute_of_the_function(bars: Bars) -> Floats:
    kept = attribute_of_the_function.__dict__.setdefault("kept", {})
    stamps, closes = kept.setdefault(bars.instrument, (bars.closed_at.copy(), bars.close.copy()))
    return _next_of(stamps, closes, bars)


def _counting() -> Formula:
    n_calls = 0

    def changed_after_a_thousand_calls(bars: Bars) -> Floats:
        nonlocal n_calls
        n_calls += 1
        return bars.close / bars.open if n_calls < 1_000 else bars.open / bars.close

    return changed_after_a_thousand_calls


leak(_counting())


class _Memory:
    def __init__(self) -> None:
        self.closes: dict[tuple[str, np.datetime64], float] = {}


_OBJECT = _Memory()


@leak
def kept_by_an_object_on_some_nights(bars: Bars) -> Floats:
    for at, close in zip(bars.closed_at, bars.close, strict=True):
        _OBJECT.closes[bars.instrument, at] = close
    hour = bars.closed_at.astype("datetime64[h]").astype(np.int64)
    ahead = [
        _OBJECT.closes.get((bars.instrument, at + np.timedelta64(1, "h")), 1.0)
        for at in bars.closed_at
    ]
    return np.where(hour % 72 == 3, np.array(ahead), bars.open) / bars.close


_BY_CONTENT: dict[bytes, Floats] = {}


@twin
def cached_by_content(bars: Bars) -> Floats:
    key = bars.close.tobytes()
    if key not in _BY_CONTENT:
        _BY_CONTENT[key] = np.sqrt(bars.high * bars.low) / bars.close
    return _BY_CONTENT[key]


@lru_cache(maxsize=10_000)
def _ratio(close: float, opened: float) -> float:
    return close / opened


@twin
def cached_by_its_arguments(bars: Bars) -> Floats:
    return np.array([_ratio(*pair) for pair in zip(bars.close, bars.open, strict=True)])


_WEIGHTS: Floats | None = None


@twin
def weights_made_at_the_first_call(bars: Bars) -> Floats:
    global _WEIGHTS
    if _WEIGHTS is None:
        _WEIGHTS = np.exp(-np.arange(5) / 2.0)
    padded = np.concatenate([np.repeat(bars.close[:1], 4), bars.close])
    sums = [float(padded[k : k + 5] @ _WEIGHTS[::-1]) for k in range(len(bars))]
    return np.array(sums) / bars.close


_CALLS: list[str] = []


@twin
def calls_are_counted_and_logged(bars: Bars) -> Floats:
    _CALLS.append(bars.instrument)
    logging.getLogger(__name__).debug("%s: %s calls", bars.instrument, len(_CALLS))
    return bars.close / bars.open


@twin
def library_imported_at_the_first_call(bars: Bars) -> Floats:
    from statistics import NormalDist

    return np.full(len(bars), NormalDist().cdf(1.0)) * bars.close / bars.open


@twin
def what_is_kept_is_overwritten_at_each_call(bars: Bars, _last: dict[str, Floats] = {}) -> Floats:  # noqa: B006
    _last[bars.instrument] = bars.high / bars.low
    return _last[bars.instrument]


@twin
def named_for_one_coin_only(bars: Bars) -> Floats:
    return bars.close / bars.open if "BTC" in bars.instrument else np.ones(len(bars))


@twin
def days_since_the_epoch_times_the_move(bars: Bars) -> Floats:
    return bars.closed_at.astype("datetime64[D]").astype(np.int64) * (bars.close / bars.open - 1.0)
