from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dexml.domain import Bars
from dexml.errors import UsageError
from dexml.experiments.sources import recorded_bars, recorded_market
from tests.random_walk import some_bars


def written(folder: Path, bars: Bars) -> Path:
    path = folder / f"{bars.instrument.replace('/', '')}.parquet"
    bars.frame().rename_axis("closed_at").reset_index().to_parquet(path)
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    whole = some_bars("BTC/USDT", 200)
    delisted = some_bars("ETH/USDT", 200).take(slice(0, 150))
    young = some_bars("SOL/USDT", 200).take(slice(120, 200))
    return tuple(written(tmp_path, bars) for bars in (whole, delisted, young))


def test_a_market_keeps_what_was_delisted_and_what_came_late(files: tuple[Path, ...]) -> None:
    market = recorded_market(files, (), 100)
    assert {name: len(bars) for name, bars in market.items()} == {
        "BTC/USDT": 100,
        "ETH/USDT": 50,
        "SOL/USDT": 80,
    }
    assert np.array_equal(market["ETH/USDT"].closed_at, market["BTC/USDT"].closed_at[:50])
    assert {len(bars) for bars in recorded_market(files, ()).values()} == {200, 150, 80}


def test_who_had_no_bar_in_the_range_is_left_out(files: tuple[Path, ...]) -> None:
    assert sorted(recorded_market(files, (), 50)) == ["BTC/USDT", "SOL/USDT"]


def test_the_range_that_all_share_is_shorter(files: tuple[Path, ...]) -> None:
    assert {len(bars) for bars in recorded_bars(files, (), n_bars=30).values()} == {30}
    with pytest.raises(UsageError, match="must have 40 bars in common"):
        recorded_bars(files, (), n_bars=40)


def test_too_few_closes_are_refused(files: tuple[Path, ...]) -> None:
    with pytest.raises(UsageError, match="must have 300 closes, was 200"):
        recorded_market(files, (), 300)
