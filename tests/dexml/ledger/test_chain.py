from __future__ import annotations

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dexml.errors import LedgerError
from dexml.ledger import Ledger, StepRows
from tests.dexml.ledger.examples import commit, decision


def _tamper(url: str, statement: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


def _written(ledger: Ledger) -> None:
    other = ledger.acquire_epoch("execution", "e")
    commit(ledger, other, 1, stream="execution", run="other")
    epoch = ledger.acquire_epoch("risk", "a")
    for number in range(1, 4):
        commit(ledger, epoch, number)
    ledger.verify_chain("risk")
    ledger.verify_chain("execution")


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE decisions SET cost = 0.5 WHERE run='r' AND decision_id='decision-2'", "decisions"),
        ("UPDATE events SET event = '{}' WHERE run='r' AND number=1", "events row 2 "),
        ("UPDATE equity SET equity = '9' WHERE run='r' AND seq=5", "equity row 5 "),
        ("UPDATE alerts SET epoch = 0 WHERE run='r' AND seq=6", "alerts row 6 "),
        ("DELETE FROM intents WHERE run='r' AND intent_id='intent-1'", "must follow row 3"),
        ("DELETE FROM alerts WHERE run='r' AND text='bar 3'", "must end at row 16"),
        ("UPDATE streams SET digest='x' WHERE stream='risk'", "must end at row 16"),
        ("UPDATE epochs SET holder='mallory' WHERE stream='risk'", "epochs row 1 "),
        ("DELETE FROM decisions WHERE stream='execution'", None),
    ],
)
def test_every_kind_of_tampering_is_named(
    ledger: Ledger, url: str, statement: str, named: str | None
) -> None:
    _written(ledger)
    _tamper(url, statement)
    stream = "risk" if named else "execution"
    with pytest.raises(LedgerError, match=named or "stream 'execution'"):
        ledger.verify_chain(stream)


def test_a_stream_rewritten_as_a_whole_breaks_its_anchor(ledger: Ledger, url: str) -> None:
    _written(ledger)
    for table in ("epochs", "events", "decisions", "intents", "equity", "alerts", "streams"):
        _tamper(url, f"DELETE FROM {table} WHERE stream='execution'")
    ledger.acquire_epoch("execution", "mallory")
    ledger.verify_chain("execution")
    with pytest.raises(LedgerError, match="anchored in stream 'risk'"):
        ledger.verify_chain("risk")


def test_a_changed_snapshot_is_not_handed_out(ledger: Ledger, url: str) -> None:
    _written(ledger)
    _tamper(url, "UPDATE snapshots SET state='{\"cash\":1}' WHERE run='r'")
    with pytest.raises(LedgerError, match="must be what was committed"):
        ledger.latest_snapshot("r")


def test_an_unknown_stream_is_an_error_not_a_success(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="must exist"):
        ledger.verify_chain("nobody")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.floats(allow_nan=False, allow_infinity=False),
    text=st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")),
)
def test_any_number_and_text_survive_the_database(ledger: Ledger, number: float, text: str) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    run = f"run {epoch}"
    row = {**decision(1), "cost": number, "reason": text}
    ledger.commit_event("risk", epoch, run, text, text, [text], StepRows(decisions=[row]))
    ledger.verify_chain("risk")
    (kept,) = ledger.decisions(run)
    assert (kept["cost"], kept["reason"]) == (number, text)
    assert ledger.event_commands(run, text) == [text]
