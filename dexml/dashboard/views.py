"""Payloads of the HTTP endpoints, made from rows by pure functions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from dexml.dashboard.backend import Row
from dexml.domain import Bars, to_datetime64

__all__ = [
    "Page",
    "finite",
    "hold_curve",
    "instant",
    "model_row",
    "page_of",
    "portfolio",
    "prediction",
    "thinned",
]

MAX_POINTS = 480
_POSITION = ("quantity", "weight", "stop", "take_profit", "entered_at", "entry_price")
_RISK = ("mode", "risk_score", "drawdown", "value_at_risk", "equity", "parts", "limits")
_DECISION = ("action", "reason", "at", "expected_return", "cost", "net_edge", "target_weight")


def finite(value: Any) -> Any:
    """Return `value` in JSON's terms: no NaN or infinity (null), UTC text for instants.

    Examples
    --------
    >>> finite({"a": float("nan"), "b": (1, float("inf")), "c": np.float64(2)})
    {'a': None, 'b': [1, None], 'c': 2.0}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def instant(value: datetime | str) -> datetime:
    """Return an aware instant from a row's value; text without a zone is UTC.

    Examples
    --------
    >>> instant("2024-01-01T01:00:00Z").isoformat()
    '2024-01-01T01:00:00+00:00'
    """
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of `n` rows, oldest first, and the cursor of the rows before them."""

    rows: Sequence[Row]
    n: int
    older: int | None


def page_of(rows: Sequence[Row], limit: int, cursor: int | None = None) -> Page:
    """Return the `limit` rows before a cursor; without one, the newest.

    Parameters
    ----------
    rows : sequence of mapping
        All there are, oldest first; more may be added at the end, so a row keeps its place.
    cursor : int, optional
        The `older` of another page.

    Examples
    --------
    >>> page = page_of([{"n": 1}, {"n": 2}, {"n": 3}], limit=2)
    >>> page.rows, page.older
    ([{'n': 2}, {'n': 3}], 1)
    >>> page_of([{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}], limit=2, cursor=page.older).rows
    [{'n': 1}]
    """
    end = len(rows) if cursor is None else min(cursor, len(rows))
    first = max(0, end - limit)
    return Page(rows=rows[first:end], n=len(rows), older=first or None)


def prediction(latest: Row, risk: Row, decisions: Sequence[Row], now: datetime) -> dict[str, Any]:
    """Return the answer of `/v1/predictions/{symbol}`.

    Parameters
    ----------
    latest : mapping
        The forecast: instrument, closed_at, probability, targets, models, and shares: by how much
        each member moved the log-odds of the ensemble.
    risk : mapping
        The kernel's book, for the position's levels and the state of risk.
    decisions : sequence of mapping
        Oldest first; the last one of the instrument tells what was decided.
    now : datetime
        Against which the age of the data is measured, UTC.
    """
    instrument = latest["instrument"]
    decision = next((row for row in reversed(decisions) if row["instrument"] == instrument), {})
    position = _positions(risk).get(instrument, {})
    targets = dict(latest.get("targets") or {})
    return {
        "instrument": instrument,
        "prediction": {
            "probability": latest.get("probability"),
            "targets": targets,
            "shares": dict(latest.get("shares") or {}),
            "degraded": sorted(name for name, value in targets.items() if value is None),
            "decision": {name: decision.get(name) for name in _DECISION} if decision else None,
            "position": {name: position.get(name) for name in _POSITION} if position else None,
        },
        "risk": {name: risk.get(name) for name in _RISK},
        "timestamp": latest["closed_at"],
        "data_age_s": max(0.0, (now - instant(latest["closed_at"])).total_seconds()),
        "models": latest.get("models"),
    }


def portfolio(
    risk: Row, equity: Sequence[Row], hold: Sequence[float | None], instruments: Sequence[str]
) -> dict[str, Any]:
    """Return the answer of `/v1/portfolio`: the book, and its curve beside buy-and-hold.

    Parameters
    ----------
    equity : sequence of mapping
        One row for each close: at, equity.
    hold : sequence of float or None
        Worth of buy and hold at the same instants, as `hold_curve`; None where it is not known.
    """
    worth = [float(row["equity"]) for row in equity]
    rows = thinned(len(equity))
    positions = _positions(risk)
    return {
        "instruments": list(instruments),
        "equity": risk.get("equity"),
        "cash": risk.get("cash"),
        "return": _growth(worth, worth),
        "buy_and_hold_return": _growth(hold, worth),
        "positions": [{"instrument": name} | dict(positions[name]) for name in sorted(positions)],
        "curve": {
            "at": [equity[row]["at"] for row in rows],
            "equity": [worth[row] for row in rows],
            "buy_and_hold": [hold[row] for row in rows],
        },
    }


def _positions(risk: Row) -> dict[str, Row]:
    held = risk.get("positions") or {}
    if isinstance(held, Mapping):
        return dict(held)
    return {row["instrument"]: row for row in held}


def _growth(worth: Sequence[float | None], from_: Sequence[float]) -> float | None:
    known = [value for value in worth if value is not None]
    return known[-1] / from_[0] - 1 if known and from_ else None


def thinned(n_rows: int, at_most: int = MAX_POINTS) -> list[int]:
    """Return evenly spread row numbers, the first and the last among them.

    Examples
    --------
    >>> thinned(10, at_most=4)
    [0, 3, 6, 9]
    >>> thinned(3, at_most=4)
    [0, 1, 2]
    """
    if n_rows <= at_most:
        return list(range(n_rows))
    return [round(step * (n_rows - 1) / (at_most - 1)) for step in range(at_most)]


def hold_curve(
    bars: Mapping[str, Bars], at: Sequence[datetime], start: float, fee_bps: float
) -> list[float | None]:
    """Return what `start`, spent equally on `bars` at the first instant, is worth later.

    Parameters
    ----------
    bars : mapping of instrument to Bars
        Closed bars; the last close at or before an instant counts.
    at : sequence of datetime, length n
        Increasing.
    start : float
        Cash at the first instant, quote currency.
    fee_bps : float
        What the pool keeps of it, basis points; nothing is sold, so it is paid once.

    Returns
    -------
    list of float or None, length n
        After the entry fee, from the first instant on; None throughout unless every instrument has
        a price then.
    """
    stamps = np.array([to_datetime64(moment) for moment in at], dtype="datetime64[ns]")
    total = np.zeros(len(stamps))
    for held in bars.values():
        rows = np.searchsorted(held.closed_at, stamps, side="right") - 1
        if len(rows) == 0 or rows[0] < 0:
            return [None] * len(at)
        closes = held.close[rows]
        total += closes / closes[0]
    kept = start * (1 - fee_bps / 10_000)
    return [float(value) for value in kept * total / len(bars)] if bars else [None] * len(at)


def model_row(row: Row) -> dict[str, Any]:
    """Return a model version as reached / reachable / base rate, side by side.

    The manifest's scores give `accuracy`, `log_loss`, `base_rate`, `n` and, where known, those of
    the best rule (`rule`, `rule_accuracy`, `rule_log_loss`) and of the Bayes limit of a planted
    market (`bayes_accuracy`, `bayes_log_loss`). On recorded bars nobody knows the limit: null.
    """
    manifest = row.get("manifest") or {}
    manifest = json.loads(manifest) if isinstance(manifest, str) else manifest
    scores = manifest.get("scores") or {}
    degraded = bool(scores.get("degraded")) or scores.get("accuracy") is None
    return {
        "target": row["target"],
        "digest": row.get("digest"),
        "status": row.get("status"),
        "degraded": degraded,
        "n": scores.get("n"),
        "base_rate": scores.get("base_rate"),
        "edge_reached": scores.get("edge_reached"),
        "reached": _score(scores, ""),
        "reachable": _score(scores, "bayes_"),
        "rule": {"name": scores.get("rule")} | _score(scores, "rule_"),
    }


def _score(scores: Row, prefix: str) -> dict[str, Any]:
    return {name: scores.get(prefix + name) for name in ("accuracy", "log_loss")}
