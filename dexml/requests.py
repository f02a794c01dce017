"""What a person asks of a run: written to the ledger, so it counts with everything else dead."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from dexml.domain import Mode
from dexml.errors import LedgerError
from dexml.events import ModeRequested, Request
from dexml.experiments.replay import began, replay_run
from dexml.ledger import Ledger
from dexml.records import encode

__all__ = ["record_request", "require_sound"]


def record_request(ledger: Ledger, run: str, request: Request) -> Mode:
    """Write down what is asked and return the mode that it leads to.

    HALTED counts at once: no order is sent any more, whether or not the run has heard of it. To be
    ACTIVE again, or to sell out of HALTED, the ledger must be sound.

    Raises
    ------
    UsageError
        If the ledger has no such run.
    LedgerError
        As `require_sound`.
    """
    began(ledger, run)
    wanted = request.mode if isinstance(request, ModeRequested) else Mode.REDUCING
    before = ledger.newest_request(run)
    halted = before is not None and before["wanted"] == Mode.HALTED
    if wanted is Mode.ACTIVE or (halted and wanted is not Mode.HALTED):
        require_sound(ledger, run)
    ledger.add_request(run, request.id, encode(request), wanted, request.at, request.by)
    return wanted


def require_sound(ledger: Ledger, run: str) -> None:
    """Refuse a ledger with a changed row, a run that repeats otherwise, or a book unlike its fills.

    Raises
    ------
    UsageError
        If the ledger has no such run.
    LedgerError
        Naming what does not fit.
    """
    report = replay_run(ledger, run)
    fix = "Stay halted, and compare dexml replay with the ledger's fills."
    if not report.identical:
        raise LedgerError(f"run {run!r}", "must repeat itself", report.first_difference, fix)
    filled = _filled(ledger, run)
    for book in report.state.books:
        if filled[book.instrument] != book.quantity:
            raise LedgerError(
                f"position in {book.instrument}",
                f"must be {filled[book.instrument]}, the sum of its fills",
                book.quantity,
                fix,
            )


def _filled(ledger: Ledger, run: str) -> dict[str, Decimal]:
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for fill in ledger.trades(run):
        sign = 1 if fill["side"] == "buy" else -1
        filled[fill["instrument"]] += sign * Decimal(fill["base"])
    return filled
