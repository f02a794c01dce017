"""What a run's journal says of its book: a row of numbers for each close, counts of the rest."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from math import nan
from typing import NamedTuple

import numpy as np

from dexml.domain import Intent
from dexml.events import Action, Alert, Command, Decision, EquityMarked, OrderFailed, Trade
from dexml.risk.recurrence import Floats
from dexml.risk.score import RiskParts

__all__ = ["PARTS", "Failure", "Track"]

PARTS = tuple(field.name for field in fields(RiskParts))
_COLUMNS = ("at", "equity", "exposure", "drawdown", "value_at_risk", "risk_score")
_NEWEST = 20


class Failure(NamedTuple):
    """An order that did not happen."""

    at: datetime
    instrument: str
    side: str
    reason: str


class Track:
    """The book's way so far; about a hundred bytes for each close, whatever was decided there.

    Attributes
    ----------
    declined : Counter of (reason, detail)
        Decisions not to enter.
    failed, alerts : deque
        The newest twenty; `n_failed` and `severities` count all.

    Examples
    --------
    >>> Track().n_closes
    0
    """

    def __init__(self) -> None:
        self._columns = {name: array("d") for name in _COLUMNS}
        self._measured = {name: array("d") for name in PARTS}
        self._open: dict[str, Intent] = {}
        self.declined: Counter[tuple[str, str]] = Counter()
        self.severities: Counter[str] = Counter()
        self.failed: deque[Failure] = deque(maxlen=_NEWEST)
        self.alerts: deque[Alert] = deque(maxlen=_NEWEST)
        self.n_decisions = self.n_orders = self.n_filled = self.n_failed = 0

    @property
    def n_closes(self) -> int:
        return len(self._columns["at"])

    def column(self, name: str) -> Floats:
        """Return one number for each close, oldest first.

        Parameters
        ----------
        name : str
            `at` (seconds of the epoch), `equity` (quote currency), `exposure` (share of equity that
            is not cash; NaN without equity), `drawdown`, `value_at_risk` or `risk_score`.
        """
        return np.array(self._columns[name])

    def measured(self, part: str) -> Floats:
        """Return what a part of the score was made from at each close; NaN if not recorded."""
        return np.array(self._measured[part])

    def decided(self, commands: Iterable[Command]) -> None:
        """Hear what an event led to."""
        for command in commands:
            match command:
                case EquityMarked():
                    self._mark(command)
                case Decision():
                    self.n_decisions += 1
                    if command.action is Action.DECLINE:
                        self.declined[str(command.reason), command.detail] += 1
                case Trade():
                    self.n_orders += 1
                    self._open[command.intent.intent_id] = command.intent
                case Alert():
                    self.severities[command.severity] += 1
                    self.alerts.append(command)

    def filled(self, intent_id: str) -> None:
        """Hear that an order was filled."""
        self.n_filled += 1
        self._open.pop(intent_id, None)

    def not_filled(self, event: OrderFailed) -> None:
        """Hear that an order certainly did not happen."""
        self.n_failed += 1
        intent = self._open.pop(event.intent_id, None)
        what = (intent.instrument, str(intent.side)) if intent else ("not of this run", "")
        self.failed.append(Failure(event.at, *what, event.reason))

    def _mark(self, mark: EquityMarked) -> None:
        equity, cash = Decimal(mark.equity), Decimal(mark.cash)
        row = {
            "at": mark.at.timestamp(),
            "equity": float(equity),
            "exposure": float(1 - cash / equity) if equity > 0 else nan,
            "drawdown": mark.drawdown,
            "value_at_risk": mark.value_at_risk,
            "risk_score": mark.risk_score,
        }
        for name, column in self._columns.items():
            column.append(row[name])
        measured = dict(mark.measured)
        for name, column in self._measured.items():
            column.append(measured.get(name, nan))
