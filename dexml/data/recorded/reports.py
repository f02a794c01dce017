"""What is said of a recorded file: its rows are stored, there already, refused or set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dexml.data.quality import gaps
from dexml.data.recorded.bar_tables import LeftOut, ParsedBars, reasons
from dexml.data.recorded.deposits import Deposit
from dexml.data.recorded.imports import FileReport

__all__ = ["bar_report", "report_on", "settled"]


def bar_report(
    file: Path, n_rows: int, venue: str, parsed: ParsedBars, deposit: Deposit
) -> FileReport:
    """Report on a file of bars, whose last bars wait to be `settled`."""
    n_missing = sum(gap.n_missing for bars in parsed.bars.values() for gap in gaps(bars))
    notes = (*parsed.notes, *([f"{n_missing} bars missing"] if n_missing else []))
    return report_on(file, n_rows, f"{venue} {parsed.understood_as}", parsed.faults, deposit, notes)


def report_on(
    file: Path,
    n_rows: int,
    understood_as: str,
    faults: list[LeftOut],
    deposit: Deposit,
    notes: tuple[str, ...] = (),
) -> FileReport:
    """Report on a file of `n_rows` rows, of which `faults` were left out before the deposit."""
    left_out = [*faults, *deposit.faults]
    return FileReport(
        file=str(file),
        understood_as=understood_as,
        read=n_rows,
        rows=deposit.n_kept,
        stored=deposit.n_new,
        known=deposit.n_kept - deposit.n_new,
        refused=len(left_out),
        aside=len(deposit.aside),
        reason=_joined(reasons(left_out), _told(deposit.aside), *notes),
    )


def settled(report: FileReport, deposit: Deposit) -> FileReport:
    """Return the report with what became of a last bar."""
    return replace(
        report,
        rows=report.rows + deposit.n_kept,
        stored=report.stored + deposit.n_new,
        known=report.known + deposit.n_kept - deposit.n_new,
        refused=report.refused + len(deposit.faults),
        aside=report.aside + len(deposit.aside),
        reason=_joined(
            report.reason, *(fault.reason for fault in deposit.faults), _told(deposit.aside)
        ),
    )


def _told(aside: Sequence[LeftOut]) -> str:
    return f"{len(aside)} set aside in quarantine ({reasons([*aside])})" if aside else ""


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
