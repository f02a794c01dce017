from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dexml.errors import ConfigError
from dexml.simulation.market import MarketConfig


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("instruments", ()),
        ("instruments", ("BTC/USDT", "BTC/USDT")),
        ("n_bars", 99),
        ("start", datetime(2023, 1, 1, 0, 30, tzinfo=UTC)),
        ("bayes_accuracy", 0.49),
        ("bayes_accuracy", 0.87),
        ("bayes_accuracy", float("nan")),
        ("hourly_volatility", 0.0),
        ("seed", -1),
    ],
)
def test_a_setting_that_breaks_its_rule_is_named(setting: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"market\.{setting} must"):
        MarketConfig(**{setting: value})


def test_bars_are_stamped_with_their_close() -> None:
    config = MarketConfig(n_bars=100)
    assert str(config.closed_at[0]) == "2023-01-01T01:00:00.000000000"
    assert str(config.closed_at[-1])[:16] == config.end.isoformat()[:16]
