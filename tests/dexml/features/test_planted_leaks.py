"""Look-ahead planted the way engineers commit it: the audit must name it, and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Bars, History
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
    vix = history.macro[history.macro["series"] == "vix"].iloc[4::9]
    revised = vix.assign(known_at=vix["known_at"] + pd.Timedelta(hours=5), value=vix["value"] + 1)
    blog = np.arange(len(history.news)) % 20 == 0
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


@pytest.fixture(scope="module", params=SEEDS)
def in_formulas(request: pytest.FixtureRequest) -> Found:
    market = _market(request.param)
    two = {name: market.bars[name] for name in ("BTC/USDT", "ETH/USDT")}
    with _restored():
        for formula in (formulas.LEAKS | formulas.TWINS).values():
            _plant(formula)
        return _found(audit(History(bars=two), seed=request.param))


@pytest.fixture(scope="module", params=SEEDS)
def in_shared(request: pytest.FixtureRequest) -> Found:
    with _restored():
        for name, one in (shared.LEAKS | shared.TWINS).items():
            _plant_shared(name, one)
        return _found(audit(_market(request.param), seed=request.param))


@pytest.fixture(scope="module", params=SEEDS)
def in_joins(request: pytest.FixtureRequest) -> Found:
    return _found(audit(_market(request.param), seed=request.param, build=joins.joined_panel))


@pytest.mark.parametrize("name", formulas.LEAKS)
def test_a_formula_that_knows_the_future_is_named(name: str, in_formulas: Found) -> None:
    assert name in in_formulas


@pytest.mark.parametrize("name", shared.LEAKS)
def test_a_shared_formula_that_knows_the_future_is_named(name: str, in_shared: Found) -> None:
    assert name in in_shared


@pytest.mark.parametrize("name", joins.LEAKS)
def test_a_join_that_knows_the_future_is_named(name: str, in_joins: Found) -> None:
    assert name in in_joins


@pytest.mark.parametrize("name", formulas.TWINS)
def test_a_formula_that_looks_back_is_not_accused(name: str, in_formulas: Found) -> None:
    assert name not in in_formulas


@pytest.mark.parametrize("name", shared.TWINS)
def test_a_shared_formula_that_looks_back_is_not_accused(name: str, in_shared: Found) -> None:
    assert name not in in_shared


@pytest.mark.parametrize("name", joins.TWINS)
def test_a_join_as_of_what_was_known_is_not_accused(name: str, in_joins: Found) -> None:
    assert name not in in_joins


def test_nothing_that_was_not_planted_is_named(
    in_formulas: Found, in_shared: Found, in_joins: Found
) -> None:
    assert set(in_formulas) <= set(formulas.LEAKS)
    assert set(in_shared) <= set(shared.LEAKS)
    assert set(in_joins) <= set(joins.LEAKS)
