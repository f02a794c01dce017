"""Which bars are not believed, judged row by row in plain Python on walks with every fault."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from dexml.data.quality import Rule, suspects
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe

N = 400
DAY_H = 24
Row = tuple[float, float, float, float, float]


def _faulty(seed: int) -> Bars:
    """Return a walk with copies, with and without trades, spikes of up to 60, long silences."""
    generator = np.random.default_rng(seed)
    close = np.exp(np.cumsum(generator.normal(0, 0.01, N)))
    table = np.vstack([close, close * 1.01, close * 0.99, close, generator.random(N) + 1])
    wild = generator.choice([40.0, 60.0, 1 / 40, 1 / 60], N)
    table *= np.where(generator.random(N) < 0.1, wild, 1.0)
    table[4, generator.random(N) < 0.2] = 0.0
    for k in np.flatnonzero(generator.random(N) < 0.1)[1:]:
        table[:, k] = table[:, k - 1]
    hours = generator.choice(
        [1, 1, 1, 30 * DAY_H, 30 * DAY_H + 1], N, p=[0.3, 0.3, 0.38, 0.01, 0.01]
    )
    stamps = np.datetime64("2024-01-01", "ns") + np.cumsum(hours) * np.timedelta64(1, "h")
    fields = dict(zip(PRICE_COLUMNS, table, strict=True))
    return Bars(instrument="A/USDT", timeframe=Timeframe.H1, closed_at=stamps, **fields)


def _expected(bars: Bars) -> dict[int, Rule]:
    rows: list[Row] = list(zip(*(getattr(bars, n).tolist() for n in PRICE_COLUMNS), strict=True))
    hours = bars.closed_at.astype("datetime64[h]").astype(int).tolist()
    believed: list[int] = []
    found: dict[int, Rule] = {}
    for k, row in enumerate(rows):
        if believed and hours[k] - hours[believed[-1]] > 30 * DAY_H:
            believed = []
        closes = [rows[j][3] for j in believed[-11:]]
        usual = median(closes) if len(closes) >= 6 else None
        if usual and (max(row[:4]) / usual > 50 or usual / min(row[:4]) > 50):
            found[k] = Rule.JUMP
        elif believed and row == rows[believed[-1]] and row[4] > 0:
            found[k] = Rule.FROZEN
        else:
            believed.append(k)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_every_row_is_judged_by_the_believed_rows_before_it(seed: int) -> None:
    bars = _faulty(seed)
    expected = _expected(bars)
    assert set(expected.values()) == {Rule.JUMP, Rule.FROZEN}
    assert suspects(bars.take(slice(0, 0)), bars) == expected


def test_a_copy_without_trades_is_honest_and_one_with_trades_is_frozen() -> None:
    bars = _faulty(0)
    for volume, expected in ((0.0, {}), (1e-9, {0: Rule.FROZEN})):
        one = {name: np.ones(1) for name in PRICE_COLUMNS} | {"volume": np.array([volume])}
        stamps = bars.closed_at[:2]
        past, again = (
            Bars(instrument="A/USDT", timeframe=Timeframe.H1, closed_at=stamps[k : k + 1], **one)
            for k in (0, 1)
        )
        assert suspects(past, again) == expected


def test_exactly_fifty_times_is_believed() -> None:
    flat = {name: np.ones(8) for name in PRICE_COLUMNS}
    stamps = np.datetime64("2024-01-01", "ns") + np.arange(8) * np.timedelta64(1, "h")
    for factor, expected in (
        (50.0, {}),
        (50.5, {7: Rule.JUMP}),
        (1 / 50, {}),
        (0.0199, {7: Rule.JUMP}),
    ):
        fields = {
            name: values * np.where(np.arange(8) == 7, factor, 1.0) for name, values in flat.items()
        }
        fields["volume"] = np.zeros(8)
        bars = Bars(instrument="A/USDT", timeframe=Timeframe.H1, closed_at=stamps, **fields)
        assert suspects(bars.take(slice(0, 0)), bars) == expected
