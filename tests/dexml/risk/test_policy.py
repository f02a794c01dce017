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


def test_a_negative_band_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"policy\.no_trade_band must be at least 0"):
        PolicyConfig(no_trade_band=-0.1)
