"""The default VaR on every coin of the recorded bars."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.portfolio import KERNEL_WINDOW, LONG_WINDOW, record, recorded_closes
from dexml.risk.coverage import acerbi_szekely, holm, kupiec
from dexml.risk.tail import tail_risk

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.mark.parametrize("window", [KERNEL_WINDOW, LONG_WINDOW])
def test_the_default_value_at_risk_passes_kupiec_on_every_coin(shared: Path, window: int) -> None:
    records = {coin: record(coin, lambda p: tail_risk(p, 24), window) for coin in recorded_closes()}
    assert len(records) == 11
    assert all(len(one.losses) >= 900 for one in records.values())
    p_values = holm([kupiec(one.beyond).p_value for one in records.values()])
    assert min(p_values) > 0.05, dict(zip(records, p_values, strict=True))


def test_half_the_default_value_at_risk_fails_on_every_coin(shared: Path) -> None:
    for coin in recorded_closes():
        seen = record(coin, lambda past: tail_risk(past * 0.5, 24), KERNEL_WINDOW)
        assert kupiec(seen.beyond).p_value < 1e-6
        assert acerbi_szekely(seen, n_draws=200).p_value < 0.01
