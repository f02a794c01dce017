"""What exchanges of two currencies agree on, bar by bar in plain Python."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from dexml.data.storage.consolidation import consolidate
from dexml.domain import PRICE_COLUMNS, Bars
from tests.dexml.features.histories import walk

N = 240
OWN, FOREIGN = ("binance", "okx"), ("kraken", "coinbase", "gemini")
QUOTES = dict.fromkeys(FOREIGN, "USD")
Row = list[float]


def _venue(name: str, seed: int) -> Bars:
    """Return the market as one exchange quotes it, with holes; dollars drift from par and back."""
    bars, generator = walk(n=N, seed=1), np.random.default_rng(seed)
    worth = 1 + 0.06 * np.sin(np.arange(N) / 20) if name in QUOTES else np.ones(N)
    noise = np.exp(generator.normal(0, 1e-3, N)) / worth
    prices = {field: getattr(bars, field) * noise for field in PRICE_COLUMNS[:4]}
    kept = generator.random(N) > 0.15
    kept[100:140] &= name in OWN  # longer than the basis is measured over
    kept[180:184] &= name in FOREIGN
    volume = generator.exponential(10.0, N)
    frame = bars.frame().assign(**prices, volume=volume)[kept]
    return Bars.from_frame("BTC/USDT", bars.timeframe, frame)


def _by_stamp(bars: Bars) -> dict[int, Row]:
    rows = np.column_stack([getattr(bars, name) for name in PRICE_COLUMNS]).tolist()
    return dict(zip(bars.closed_at.astype(np.int64).tolist(), rows, strict=True))


def _middle(values: Row, weights: Row) -> float:
    """Return the value at which half the weight lies on either side."""
    below, half = 0.0, sum(weights) / 2
    for value, weight in sorted(zip(values, weights, strict=True)):
        below += weight
        if below > half:
            return value
    raise AssertionError(values)


def _capped(volumes: Row) -> Row:
    return [min(v, sorted(volumes)[-2]) for v in volumes] if len(volumes) > 2 else volumes


def _agreed(rows: list[Row]) -> Row:
    volumes = [row[4] for row in rows]
    prices = [_middle([row[k] for row in rows], _capped(volumes)) for k in range(4)]
    return [*prices, _middle(volumes, volumes)]


def _expected(parts: dict[str, Bars]) -> list[Row]:
    tables = {name: _by_stamp(bars) for name, bars in parts.items()}
    stamps = sorted({at for table in tables.values() for at in table})
    ratios: list[float | None] = []
    basis, found = 1.0, []
    for at in stamps:
        own = [tables[name][at] for name in OWN if at in tables[name]]
        foreign = [tables[name][at] for name in FOREIGN if at in tables[name]]
        both = own and foreign
        ratios.append(_agreed(own)[3] / _agreed(foreign)[3] if both else None)
        shared = [ratio for ratio in ratios[-24:] if ratio is not None]
        basis = median(shared) if shared else basis
        near = [[*(x * basis for x in row[:4]), row[4]] for row in foreign]
        near = near if abs(basis - 1) <= 0.05 else []
        found.append(_agreed([*own, *near] or foreign))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_every_bar_is_the_weighted_median_of_prices_in_one_currency(seed: int) -> None:
    names = (*OWN, *FOREIGN)
    parts = {name: _venue(name, 10 * seed + k) for k, name in enumerate(names)}
    found = consolidate(parts, QUOTES)
    table = np.column_stack([getattr(found, name) for name in PRICE_COLUMNS])
    np.testing.assert_allclose(table, _expected(parts), rtol=1e-9)
