"""The book of a run as one JSON-able value: what the report, the page and the command show."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np

from dexml.assessment import Assessment, assess, part_limits
from dexml.book.days import PROMISED, days_told, next_day_losses
from dexml.book.standing import correlations, stress_losses
from dexml.book.track import PARTS, Track
from dexml.describe import positions_of
from dexml.errors import DataError
from dexml.risk.recurrence import Floats
from dexml.risk.score import REFUSAL, parts_shown
from dexml.state import State

__all__ = ["MAX_POINTS", "book_view"]

MAX_POINTS = 200
MOST_POSITIONS = 40
MOST_DETAILS = 6


def book_view(track: Track, state: State) -> dict[str, Any]:
    """Return everything that is shown of a book.

    Parameters
    ----------
    track : Track
        What was journalled up to now.
    state : State
        The kernel's memory after the last event of it.

    Returns
    -------
    dict
        `closes` (decided, asked: the bars from the first to the last close), `now`, `limits`,
        `series` (at most 200 points), `days`, `parts`, `stress`, `correlations`, `declined`,
        `orders`, `alerts`, `positions`. What is not known is None; under 60 kB as JSON, however
        long the run and however many the instruments.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from dexml.state import KernelConfig
    >>> from dexml.system import initial_state
    >>> state = initial_state("r", KernelConfig(), ["BTC/USDT"], Decimal(100))
    >>> view = book_view(Track(), state)
    >>> view["closes"], view["stress"]["rows"][0]["scenario"]
    ({'decided': 0, 'asked': 0}, '2023-03 USDC depeg')
    """
    whole = assess(state)
    positions = positions_of(state, whole)
    shown = sorted(positions.items(), key=lambda item: (-item[1]["weight"], item[0]))
    return {
        "closed_at": state.closed_at.isoformat() if state.closed_at else None,
        "closes": _closes(track, state),
        "now": _now(track, state, whole),
        "limits": part_limits(state.config) | {"risk_score": REFUSAL},
        "series": _series(track, state),
        "days": _days(track),
        "parts": _parts(whole.measured, part_limits(state.config)),
        "stress": _stress(state, whole),
        "correlations": _rounded(correlations(whole)),
        "declined": _declined(track),
        "orders": _orders(track),
        "alerts": _alerts(track),
        "positions": [{"instrument": name} | row for name, row in shown[:MOST_POSITIONS]],
        "n_positions": len(positions),
    }


def _closes(track: Track, state: State) -> dict[str, int]:
    at = track.column("at")
    span = round((at[-1] - at[0]) / state.config.timeframe.seconds) + 1 if at.size else 0
    return {"decided": track.n_closes, "asked": int(span)}


def _now(track: Track, state: State, whole: Assessment) -> dict[str, Any]:
    equity, drawdown = state.equity, track.column("drawdown")
    return {
        "mode": str(state.mode),
        "equity": str(round(equity, 2)),
        "cash": str(round(state.cash, 2)),
        "exposure": _short(float(1 - state.cash / equity)) if equity > 0 else None,
        "drawdown": _short(whole.measured["drawdown"]),
        "largest_drawdown": _short(float(drawdown.max())) if drawdown.size else None,
        "value_at_risk": _known_tail(whole.value_at_risk),
        "risk_score": _short(whole.score),
    }


def _series(track: Track, state: State) -> dict[str, Any]:
    at, tail = track.column("at"), track.column("value_at_risk")
    losses = next_day_losses(at, track.column("equity"))
    drawdown, exposure = track.column("drawdown"), track.column("exposure")
    score, limits = track.column("risk_score"), part_limits(state.config)
    measured = {name: track.measured(name) for name in PARTS}
    buckets = _buckets(track.n_closes)
    last = [end - 1 for _, end in buckets]
    excess = np.where(exposure > 0, losses - tail, np.nan)
    worst = [_worst(excess[start:end], start) for start, end in buckets]
    parts = [_parts({name: measured[name][row] for name in PARTS}, limits) for row in last]
    shares = [{one["name"]: one["share"] for one in row} for row in parts]
    named = [name for name in PARTS if any(name in row for row in shares)]
    return {
        "at": [datetime.fromtimestamp(at[row], UTC).isoformat()[:16] for row in last],
        "exposure": [_short(exposure[row]) for row in last],
        "value_at_risk": [_known_tail(tail[row]) for row in worst],
        "next_day_loss": [_short(losses[row]) for row in worst],
        "drawdown": [_short(drawdown[start:end].max()) for start, end in buckets],
        "risk_score": [_short(score[row]) for row in last],
        "shares": {name: [row.get(name) for row in shares] for name in named},
    }


# A point stands for a stretch of closes: where it ended, its deepest drawdown, and of the VaRs and
# losses of its closes with a position the pair in which the loss went furthest beyond the VaR, or
# came closest to it: thinning hides no day that was beyond.
def _buckets(n_rows: int) -> list[tuple[int, int]]:
    n = min(n_rows, MAX_POINTS)
    edges = [round(k * n_rows / n) for k in range(n + 1)] if n else [0]
    return list(pairwise(edges))


def _worst(excess: Floats, start: int) -> int:
    known = np.isfinite(excess)
    return start + int(np.nanargmax(excess)) if known.any() else start + len(excess) - 1


def _days(track: Track) -> dict[str, Any]:
    told = days_told(
        *(track.column(name) for name in ("at", "equity", "exposure", "value_at_risk"))
    )
    return {
        "n": told.n_days,
        "n_beyond": told.n_beyond,
        "share_beyond": _short(told.share_beyond),
        "promised": PROMISED,
        "p_value": _short(told.p_value),
        "note": told.note,
    }


def _parts(measured: Any, limits: dict[str, float]) -> list[dict[str, Any]]:
    known = {name: float(value) for name, value in measured.items() if isfinite(value)}
    _, shown = parts_shown(known, limits)
    return [
        {"name": one.name}
        | {name: _short(getattr(one, name)) for name in ("value", "limit", "part", "share")}
        for one in shown
    ]


def _stress(state: State, whole: Assessment) -> dict[str, Any]:
    try:
        losses = stress_losses(state, whole)
    except DataError as error:
        return {"rows": [], "note": str(error)}
    rows = [
        {
            "scenario": one.scenario,
            "market": _short(one.market),
            "stablecoin": _short(one.quote),
            "leaving": _short(one.leaving),
            "total": _short(one.total),
        }
        for one in losses
    ]
    return {"rows": rows, "note": None}


def _rounded(found: dict[str, Any]) -> dict[str, Any]:
    matrix = found["matrix"]
    return found | {"matrix": matrix and [[round(one, 3) + 0.0 for one in row] for row in matrix]}


def _declined(track: Track) -> dict[str, Any]:
    reasons: dict[str, list[tuple[int, str]]] = {}
    for (reason, detail), n in track.declined.items():
        reasons.setdefault(reason, []).append((n, detail))
    totals = {reason: sum(n for n, _ in told) for reason, told in reasons.items()}
    rows = [
        {"reason": reason, "n": totals[reason], "details": _details(reasons[reason])}
        for reason in sorted(totals, key=lambda reason: (-totals[reason], reason))
    ]
    return {"n": track.declined.total(), "of": track.n_decisions, "reasons": rows}


def _details(told: Iterable[tuple[int, str]]) -> list[dict[str, Any]]:
    named = sorted(((n, text) for n, text in told if text), key=lambda one: (-one[0], one[1]))
    rows = [{"detail": text, "n": n} for n, text in named[:MOST_DETAILS]]
    n_more = sum(n for n, _ in named[MOST_DETAILS:])
    return [*rows, {"detail": "others", "n": n_more}] if n_more else rows


def _orders(track: Track) -> dict[str, Any]:
    failed = [
        {"at": one.at.isoformat(), **{k: v for k, v in one._asdict().items() if k != "at"}}
        for one in reversed(track.failed)
    ]
    return {
        "n": track.n_orders,
        "filled": track.n_filled,
        "n_failed": track.n_failed,
        "failed": failed,
    }


def _alerts(track: Track) -> dict[str, Any]:
    rows = [
        {"at": one.at.isoformat(), "severity": one.severity}
        | {"subject": one.subject, "text": one.text[:300]}
        for one in reversed(track.alerts)
    ]
    return {"n": track.severities.total(), "severities": dict(track.severities), "rows": rows}


def _known_tail(value: float) -> float | None:
    return None if value >= 1 else _short(value)  # 1 says that too little is known


def _short(value: float | None) -> float | None:
    if value is None or not isfinite(value):
        return None
    return float(f"{value:.4g}") + 0.0
