"""A small system at rest, with rows as the ledger and the actors give them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dexml.access import TokenRecord, new_token
from dexml.book.view import book_view as view_of
from tests.planted_track import planted_state, planted_track

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = ("BTC/USDT", "DOGE/USDT", "ETH/USDT")
Rows = list[dict[str, Any]]


def equity_rows(n_rows: int = 300) -> Rows:
    """A wavy rise, as `EquityMarked` is journalled."""
    worth = [10_000 * (1 + 0.0004 * i + 0.02 * math.sin(i / 17)) for i in range(n_rows)]
    peak = [max(worth[: i + 1]) for i in range(n_rows)]
    return [
        {
            "at": (START + i * HOUR).isoformat(),
            "equity": f"{worth[i]:.2f}",
            "cash": "4200.00",
            "drawdown": 1 - worth[i] / peak[i],
            "value_at_risk": 0.021,
            "risk_score": 0.31,
            "mode": "active",
        }
        for i in range(n_rows)
    ]


def decision_rows(n_bars: int = 20) -> Rows:
    kinds = [("decline", "cost"), ("enter", "edge"), ("hold", "band"), ("decline", "abstain")]
    return [
        {
            "decision_id": f"d{bar}{name}",
            "at": (START + (280 + bar) * HOUR).isoformat(),
            "instrument": name,
            "action": kinds[(bar + k) % 4][0],
            "reason": kinds[(bar + k) % 4][1],
            "probability": 0.5 + 0.09 * math.sin(bar + k),
            "expected_return": 0.0009,
            "cost": 0.0012,
            "net_edge": 0.0015 * math.sin(bar + k),
            "target_weight": 0.12,
            "risk_score": 0.31,
        }
        for bar in range(n_bars)
        for k, name in enumerate(NAMES)
    ]


def trade_rows() -> Rows:
    return [
        {
            "intent_id": f"i{k}",
            "instrument": "BTC/USDT",
            "side": "buy" if k % 2 == 0 else "sell",
            "base": "0.0150",
            "quote": "930.10",
            "gas": "0.05",
            "filled_at": (START + (200 + 9 * k) * HOUR).isoformat(),
        }
        for k in range(6)
    ]


def alert_rows() -> Rows:
    texts = [
        ("info", "models", "Five models were promoted."),
        ("warning", "DOGE/USDT", "The feed was silent for two bars; no new risk is taken."),
        ("critical", "drawdown", "Drawdown reached 0.15; only reductions are allowed."),
    ]
    return [
        {"at": (START + (100 + k) * HOUR).isoformat(), "severity": s, "subject": n, "text": t}
        for k, (s, n, t) in enumerate(texts)
    ]


def model_rows() -> Rows:
    scores = {
        "direction": (0.624, 0.652, 0.507, 0.668, "reversal", 0.541),
        "volatility": (0.871, 0.309, 0.512, 0.884, "closed form", 0.858),
        "volume": (0.702, 0.561, 0.538, 0.731, "hour of week", 0.689),
        "sentiment": (0.611, 0.660, 0.507, 0.645, "reversal", 0.541),
    }
    rows: Rows = []
    for target, (accuracy, log_loss, base, bayes, rule, rule_accuracy) in scores.items():
        found = {"accuracy": accuracy, "log_loss": log_loss, "base_rate": base, "n": 4_310}
        found |= {"bayes_accuracy": bayes, "bayes_log_loss": log_loss - 0.02}
        found |= {"edge_reached": 0.705}
        found |= {"rule": rule, "rule_accuracy": rule_accuracy, "rule_log_loss": log_loss + 0.03}
        rows.append({"target": target, "digest": f"{target}0a1b2c3d", "status": "champion"})
        rows[-1]["manifest"] = json.dumps({"scores": found})
    empty = {"scores": {"accuracy": None, "log_loss": None, "base_rate": 0.507, "degraded": True}}
    rows.append({"target": "macro", "digest": "ffff0000", "status": "champion"})
    rows[-1]["manifest"] = json.dumps(empty)
    return rows


def risk_view() -> dict[str, Any]:
    return {
        "mode": "active",
        "equity": "11184.30",
        "cash": "4200.00",
        "drawdown": 0.034,
        "value_at_risk": 0.021,
        "risk_score": 0.31,
        "parts": {"volatility": 0.12, "value_at_risk": 0.14, "drawdown": 0.05, "model": 0.04},
        "limits": {"drawdown": 0.15, "value_at_risk": 0.05, "risk_score": 0.7},
        "positions": {
            "BTC/USDT": {"quantity": "0.0615", "weight": 0.34, "stop": 60_120.5}
            | {"take_profit": 64_900.0, "entry_price": 62_010.0},
            "ETH/USDT": {"quantity": "0.9120", "weight": 0.28, "stop": 3_310.2}
            | {"take_profit": 3_702.8, "entry_price": 3_444.4},
        },
    }


def forecast(instrument: str) -> dict[str, Any]:
    return {
        "instrument": instrument,
        "closed_at": (START + 299 * HOUR).isoformat(),
        "probability": 0.57,
        "targets": {"direction": 0.58, "volatility": float("nan"), "macro": None},
        "models": {"direction": "direction0a1b2c3d"},
    }


class BookLedger:
    """The reads of a ledger over the rows above, with one token that may read."""

    def __init__(self, tokens: Sequence[TokenRecord] = ()) -> None:
        self.tokens = {record.token_id: record for record in tokens}

    def token(self, id: str) -> Mapping[str, Any] | None:
        record = self.tokens.get(id)
        if record is None:
            return None
        scopes, expires_at = " ".join(record.scopes), record.expires_at.isoformat()
        return {"id": id, "sha256": record.sha256, "scopes": scopes, "expires_at": expires_at}

    def equity(self, run: str) -> Rows:
        return equity_rows()

    def decisions(self, run: str) -> Rows:
        return decision_rows()

    def trades(self, run: str) -> Rows:
        return trade_rows()

    def alerts(self, run: str) -> Rows:
        return alert_rows()

    def models(self) -> Rows:
        return model_rows()


def book_view() -> dict[str, Any]:
    return {"run": "r1", **view_of(planted_track(), planted_state())}


def hold(at: Sequence[datetime], start: float) -> list[float | None]:
    return [start * (1 + 0.03 * math.sin(i / 40)) for i in range(len(at))]


def tokens() -> tuple[str, TokenRecord, str, TokenRecord]:
    """A token that may read and one that may not, good around the wall clock's today."""
    now, life = datetime.now(UTC), timedelta(days=1)
    return *new_token(["read"], now, life), *new_token(["trade"], now, life)
