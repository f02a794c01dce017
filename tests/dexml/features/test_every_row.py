"""A leak on a few rows of a long history, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from dexml.domain import Bars, History
from dexml.features.audit import audit
from dexml.features.registry import INDICATORS, Group, indicator
from dexml.features.rolling import log_ratio, now
from tests.dexml.features.histories import some_macro, some_news, walk

Shared = Callable[[Any], Any]
N_BARS = 2_400
LEAKS: dict[str, Shared] = {}
TWINS: dict[str, Shared] = {}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = set(INDICATORS)
    yield
    for name in set(INDICATORS) - before:
        del INDICATORS[name]


def _leak(formula: Shared) -> Shared:
    LEAKS[formula.__name__] = formula
    return formula


def _twin(formula: Shared) -> Shared:
    TWINS[formula.__name__] = formula
    return formula


def _body(bars: Any) -> Any:
    return log_ratio(now(bars.close), now(bars.open))


def _next(bars: Any) -> Any:
    return now(log_ratio(np.concatenate([bars.close[1:], bars.close[-1:]]), bars.close))


def _days(bars: Any) -> tuple[Any, Any]:
    at = now(bars.closed_at)
    months = at.astype("datetime64[M]")
    day = (at.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(int) + 1
    return day, at.astype("datetime64[h]").astype(int) % 24


@_leak
def at_noon_on_the_15th(bars: Any) -> Any:
    day, hour = _days(bars)
    return np.where((day == 15) & (hour == 12), _next(bars), _body(bars))


@_twin
def another_at_noon_on_the_15th(bars: Any) -> Any:
    day, hour = _days(bars)
    return np.where((day == 15) & (hour == 12), 0.0, _body(bars))


@_leak
def in_rows_older_than_1000_bars(bars: Any) -> Any:
    if bars.close.ndim > 1:
        return _body(bars)
    old = np.arange(len(bars.close)) < len(bars.close) - 1_000
    return np.where(old, _next(bars), _body(bars))


def _one_in(n: int, bars: Any) -> Any:
    return (now(bars.close) * 1e7).astype(np.int64) % n == 5


@_leak
def on_one_row_in_700_by_chance(bars: Any) -> Any:
    return np.where(_one_in(700, bars), _next(bars), _body(bars))


@_twin
def other_on_one_row_in_700_by_chance(bars: Any) -> Any:
    return np.where(_one_in(700, bars), -1.0, _body(bars))


@_leak
def on_a_single_row(bars: Any) -> Any:
    only = now(bars.closed_at) == np.datetime64("2023-04-12T09:00", "ns")
    return np.where(only, _next(bars), _body(bars))


@_leak
def of_its_neighbour_on_one_row_in_700(bars: Any) -> Any:
    beside = now(log_ratio(np.roll(bars.close, -1, axis=-1), bars.close))
    return np.where(_one_in(700, bars), beside, _body(bars))


@_leak
def a_billionth_on_one_row_in_300(bars: Any) -> Any:
    return _body(bars) + np.where(_one_in(300, bars), 1e-9 * _next(bars), 0.0)


@_leak
def in_the_first_week_of_one_coin(bars: Any) -> Any:
    first = now(bars.closed_at) < np.datetime64("2023-03-24T00:00", "ns")
    return np.where(first & (now(bars.close) > 90.0), _next(bars), _body(bars))


@cache
def _found() -> set[str]:
    for name, formula in (LEAKS | TWINS).items():
        _plant(name, formula)
    bars = {name: walk(name, N_BARS, seed) for seed, name in enumerate(("BTC/USDT", "ETH/USDT"))}
    return set(audit(History(bars=bars)).names)


def _plant(name: str, formula: Shared) -> None:
    def planted(bars: Bars) -> dict[str, Any]:
        return {name: formula(bars)}

    planted.__name__ = f"makes_{name}"
    register = indicator(Group.PRICE, name, warm_up=3, window=3, shared=True, unit="planted")
    register(planted)


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_on_a_few_old_rows_is_named(name: str) -> None:
    assert name in _found()


@pytest.mark.parametrize("name", TWINS)
def test_what_is_odd_on_a_few_rows_is_not_accused(name: str) -> None:
    assert name not in _found()


def test_nothing_but_what_was_planted_is_named() -> None:
    assert _found() == set(LEAKS)


def test_headlines_that_ended_long_ago_are_no_leak() -> None:
    bars = walk("BTC/USDT", 1_800, 5)
    history = History(
        bars={"BTC/USDT": bars},
        news=some_news(bars.take(slice(0, 500))),
        macro=some_macro(bars),
    )
    assert audit(history).leaks == ()


def test_coins_of_other_years_are_audited_together() -> None:
    old, late = walk("OLD/USDT", 1_300, 6), walk("NEW/USDT", 2_900, 7).take(slice(1_600, 2_900))
    assert audit(History(bars={"OLD/USDT": old, "NEW/USDT": late})).leaks == ()
