"""Every technical column against its published definition, in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Bars, History
from dexml.features.indicators import INDICATORS, compute_columns
from dexml.features.panel import build_panel
from tests.dexml.features.histories import walk
from tests.dexml.features.oracles.chart import Chart, Series
from tests.dexml.features.oracles.technical import DEFINITIONS, FORMULAS

FIRST = 400  # where every recursion has forgotten its seed


@pytest.fixture(scope="module")
def bars() -> Bars:
    plain = walk(n=700, seed=3)
    place = np.random.default_rng(4).random(700)
    return replace(plain, open=plain.low + place * (plain.high - plain.low))


@pytest.fixture(scope="module")
def chart(bars: Bars) -> Chart:
    return Chart(bars)


@pytest.fixture(scope="module")
def columns(bars: Bars) -> Mapping[str, Series]:
    return {name: values.tolist() for name, values in compute_columns(bars, raw=True).items()}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_raw_column_is_what_its_published_definition_gives_at_every_bar(
    name: str, chart: Chart, columns: Mapping[str, Series]
) -> None:
    expected = DEFINITIONS[name](chart)
    assert len(set(expected[FIRST:])) > 1
    assert columns[name][FIRST:] == pytest.approx(expected[FIRST:], rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_stationary_column_is_its_formula_of_the_raw_ones_at_the_same_bar(
    name: str, chart: Chart, columns: Mapping[str, Series]
) -> None:
    expected = [FORMULAS[name](chart, columns, t) for t in chart.rows[FIRST:]]
    assert columns[name][FIRST:] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_every_technical_column_has_a_definition_or_a_formula() -> None:
    ours = [one for one in INDICATORS.values() if one.compute.__module__.endswith(".technical")]
    named = {column for one in ours for column in (*one.columns, *one.raw)}
    assert named == {*DEFINITIONS, *FORMULAS}


def test_the_panel_shows_each_column_at_the_bar_it_was_computed_for(
    bars: Bars, columns: Mapping[str, Series]
) -> None:
    panel = build_panel(History(bars={bars.instrument: bars}))
    closed_at = pd.DatetimeIndex(bars.closed_at, tz="UTC")
    shown = panel.xs(bars.instrument, level="instrument")
    rows = closed_at.get_indexer(shown.index)
    for name in {*DEFINITIONS, *FORMULAS} & set(panel.columns):
        assert shown[name].tolist() == [columns[name][row] for row in rows]
