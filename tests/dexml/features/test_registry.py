from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import talib

from dexml.domain import Bars
from dexml.errors import ConfigError
from dexml.features.indicators import INDICATORS, Group, compute_columns, indicator
from dexml.features.studies import Recursion
from tests.dexml.features.histories import walk

BARS = walk(n=120, seed=1)
CCI = Recursion(function="CCI", inputs=("high", "low", "close"), outputs=("cci",), parameters=(14,))


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = dict(INDICATORS)
    yield
    for name in set(INDICATORS) - set(before):
        del INDICATORS[name]


def _trend(bars: Bars) -> dict[str, np.ndarray]:
    """Exponential average over the close."""
    return {"trend": talib.EMA(bars.close, 10) / bars.close}


def test_a_users_indicator_sees_its_window_and_nothing_else() -> None:
    seen: list[int] = []

    def spying(bars: Bars) -> dict[str, np.ndarray]:
        """Length of what it is given."""
        seen.append(len(bars))
        return _trend(bars)

    indicator(Group.PRICE, "trend", warm_up=40, unit="ratio")(spying)
    found = compute_columns(BARS, only=("trend",))["trend"]
    assert set(seen) == {41}
    assert np.isnan(found[:40]).all()
    for row in range(40, 120):
        assert found[row] == _trend(BARS.take(slice(row - 40, row + 1)))["trend"][-1]


def test_an_indicator_replaced_under_its_name_is_the_new_one() -> None:
    def planted(factor: float) -> np.ndarray:
        def scaled(bars: Bars) -> dict[str, np.ndarray]:
            """Scaled close."""
            return {"scaled": factor * bars.close}

        indicator(Group.PRICE, "scaled", warm_up=0, unit="x")(scaled)
        found = compute_columns(BARS, only=("scaled",))["scaled"]
        del INDICATORS["scaled"]
        return found

    for factor in (1.0, 2.0, 3.0):
        np.testing.assert_array_equal(planted(factor), factor * BARS.close)


def test_a_study_gives_its_raw_column() -> None:
    @indicator(
        Group.PRICE,
        "cci_rel",
        raw=("cci",),
        warm_up=14,
        window=1,
        studies=(CCI,),
        shared=True,
        unit="x",
    )
    def channel(bars: Bars, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Commodity channel index in hundreds."""
        return {"cci_rel": values["cci"] / 100.0}

    found = compute_columns(BARS, raw=True)
    np.testing.assert_array_equal(found["cci"], talib.CCI(BARS.high, BARS.low, BARS.close, 14))
    np.testing.assert_array_equal(found["cci_rel"], found["cci"] / 100.0)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"studies": (CCI,)}, "must be shared to read studies"),
        ({"window": 12}, "a window of 12 after a warm-up of 10"),
        ({"window": 0}, "a window of 0 after a warm-up of 10"),
    ],
)
def test_what_cannot_be_kept_is_refused_when_it_is_declared(
    facts: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        indicator(Group.PRICE, "trend", warm_up=10, unit="ratio", **facts)(_trend)
    assert "_trend" not in INDICATORS
