from __future__ import annotations

import pytest

from dexml.errors import ConfigError
from dexml.events import Action, Reason
from dexml.risk.policy import MarketView, PolicyConfig, net_edge

FLAT = {"weight": 0.0, "target_weight": 0.1, "cost": 0.002, "probability": 0.7}
HELD = {**FLAT, "weight": 0.1}


@pytest.mark.parametrize(
    ("view", "action", "reason"),
    [
        ({**FLAT, "expected_return": 0.004}, Action.ENTER, Reason.EDGE),
        ({**FLAT, "expected_return": 0.002}, Action.DECLINE, Reason.COST),
        ({**FLAT, "expected_return": -0.01}, Action.DECLINE, Reason.ABSTAIN),
        ({**FLAT, "expected_return": 0.01, "probability": 0.51}, Action.DECLINE, Reason.ABSTAIN),
        ({**FLAT, "expected_return": 0.01, "target_weight": 0.0}, Action.DECLINE, Reason.PORTFOLIO),
        ({**HELD, "expected_return": 0.0}, Action.HOLD, Reason.BAND),
        ({**HELD, "expected_return": -0.001}, Action.EXIT, Reason.EDGE),
        ({**HELD, "expected_return": 0.01, "target_weight": 0.2}, Action.INCREASE, Reason.EDGE),
    ],
)
def test_enter_above_the_edge_hold_in_the_band_exit_otherwise(
    view: dict[str, float], action: Action, reason: Reason
) -> None:
    proposal = net_edge(MarketView(**view), PolicyConfig())
    assert (proposal.action, proposal.reason) == (action, reason)


LEAST = {
    **dict.fromkeys(("min_edge", "no_trade_band", "abstain_band", "rebalance_band"), 0.0),
    **dict.fromkeys(("horizon", "max_stops", "stop_window_bars", "low_profit_trades"), 1),
    **{"low_profit_window_bars": 1, "cooldown_bars": 0, "least_profit": -1.0},
}


def test_every_setting_but_the_name_has_a_least_value() -> None:
    assert LEAST.keys() == {*PolicyConfig.__slots__} - {"name"}


@pytest.mark.parametrize(("name", "least"), LEAST.items())
def test_a_setting_may_be_its_least_value_and_nothing_below(name: str, least: float) -> None:
    assert getattr(PolicyConfig(**{name: least}), name) == least
    below = [least - 1 if isinstance(least, int) else least - 1e-9, float("nan")]
    for value in below:
        with pytest.raises(ConfigError, match=rf"policy\.{name} must be at least {least:g}, was"):
            PolicyConfig(**{name: value})


@pytest.mark.parametrize(
    ("view", "action"),
    [
        # the edge reaches min_edge, or misses it by a hair
        ({**FLAT, "expected_return": 0.0025}, Action.ENTER),
        ({**FLAT, "expected_return": 0.0025 - 1e-9}, Action.DECLINE),
        # a probability at the edge of the abstain band, on both sides
        ({**FLAT, "expected_return": 0.01, "probability": 0.53125}, Action.ENTER),
        ({**FLAT, "expected_return": 0.01, "probability": 0.46875}, Action.ENTER),
        ({**FLAT, "expected_return": 0.01, "probability": 0.53125 - 1e-9}, Action.DECLINE),
        # the band below zero in which what is held is kept
        ({**HELD, "expected_return": -0.0005}, Action.HOLD),
        ({**HELD, "expected_return": -0.0005 - 1e-9}, Action.EXIT),
        # growing needs more room than the rebalance band
        ({**HELD, "expected_return": 0.01, "weight": 0.25, "target_weight": 0.3125}, Action.HOLD),
        (
            {**HELD, "expected_return": 0.01, "weight": 0.25, "target_weight": 0.3126},
            Action.INCREASE,
        ),
        # and an edge that pays the round trip
        ({**HELD, "expected_return": 0.0024, "target_weight": 0.5}, Action.HOLD),
    ],
)
def test_each_band_ends_where_its_setting_says(view: dict[str, float], action: Action) -> None:
    config = PolicyConfig(
        min_edge=0.0005, no_trade_band=0.0005, abstain_band=0.03125, rebalance_band=0.0625
    )
    assert net_edge(MarketView(**view), config).action is action
