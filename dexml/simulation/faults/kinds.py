"""What goes wrong: every fault by name, and where in the work of an owner it strikes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

__all__ = ["DATA", "FEED", "STRIKES", "Act", "Fault", "Strike"]

Point = Literal[
    "call", "begin", "read", "before_commit", "after_commit", "before_send", "after_send", "answer"
]
Act = Literal[
    "die", "fail", "lock", "silence", "lose", "delay", "repeat", "usurp", "halt", "leak",
    "outlast", "die_driver",
]  # fmt: skip


class Fault(StrEnum):
    """Every kind of fault that the simulation injects; the value is what is printed."""

    # owners die at the points of their journals
    RISK_DIES_BEFORE_HEARING = "risk dies before it hears"
    RISK_DIES_BEFORE_INTENT = "risk dies before the commit of a decision"
    RISK_DIES_AFTER_INTENT = "risk dies after the commit of a decision"
    RISK_DIES_BEFORE_FILL = "risk dies before the commit of an outcome"
    RISK_DIES_AFTER_FILL = "risk dies after the commit of an outcome"
    RISK_DIES_BEFORE_ANSWER = "risk dies before it answers"
    EXECUTION_DIES_BEFORE_WORK = "execution dies before it reads the outbox"
    EXECUTION_DIES_BEFORE_SEND = "execution dies before it sends"
    EXECUTION_DIES_AFTER_SEND = "execution dies after it sent, before the answer"
    EXECUTION_DIES_BEFORE_LEDGER = "execution dies after the answer, before the ledger"
    EXECUTION_DIES_AFTER_LEDGER = "execution dies after the ledger"
    EXECUTION_DIES_BEFORE_ANSWER = "execution dies before it answers"
    SUPERVISOR_DIES = "supervisor dies"
    # the database
    RISK_COMMIT_FAILS = "database fails before a commit of risk"
    RISK_COMMIT_UNKNOWN = "database fails after a commit of risk"
    EXECUTION_COMMIT_FAILS = "database fails before a commit of execution"
    EXECUTION_COMMIT_UNKNOWN = "database fails after a commit of execution"
    EPOCH_COMMIT_FAILS = "database fails before the commit of an epoch"
    EPOCH_COMMIT_UNKNOWN = "database fails after the commit of an epoch"
    DATABASE_LOCKED = "database locked"
    DISK_FULL = "disk full"
    ROW_CHANGED = "row of the ledger changed by hand"
    SNAPSHOT_CHANGED = "snapshot changed by hand"
    # messages
    RISK_CALL_LOST = "call of risk lost"
    RISK_ANSWER_LOST = "answer of risk lost"
    RISK_CALL_TWICE = "call of risk delivered twice"
    RISK_CALL_LATE = "call of risk delivered late"
    EXECUTION_CALL_LOST = "call of execution lost"
    EXECUTION_ANSWER_LOST = "answer of execution lost"
    EXECUTION_CALL_TWICE = "call of execution delivered twice"
    EXECUTION_CALL_LATE = "call of execution delivered late"
    # two holders at once
    RISK_USURPED = "second holder of the book while the first decides"
    EXECUTION_USURPED = "second holder of the account while the first works"
    # the venue
    ORDER_REJECTED = "order rejected"
    ORDER_PARTIAL = "order filled in part"
    ORDER_PLACED_UNKNOWN = "order of unknown fate, placed"
    ORDER_LOST_UNKNOWN = "order of unknown fate, not placed"
    MARKET_MOVED = "market moved beyond the floor"
    # persons
    HALT = "person halts"
    HALT_IN_CYCLE = "person halts between decision and order"
    RESUME = "person resumes"
    CLOSE = "person closes"
    # clocks
    CLOCK_AHEAD = "wall clock ahead: a close is asked for that is to come"
    CLOCK_BEHIND = "wall clock back: an old close is asked for again"
    CLOCK_SKEWED = "clock differs from the reference beyond the limit"
    PATIENCE_PASSES = "monotonic clock jumps beyond the patience"
    CYCLE_REPEATED = "cycle run twice"
    CYCLE_SKIPPED = "cycle missed"
    # parts that the loop can do without
    FEED_SILENT = "feed does not answer"
    FEED_FAILS = "feed fails with a secret in its words"
    FORECAST_SILENT = "forecast does not answer"
    FORECAST_FAILS = "forecast fails with a secret in its words"
    # rows
    ROW_NAN = "row with NaN"
    ROW_INFINITE = "row with infinity"
    ROW_ZERO = "row with price 0"
    ROW_NEGATIVE = "row with negative price"
    ROW_CROSSED = "row with high below low"
    ROW_TEXT = "row with text for a number"
    ROW_SHORT = "row without volume"
    ROW_THOUSANDFOLD = "row with price x1000"
    ROW_SECONDS = "row stamped in seconds"
    ROW_FUTURE = "row from the future"
    ROW_FROZEN = "frozen feed"
    ROW_REPEATED = "row twice"
    ROWS_DISORDERED = "rows out of order"
    ROW_LATE = "row late"
    ROW_REVISED = "row revised later"
    ROW_MISSING = "row missing"
    # markets
    CRASH = "fall of 30% within a bar"
    FLAT_DAY = "flat day"
    DELISTED = "instrument delisted"


FEED = "feed:venue"
DATA = tuple(
    fault
    for fault in Fault
    if fault.name.startswith(("ROW_", "ROWS_")) and fault is not Fault.ROW_CHANGED
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """Where and how a fault of the machinery strikes.

    Attributes
    ----------
    owner : str
        Who must be at work.
    point : str
        Where in its work.
    act : str
        What happens there.
    hears : "market", "outcome" or ""
        What kind of event it must be hearing; "": any.
    """

    owner: str
    point: Point
    act: Act
    hears: Literal["market", "outcome", ""] = ""


def _strikes() -> dict[Fault, Strike]:
    def strike(
        owner: str, point: Point, act: Act, hears: Literal["market", "outcome", ""] = ""
    ) -> Strike:
        return Strike(owner=owner, point=point, act=act, hears=hears)

    risk, execution, driver = "risk", "execution", "supervisor"
    return {
        Fault.RISK_DIES_BEFORE_HEARING: strike(risk, "call", "die"),
        Fault.RISK_DIES_BEFORE_INTENT: strike(risk, "before_commit", "die", "market"),
        Fault.RISK_DIES_AFTER_INTENT: strike(risk, "after_commit", "die", "market"),
        Fault.RISK_DIES_BEFORE_FILL: strike(risk, "before_commit", "die", "outcome"),
        Fault.RISK_DIES_AFTER_FILL: strike(risk, "after_commit", "die", "outcome"),
        Fault.RISK_DIES_BEFORE_ANSWER: strike(risk, "answer", "die"),
        Fault.EXECUTION_DIES_BEFORE_WORK: strike(execution, "call", "die"),
        Fault.EXECUTION_DIES_BEFORE_SEND: strike(execution, "before_send", "die"),
        Fault.EXECUTION_DIES_AFTER_SEND: strike(execution, "after_send", "die"),
        Fault.EXECUTION_DIES_BEFORE_LEDGER: strike(execution, "before_commit", "die"),
        Fault.EXECUTION_DIES_AFTER_LEDGER: strike(execution, "after_commit", "die"),
        Fault.EXECUTION_DIES_BEFORE_ANSWER: strike(execution, "answer", "die"),
        Fault.RISK_COMMIT_FAILS: strike(risk, "before_commit", "fail"),
        Fault.RISK_COMMIT_UNKNOWN: strike(risk, "after_commit", "fail"),
        Fault.EXECUTION_COMMIT_FAILS: strike(execution, "before_commit", "fail"),
        Fault.EXECUTION_COMMIT_UNKNOWN: strike(execution, "after_commit", "fail"),
        Fault.EPOCH_COMMIT_FAILS: strike(driver, "before_commit", "fail"),
        Fault.EPOCH_COMMIT_UNKNOWN: strike(driver, "after_commit", "fail"),
        Fault.DATABASE_LOCKED: strike("", "begin", "lock"),
        Fault.RISK_CALL_LOST: strike(risk, "call", "lose"),
        Fault.RISK_ANSWER_LOST: strike(risk, "answer", "lose"),
        Fault.RISK_CALL_TWICE: strike(risk, "answer", "repeat"),
        Fault.RISK_CALL_LATE: strike(risk, "call", "delay"),
        Fault.EXECUTION_CALL_LOST: strike(execution, "call", "lose"),
        Fault.EXECUTION_ANSWER_LOST: strike(execution, "answer", "lose"),
        Fault.EXECUTION_CALL_TWICE: strike(execution, "answer", "repeat"),
        Fault.EXECUTION_CALL_LATE: strike(execution, "call", "delay"),
        Fault.RISK_USURPED: strike(risk, "read", "usurp"),
        Fault.EXECUTION_USURPED: strike(execution, "read", "usurp"),
        Fault.SUPERVISOR_DIES: strike("", "call", "die_driver"),
        Fault.PATIENCE_PASSES: strike("", "call", "outlast"),
        Fault.HALT_IN_CYCLE: strike(execution, "call", "halt"),
        Fault.FEED_SILENT: strike(FEED, "call", "lose"),
        Fault.FEED_FAILS: strike(FEED, "call", "leak"),
        Fault.FORECAST_SILENT: strike("forecast", "call", "lose"),
        Fault.FORECAST_FAILS: strike("forecast", "call", "leak"),
        Fault.ORDER_PLACED_UNKNOWN: strike(execution, "after_send", "silence"),
        Fault.ORDER_LOST_UNKNOWN: strike(execution, "before_send", "silence"),
    }


STRIKES = _strikes()
