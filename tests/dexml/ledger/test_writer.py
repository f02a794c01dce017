from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dexml.errors import LedgerError, StaleEpoch
from dexml.ledger import Ledger, StepRows
from tests.dexml.ledger.examples import AT, commit, decision, fill, step_rows


def test_an_event_heard_twice_is_written_once(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    assert commit(ledger, epoch, 1)
    assert not commit(ledger, epoch, 1)
    assert len(ledger.decisions("r")) == len(ledger.outbox("r")) == len(ledger.equity("r")) == 1
    assert ledger.event_commands("r", "bar:1") == ["{}", "[1]"]
    assert ledger.event_commands("r", "bar:2") is None


def test_events_come_back_in_order_and_after_a_place(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    for number in range(1, 6):
        commit(ledger, epoch, number)
    assert [row.event_id for row in ledger.events("r", after_seq=2)] == ["bar:3", "bar:4", "bar:5"]
    assert [row.seq for row in ledger.events("r")] == [1, 2, 3, 4, 5]
    assert next(ledger.events("r")).event == '{"number": 1}'


def test_an_older_owner_is_refused_and_writes_nothing(ledger: Ledger) -> None:
    old = ledger.acquire_epoch("risk", "first")
    new = ledger.acquire_epoch("risk", "second")
    assert (old, new) == (1, 2)
    with pytest.raises(StaleEpoch, match="held by 'second'"):
        commit(ledger, old, 1)
    assert list(ledger.events("r")) == []
    assert commit(ledger, new, 1)


def test_a_stream_without_an_owner_takes_no_rows(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="must have an owner"):
        commit(ledger, 1, 1)


def test_one_bad_row_undoes_the_whole_event(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    bad = replace(step_rows(1), alerts=[{"at": AT, "severity": "info", "subject": "x"}])
    with pytest.raises(LedgerError, match=r"alerts\.text must be text"):
        ledger.commit_event("risk", epoch, "r", "bar:1", "{}", [], bad)
    assert list(ledger.events("r")) == []
    assert ledger.decisions("r") == []
    ledger.verify_chain("risk")


def test_the_same_decision_cannot_be_made_by_two_events(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    commit(ledger, epoch, 1)
    with pytest.raises(LedgerError, match="must be new"):
        ledger.commit_event("risk", epoch, "r", "bar:2", "{}", [], step_rows(1))
    assert len(list(ledger.events("r"))) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", None])
def test_numbers_that_are_none_are_refused(ledger: Ledger, value: object) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    rows = StepRows(decisions=[{**decision(1), "cost": value}])
    with pytest.raises(LedgerError, match=r"decisions\.cost must be a finite number"):
        ledger.commit_event("risk", epoch, "r", "bar:1", "{}", [], rows)


def test_an_unknown_key_is_refused_rather_than_lost(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    rows = StepRows(decisions=[{**decision(1), "mood": "good"}])
    with pytest.raises(LedgerError, match="was mood"):
        ledger.commit_event("risk", epoch, "r", "bar:1", "{}", [], rows)


def test_a_fill_takes_its_intent_from_the_outbox_once(ledger: Ledger) -> None:
    risk, execution = ledger.acquire_epoch("risk", "a"), ledger.acquire_epoch("execution", "b")
    commit(ledger, risk, 1)
    event = {"kind": "filled", "fill": fill(1)}
    assert ledger.commit_fill("execution", execution, "r", "intent-1", event, "fill")
    assert not ledger.commit_fill("execution", execution, "r", "intent-1", event, "fill")
    assert ledger.outbox("r") == []
    (trade,) = ledger.trades("r")
    assert (trade["price"], trade["reason"]) == ("50000", "enter")
    assert trade["filled_at"] == "2024-01-01T01:00:12+00:00"


def test_outcomes_are_unheard_until_their_event_is_committed(ledger: Ledger) -> None:
    risk, execution = ledger.acquire_epoch("risk", "a"), ledger.acquire_epoch("execution", "b")
    commit(ledger, risk, 1)
    commit(ledger, risk, 2)
    ledger.commit_fill("execution", execution, "r", "intent-1", fill(1), "fill")
    failure = {"reason": "floor"}
    ledger.commit_fill("execution", execution, "r", "intent-2", failure, "failed")
    assert [row.intent_id for row in ledger.fills("r")] == ["intent-1"]
    assert ledger.fills("r", after=1) == []
    first, second = ledger.unheard_outcomes("r")
    assert (first.event_id, second.outcome) == ("filled:intent-1", failure)
    ledger.commit_event("risk", risk, "r", first.event_id, "{}", [], StepRows())
    assert ledger.unheard_outcomes("r") == [second]


def test_nobody_can_fill_what_was_never_intended(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("execution", "b")
    with pytest.raises(LedgerError, match="must be in the outbox"):
        ledger.commit_fill("execution", epoch, "r", "intent-9", fill(9), "fill")


def test_a_fill_of_another_intent_is_refused(ledger: Ledger) -> None:
    risk, execution = ledger.acquire_epoch("risk", "a"), ledger.acquire_epoch("execution", "b")
    commit(ledger, risk, 1)
    with pytest.raises(LedgerError, match="must hold its own"):
        ledger.commit_fill("execution", execution, "r", "intent-1", fill(2), "fill")
    assert len(ledger.outbox("r")) == 1


def test_forecasts_are_kept_once_and_matched_with_their_outcomes(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("forecast", "a")
    key = {"instrument": "BTC/USDT", "closed_at": AT, "target": "direction"}
    row = {**key, "probability": 0.6, "model": "m"}
    assert ledger.add_forecasts("forecast", epoch, "r", [row, row]) == 1
    assert ledger.add_forecasts("forecast", epoch, "r", [{**row, "probability": 0.1}]) == 0
    assert ledger.forecasts("r", datetime(2024, 1, 1, 1, tzinfo=UTC)) == [row]
    assert ledger.add_outcomes("forecast", epoch, "r", [{**key, "label": True}]) == 1
    assert ledger.outcomes("r") == [{**row, "label": 1.0}]


def test_only_the_newest_three_snapshots_are_kept(ledger: Ledger, url: str) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    for number in range(1, 6):
        ledger.commit_event(
            "risk", epoch, "r", f"e{number}", "{}", [], StepRows(), f"state {number}"
        )
    assert ledger.latest_snapshot("r") == (5, "state 5")
    assert ledger.latest_snapshot("other") is None
    with ledger._database.reading() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM snapshots").scalar()
    assert count == 3


def test_a_run_keeps_its_configuration(ledger: Ledger) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    assert ledger.latest_run() is None
    assert ledger.start_run("a", at, {"x": 1.5}, 7)
    assert not ledger.start_run("a", at, {"x": 1.5}, 7)
    assert ledger.start_run("b", at, {}, 8)
    with pytest.raises(LedgerError, match="must keep its configuration"):
        ledger.start_run("a", at, {"x": 2}, 7)
    assert ledger.latest_run() == {"run": "b", "at": at.isoformat(), "config": {}, "seed": 8}
    assert (ledger.run("a") or {})["config"] == {"x": 1.5}


def test_a_model_changes_its_status_and_nothing_else(ledger: Ledger) -> None:
    ledger.add_model("d1", "direction", "{}", "challenger")
    ledger.add_model("d1", "direction", "{}", "champion")
    expected = {"digest": "d1", "target": "direction", "manifest": "{}", "status": "champion"}
    assert ledger.models() == [expected]


def test_a_model_that_a_second_run_judges_keeps_what_the_first_one_said(ledger: Ledger) -> None:
    ledger.add_model("d1", "direction", '{"run": "a"}', "challenger")
    ledger.add_model("d1", "direction", '{"run": "b"}', "champion")
    ledger.add_model("d1", "direction", "{}", "retired")
    (newest,) = ledger.models()
    assert (newest["manifest"], newest["status"]) == ('{"run": "b"}', "retired")
    for run in ("a", "b"):
        (mine,) = ledger.models(run)
        assert (mine["manifest"], mine["status"]) == (f'{{"run": "{run}"}}', "retired")
    assert ledger.models("c") == []


def test_a_token_is_found_until_it_is_revoked(ledger: Ledger) -> None:
    ledger.add_token("t1", "ab" * 32, ["read", "trade"], datetime(2025, 1, 1, tzinfo=UTC))
    token = ledger.token("t1") or {}
    assert token["scopes"] == ["read", "trade"]
    assert not token["revoked"]
    assert ledger.revoke_token("t1")
    assert not ledger.revoke_token("t2")
    assert (ledger.token("t1") or {})["revoked"]
    assert ledger.token("t2") is None
