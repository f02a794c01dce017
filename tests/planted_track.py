"""A book of many closes and instruments, told to the code that shows it as the kernel tells it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from dexml.book.track import Track
from dexml.domain import Bar, Intent, Mode, Side
from dexml.events import Action, Alert, Decision, EquityMarked, OrderFailed, Reason, Trade
from dexml.risk.exits import Levels
from dexml.state import KernelConfig, Position, State
from dexml.system import initial_state

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHY = [
    (Reason.ABSTAIN, ""),
    (Reason.COST, "too small"),
    (Reason.RISK, "value_at_risk"),
    (Reason.RISK, "concentration, value_at_risk"),
    (Reason.DATA, "health"),
]


def mark(at: datetime, equity: float, cash: float = 4_200.0, **changes: object) -> EquityMarked:
    """A valuation at a close; what is not given is at rest."""
    measured = (("volatility", 0.02), ("value_at_risk", 0.03), ("drawdown", 0.01))
    told = {"drawdown": 0.01, "value_at_risk": 0.03, "risk_score": 0.2, "mode": Mode.ACTIVE}
    words = {"equity": str(equity), "cash": str(cash), "measured": measured}
    return EquityMarked(at=at, **(told | words | changes))  # type: ignore[arg-type]


def declined(at: datetime, name: str, reason: Reason, detail: str = "") -> Decision:
    return Decision(
        decision_id=f"{name}{at}",
        at=at,
        instrument=name,
        action=Action.DECLINE,
        reason=reason,
        detail=detail,
        probability=0.5,
        expected_return=0.0,
        cost=0.001,
        net_edge=-0.001,
        target_weight=0.0,
        risk_score=0.1,
    )


def intent(key: str, name: str = "BTC/USDT") -> Intent:
    one = Decimal(1)
    return Intent(
        intent_id=key,
        instrument=name,
        side=Side.BUY,
        amount_in=one,
        minimum_out=one,
        reference_price=one,
        reason="enter",
        decided_at=START,
    )


def planted_track(n_closes: int = 300) -> Track:
    """A wavy rise with a tail that is sometimes passed, and something of every kind."""
    track, rng, peak = Track(), np.random.default_rng(5), 0.0
    for k in range(n_closes):
        at = START + k * HOUR
        worth = 10_000 * (1 + 0.0004 * k + 0.02 * math.sin(k / 17) + 0.002 * rng.normal())
        peak = max(peak, worth)
        tail = 0.018 + 0.006 * math.sin(k / 40)
        fallen = 1 - worth / peak
        kinds = ("volatility", "value_at_risk", "drawdown", "concentration", "data_health")
        values = (0.12 + 0.05 * math.sin(k / 9), tail * 2, fallen * 4, 0.2, 0.0)
        track.decided(
            [
                mark(
                    at,
                    worth,
                    cash=worth * (0.55 + 0.4 * math.sin(k / 23)),
                    drawdown=fallen,
                    value_at_risk=tail,
                    risk_score=0.2 + 0.15 * math.sin(k / 9),
                    measured=tuple(zip(kinds, values, strict=True)),
                ),
                declined(at, "BTC/USDT", *WHY[k % len(WHY)]),
            ]
        )
    track.decided([Trade(intent=intent("i1")), Trade(intent=intent("i2", "ETH/USDT"))])
    track.filled("i1")
    track.not_filled(OrderFailed(at=START, intent_id="i2", reason="below its slippage floor"))
    text = "Drawdown reached 0.15; only reductions are allowed."
    track.decided([Alert(at=START, severity="critical", subject="drawdown", text=text)])
    return track


def planted_state(n_instruments: int = 4, n_bars: int = 768, seed: int = 3) -> State:
    """Instruments that share one market move; the first two are held."""
    rng = np.random.default_rng(seed)
    names = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "DOGE/USDT"][:n_instruments]
    names += [f"C{k:02d}/USDT" for k in range(n_instruments - len(names))]
    shared = rng.normal(0, 0.01, n_bars)
    state = initial_state("r1", KernelConfig(), names, Decimal(4_200))
    for k, book in enumerate(state.books):
        beta = 1 - 2.2 * k / max(3, n_instruments)
        moves = beta * shared + rng.normal(0, 0.006, n_bars)
        bar = Bar(
            instrument=book.instrument,
            closed_at=START,
            open=100.0,
            high=101.0,
            low=99.0,
            close=100.0,
            volume=1.0,
        )
        held = Position(
            quantity=Decimal(30),
            paid=Decimal(2_950),
            entered_at=START,
            best=101.0,
            exits=Levels(stop=96.5, take_profit=104.0),
        )
        position = held if k < 2 else None
        state = state.having(
            replace(book, returns=tuple(moves.tolist()), bar=bar, n_bars=n_bars, position=position)
        )
    return replace(state, closed_at=START)
