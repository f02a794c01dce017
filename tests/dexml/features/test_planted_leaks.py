"""Look-ahead planted the way engineers commit it: the audit must name it, and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Bars, History, Timeframe
from dexml.errors import LeakFound
from dexml.experiments.sources import load_history
from dexml.features.audit import AuditReport, audit
from dexml.features.registry import INDICATORS, Group, indicator
from dexml.targets import TARGETS, labels, rises, target
from tests.dexml.features import planted_formulas as formulas
from tests.dexml.features import planted_joins as joins
from tests.dexml.features import planted_shared as shared
from tests.dexml.features.histories import some_history, some_venues, walk

Found = dict[str, set[str]]
AHEAD = {"truncation", "perturbation"}
SEEDS = (0, 1)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    with _restored():
        yield


@contextmanager
def _restored() -> Iterator[None]:
    indicators, targets = dict(INDICATORS), dict(TARGETS)
    yield
    for book, before in ((INDICATORS, indicators), (TARGETS, targets)):
        for name in set(book) - set(before):
            del book[name]


def _market(seed: int, n: int = 700) -> History:
    """Three coins with holes; one coin delisted; revised macro values; two sources; exchanges."""
    history = some_history(n, seed)
    bars = {name: _holed(one, seed) for name, one in history.bars.items()}
    bars["OLD/USDT"] = walk("OLD/USDT", n - 30, seed + 100)
    vix = history.macro[history.macro["series"] == "vix"].iloc[::3]
    revised = vix.assign(known_at=vix["known_at"] + pd.Timedelta(hours=5), value=vix["value"] + 1)
    blog = np.arange(len(history.news)) % 8 == 0
    return History(
        bars=bars,
        news=history.news.assign(source=np.where(blog, "blog", "wire")),
        macro=pd.concat([history.macro, revised], ignore_index=True),
        venue_closes={name: some_venues(one, seed + 7) for name, one in bars.items()},
    )


def _holed(bars: Bars, seed: int) -> Bars:
    kept = np.random.default_rng(seed + 50).random(len(bars)) > 0.02
    return Bars.from_frame(bars.instrument, bars.timeframe, bars.frame()[kept])


def _plant(formula: formulas.Formula) -> None:
    name = formula.__name__

    def planted(bars: Bars) -> dict[str, formulas.Floats]:
        return {name: formula(bars)}

    planted.__name__ = f"makes_{name}"
    indicator(Group.PRICE, name, warm_up=formulas.WARM_UP, unit="planted")(planted)


def _plant_shared(name: str, one: shared.Shared) -> None:
    def planted(*given: object) -> dict[str, formulas.Floats]:
        return {name: one.formula(*given)}

    planted.__name__ = f"makes_{name}"
    indicator(
        Group.PRICE,
        name,
        warm_up=200,
        window=one.window,
        look_back_s=one.look_back_s,
        studies=one.studies,
        shared=True,
        unit="planted",
    )(planted)


def _found(report: AuditReport) -> Found:
    found: Found = {}
    for leak in report.leaks:
        found.setdefault(leak.feature, set()).add(leak.check)
    return found


@cache
def _in_formulas() -> Found:
    market = _market(1)
    two = {name: market.bars[name] for name in ("BTC/USDT", "ETH/USDT")}
    with _restored():
        for formula in (formulas.LEAKS | formulas.TWINS).values():
            _plant(formula)
        return _found(audit(History(bars=two), seed=1))


@cache
def _in_shared(seed: int) -> Found:
    with _restored():
        for name, one in (shared.LEAKS | shared.TWINS).items():
            _plant_shared(name, one)
        return _found(audit(_market(seed), seed=seed))


@cache
def _in_joins(seed: int) -> Found:
    return _found(audit(_market(seed), seed=seed, build=joins.joined_panel))


@pytest.mark.parametrize("name", formulas.LEAKS)
def test_a_formula_that_knows_the_future_is_named(name: str) -> None:
    assert name in _in_formulas()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", shared.LEAKS)
def test_a_shared_formula_that_knows_the_future_is_named(name: str, seed: int) -> None:
    assert name in _in_shared(seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", joins.LEAKS)
def test_a_join_that_knows_the_future_is_named(name: str, seed: int) -> None:
    assert name in _in_joins(seed)


@pytest.mark.parametrize("name", formulas.TWINS)
def test_a_formula_that_looks_back_is_not_accused(name: str) -> None:
    assert name not in _in_formulas()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", shared.TWINS)
def test_a_shared_formula_that_looks_back_is_not_accused(name: str, seed: int) -> None:
    assert name not in _in_shared(seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", joins.TWINS)
def test_a_join_as_of_what_was_known_is_not_accused(name: str, seed: int) -> None:
    assert name not in _in_joins(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_was_not_planted_is_named(seed: int) -> None:
    assert set(_in_formulas()) <= set(formulas.LEAKS)
    assert set(_in_shared(seed)) <= set(shared.LEAKS)
    assert set(_in_joins(seed)) <= set(joins.LEAKS)


def test_a_fit_is_refused_with_the_name_of_what_leaks() -> None:
    _plant(formulas.centred_window)
    _plant(formulas.trailing_window)
    report = audit(some_history(600, 3))
    assert report.names == ("centred_window",)
    with pytest.raises(LeakFound, match="centred_window"):
        report.raise_if_leaking()


def test_a_leak_in_the_last_of_many_instruments_is_named() -> None:
    bars = {f"{name}/USDT": walk(f"{name}/USDT", 600, k) for k, name in enumerate("ABCDEFGHIJKL")}
    last = "L/USDT"

    @indicator(Group.PRICE, "one_of_twelve", warm_up=2, unit="planted")
    def one_of_twelve(bars: Bars) -> dict[str, formulas.Floats]:
        move = np.diff(bars.close, append=bars.close[-1:]) / bars.close
        return {"one_of_twelve": move if bars.instrument == last else bars.close / bars.open}

    report = audit(History(bars=bars))
    assert report.names == ("one_of_twelve",)
    assert all(leak.detail.startswith(last) for leak in report.leaks)


def test_scaling_by_all_that_came_before_is_named_for_its_start_alone() -> None:
    @indicator(Group.PRICE, "expanding", warm_up=100, unit="planted")
    def expanding(bars: Bars) -> dict[str, formulas.Floats]:
        mean = pd.Series(bars.volume).expanding().mean().to_numpy()
        return {"expanding": bars.volume / (1e-9 + mean)}

    found = _found(audit(some_history(600, 3)))
    assert set(found) == {"expanding"}
    assert not found["expanding"] & AHEAD


@pytest.mark.parametrize("shared_", [False, True])
def test_an_indicator_cannot_change_the_bars_for_the_others(shared_: bool) -> None:
    @indicator(Group.VOLUME, "mended", warm_up=2, shared=shared_, unit="planted")
    def mended(bars: Bars) -> dict[str, formulas.Floats]:
        volume = bars.volume
        volume[volume == 0] = 1.0
        return {"mended": volume}

    with pytest.raises(ValueError, match="read-only"):
        audit(some_history(600, 3))


def test_a_shared_formula_that_cannot_be_heard_live_is_named() -> None:
    @indicator(Group.PRICE, "flat", warm_up=5, window=5, shared=True, unit="planted")
    def flat(bars: Bars) -> dict[str, formulas.Floats]:
        return {"flat": np.convolve(bars.close, np.ones(5) / 5)[: len(bars.close)]}

    assert _found(audit(some_history(600, 3)))["flat"] == {"live"}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_registry_is_clean_on_a_market_with_holes_and_revisions(seed: int) -> None:
    assert audit(_market(seed), labels=labels, seed=seed).names == ()


def test_the_registry_is_clean_on_the_built_in_market() -> None:
    assert audit(load_history((), (), n_bars=900, seed=5), labels=labels, seed=5).names == ()


def _two_bars_on(bars: Bars, horizon: int) -> formulas.Floats:
    return rises(bars.close, horizon + 1)


def _above_the_usual_move(bars: Bars, horizon: int) -> formulas.Floats:
    moved = np.append(np.diff(bars.close), np.nan) / bars.close
    return np.where(np.isnan(moved), np.nan, (moved > np.nanmedian(moved)).astype(np.float64))


def _smoothed(bars: Bars, horizon: int) -> formulas.Floats:
    mean = pd.Series(bars.close).rolling(5, center=True).mean().to_numpy()
    return rises(mean, horizon)


def _first_of_three_barriers(bars: Bars, horizon: int) -> formulas.Floats:
    low = pd.Series(bars.low[::-1]).rolling(3, min_periods=1).min().to_numpy()[::-1]
    label = (low > 0.99 * bars.close).astype(np.float64)
    label[-horizon:] = np.nan
    return label


def _next_high_above(bars: Bars, horizon: int) -> formulas.Floats:
    label = (np.append(bars.high[1:], np.nan) > 1.005 * bars.close).astype(np.float64)
    label[-horizon:] = np.nan
    return label


@pytest.mark.parametrize(
    "label",
    [_two_bars_on, _above_the_usual_move, _smoothed, _first_of_three_barriers],
)
def test_a_target_that_needs_more_than_its_horizon_is_named(label: formulas.Formula) -> None:
    target("planted", view="direction")(label)
    assert audit(some_history(600, 4), labels=labels).names == ("planted",)


def test_a_target_that_needs_its_horizon_is_not_accused() -> None:
    target("next_high", view="direction")(_next_high_above)
    assert audit(some_history(600, 4), labels=labels).names == ()


@pytest.mark.parametrize("missing", [299, 598])
def test_a_hole_before_the_last_bar_or_the_cut_accuses_no_target(missing: int) -> None:
    frame = walk(n=600, seed=6).frame()
    holed = Bars.from_frame("BTC/USDT", Timeframe.H1, frame.drop(frame.index[missing]))
    assert audit(History(bars={"BTC/USDT": holed}), labels=labels).names == ()
