"""Rows as the kernel makes them, numbered."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from dexml.ledger import Ledger, StepRows
from dexml.reservations import Reservation

AT = "2024-01-01T01:00:00+00:00"


def decision(number: int) -> dict[str, Any]:
    return {
        "kind": "decision",
        "decision_id": f"decision-{number}",
        "at": AT,
        "instrument": "BTC/USDT",
        "action": "enter",
        "reason": "edge",
        "probability": 0.1 + 0.2,
        "expected_return": -0.0,
        "cost": 1,
        "net_edge": 1e-300,
        "target_weight": 0.25,
        "risk_score": 0.0,
    }


def intent(number: int) -> dict[str, Any]:
    return {
        "intent_id": f"intent-{number}",
        "instrument": "BTC/USDT",
        "side": "buy",
        "amount_in": "100.00",
        "minimum_out": "0.0019",
        "reference_price": "50000",
        "reason": "enter",
        "decided_at": AT,
    }


def mark(number: int) -> dict[str, Any]:
    return {
        "at": AT,
        "equity": f"{10_000 + number}.10",
        "cash": "9000",
        "drawdown": 0.0,
        "value_at_risk": 0.01,
        "risk_score": 0.2,
        "mode": "active",
    }


def fill(number: int) -> dict[str, Any]:
    return {
        "intent_id": f"intent-{number}",
        "instrument": "BTC/USDT",
        "side": "buy",
        "base": "0.002",
        "quote": "100",
        "gas": "0.05",
        "filled_at": "2024-01-01T01:00:12Z",
    }


def step_rows(number: int) -> StepRows:
    alert = {"at": AT, "severity": "info", "subject": "bar", "text": f"bar {number}"}
    return StepRows(
        reservations={f"intent-{number}": Reservation(cash=Decimal(100), exposure=Decimal(100))},
        decisions=[decision(number)],
        intents=[intent(number)],
        equity=[mark(number)],
        alerts=[alert],
    )


def commit(ledger: Ledger, epoch: int, number: int, stream: str = "risk", run: str = "r") -> bool:
    event = json.dumps({"number": number})
    state = json.dumps({"run": run, "number": number})
    return ledger.commit_event(
        stream, epoch, run, f"bar:{number}", event, ["{}", f"[{number}]"], step_rows(number), state
    )
