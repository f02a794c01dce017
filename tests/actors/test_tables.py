from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from actors.tables import print_verdict

ROW = {
    "accuracy": 0.86,
    "bayes_accuracy": None,
    "base_rate": 0.55,
    "log_loss": 0.31,
    "base_log_loss": 0.69,
    "rule": "closed form",
    "rule_accuracy": 0.85,
    "rule_log_loss": 0.32,
    "degraded": False,
}
DEGRADED = ROW | {"accuracy": None, "log_loss": None, "degraded": True}


def _printed(**result: Any) -> str:
    screen = io.StringIO()
    silent = {"strategy": None, "significance": {"deflated_sharpe_probability": None}}
    print_verdict(Console(file=screen, width=80), {"ensemble": None, **silent, **result})
    return screen.getvalue()


def test_the_table_fits_eighty_columns_whole() -> None:
    shown = _printed(targets={"volatility": ROW, "sentiment": DEGRADED}, verdict="No edge.")
    assert "volatility" in shown
    assert "0.8500" in shown
    assert "no inputs" in shown
    assert "…" not in shown
    assert shown.splitlines()[-1] == "No edge."


def test_a_strategy_that_never_traded_has_no_sharpe_ratio_to_judge() -> None:
    strategy = {"orders": 0, "fills": 0, "total_return": 0.0, "buy_and_hold_return": 0.1}
    shown = _printed(targets={}, verdict="No edge.", strategy=strategy | {"max_drawdown": 0.0})
    assert "0 orders" in shown
    assert "Sharpe" not in shown
