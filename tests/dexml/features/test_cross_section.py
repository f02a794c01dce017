from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.features.cross_section import CROSS_SECTION_COLUMNS, cross_section
from tests.dexml.features.histories import walk


def test_the_market_is_the_mean_of_those_that_closed_together() -> None:
    bars = {f"{name}/USDT": walk(f"{name}/USDT", 100, k) for k, name in enumerate("ABC")}
    bars["C/USDT"] = bars["C/USDT"].take(slice(50, None))
    returns = pd.DataFrame(
        {n: pd.Series(np.log(b.close), index=b.closed_at).diff() for n, b in bars.items()}
    )
    found = cross_section(bars)["A/USDT"]
    np.testing.assert_allclose(found["market_return_1"][1:], returns.mean(axis=1)[1:], atol=1e-15)
    ranks = (returns.rank(axis=1)["A/USDT"] - 1) / (returns.count(axis=1) - 1)
    np.testing.assert_allclose(found["return_rank_1"][1:], ranks[1:])
    spread = returns.std(axis=1, ddof=0)
    np.testing.assert_allclose(found["return_dispersion_1"][1:], spread[1:], atol=1e-15)


def test_one_instrument_has_no_cross_section() -> None:
    assert cross_section({"A/USDT": walk("A/USDT", 50)}) == {}


def test_an_instrument_alone_at_an_instant_stands_in_the_middle() -> None:
    bars = {"A/USDT": walk("A/USDT", 60), "B/USDT": walk("B/USDT", 60).take(slice(40, None))}
    found = cross_section(bars)["A/USDT"]
    assert found["return_rank_1"][10] == 0.5
    assert found["relative_return_1"][10] == pytest.approx(0.0)
    assert set(found) == set(CROSS_SECTION_COLUMNS)
