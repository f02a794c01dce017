"""What the HTTP application asks of the running system, as a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

__all__ = ["Backend", "Row"]

Row = Mapping[str, Any]


class Backend(Protocol):
    """Reads of the running system; nothing here changes it. All rows are JSON-able."""

    @property
    def instruments(self) -> tuple[str, ...]:
        """Instruments of the run, BASE/QUOTE."""
        ...

    @property
    def timeframe(self) -> str:
        """Length of a bar, as `domain.Timeframe` writes it."""
        ...

    def now(self) -> datetime:
        """Return the time that data ages against: the wall clock, or that of a simulated run."""
        ...

    def token(self, token_id: str) -> Row | None:
        """Return the stored record of a bearer token."""
        ...

    def latest(self, instrument: str) -> Row:
        """Return the latest forecast: instrument, closed_at, probability, targets, models."""
        ...

    def risk(self) -> Row:
        """Return the kernel's book: mode, equity, cash, drawdown, risk_score, positions."""
        ...

    def book(self) -> Row:
        """Return the book as `dexml.book.view.book_view`; {} where no run is followed."""
        ...

    def equity(self) -> Sequence[Row]:
        """Return the book's value at each close, oldest first."""
        ...

    def decisions(self) -> Sequence[Row]:
        """Return what was decided, oldest first."""
        ...

    def trades(self) -> Sequence[Row]:
        """Return fills, oldest first."""
        ...

    def alerts(self) -> Sequence[Row]:
        """Return alerts, oldest first."""
        ...

    def models(self) -> Sequence[Row]:
        """Return model versions with their manifests."""
        ...

    def data(self) -> Sequence[Row]:
        """Return for each instrument how far its data can be trusted, and why not."""
        ...

    def buy_and_hold(self, at: Sequence[datetime], start: float) -> Sequence[float | None]:
        """Return the worth of `start`, spent equally at the first instant, after its entry fee."""
        ...

    def health(self) -> Mapping[str, str | None]:
        """Return for each component None if it is well, else what is wrong with it."""
        ...
