from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from dexml.book.track import Track
from dexml.book.view import MAX_POINTS, book_view
from dexml.domain import Mode
from dexml.events import Alert, OrderFailed, Reason, Trade
from dexml.risk.score import parts_shown
from tests.planted_track import (
    HOUR,
    START,
    declined,
    intent,
    mark,
    planted_state,
    planted_track,
)


def told(*commands: Any) -> Track:
    track = Track()
    track.decided(commands)
    return track


def test_a_book_of_no_closes_says_so_and_makes_nothing_up() -> None:
    view = book_view(Track(), planted_state(2))
    assert view["closes"] == {"decided": 0, "asked": 0}
    assert all(values == [] for name, values in view["series"].items() if name != "shares")
    assert view["series"]["shares"] == {}
    assert (view["days"]["n"], view["days"]["share_beyond"]) == (0, None)
    assert (view["orders"]["n"], view["alerts"]["n"], view["declined"]["n"]) == (0, 0, 0)


def test_each_close_of_a_short_run_stands_as_it_was_journalled() -> None:
    marks = [
        mark(START + k * HOUR, 100.0 - k, cash=40.0 + k, drawdown=k / 100, value_at_risk=0.01 * k)
        for k in range(26)
    ]
    series = book_view(told(*marks), planted_state(1))["series"]
    assert series["at"][0] == "2024-03-01T00:00"
    assert len(series["at"]) == 26
    exposure = [1 - (40 + k) / (100 - k) for k in range(26)]
    assert series["exposure"] == pytest.approx(exposure, rel=1e-3)
    assert series["drawdown"] == pytest.approx([k / 100 for k in range(26)])
    assert series["value_at_risk"] == pytest.approx([0.01 * k for k in range(26)])
    assert series["next_day_loss"][:2] == pytest.approx([0.24, 24 / 99], rel=1e-3)
    assert series["next_day_loss"][2:] == [None] * 24


def test_the_shares_are_those_of_the_parts_that_were_measured() -> None:
    measured = {"volatility": 0.15, "value_at_risk": 0.04, "drawdown": 0.1}
    state = planted_state(1)
    track = told(mark(START, 100.0, measured=tuple(measured.items()), risk_score=0.5))
    view = book_view(track, state)
    limits = {name: view["limits"][name] for name in measured}
    _, parts = parts_shown(measured, limits)
    shares = {name: values[0] for name, values in view["series"]["shares"].items()}
    assert shares == pytest.approx({one.name: one.share for one in parts}, rel=1e-3)
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-3)


def test_a_run_that_was_recorded_without_parts_has_none() -> None:
    marks = [mark(START + k * HOUR, 100.0, measured=()) for k in range(3)]
    assert book_view(told(*marks), planted_state(1))["series"]["shares"] == {}


def test_thinning_hides_no_day_beyond_its_var_and_no_drawdown() -> None:
    worth = np.full(5_000, 100.0)
    worth[1_233] = 90.0  # one close alone: the day before it lost a tenth
    marks = [
        mark(
            START + k * HOUR,
            worth[k],
            cash=10.0,
            value_at_risk=0.02,
            drawdown=0.1 if k == 1_233 else 0.0,
        )
        for k in range(5_000)
    ]
    series = book_view(told(*marks), planted_state(1))["series"]
    assert len(series["at"]) == MAX_POINTS
    assert max(series["drawdown"]) == 0.1
    pairs = zip(series["next_day_loss"], series["value_at_risk"], strict=True)
    beyond = [loss for loss, tail in pairs if loss is not None and loss > tail]
    assert beyond == pytest.approx([0.1])


def test_an_unknown_tail_is_not_a_tail_of_everything() -> None:
    series = book_view(told(mark(START, 100.0, value_at_risk=1.0)), planted_state(1))["series"]
    assert series["value_at_risk"] == [None]


def test_bars_that_were_not_decided_are_counted() -> None:
    hours = [0, 1, 2, 5, 9]
    view = book_view(told(*(mark(START + k * HOUR, 100.0) for k in hours)), planted_state(1))
    assert view["closes"] == {"decided": 5, "asked": 10}


def test_declined_decisions_are_counted_by_reason_and_detail() -> None:
    why = [(Reason.RISK, "drawdown")] * 3 + [(Reason.RISK, "")] + [(Reason.COST, "too small")] * 2
    declined_view = book_view(
        told(*(declined(START + k * HOUR, "A/B", *one) for k, one in enumerate(why))),
        planted_state(1),
    )["declined"]
    assert declined_view == {
        "n": 6,
        "of": 6,
        "reasons": [
            {"reason": "risk", "n": 4, "details": [{"detail": "drawdown", "n": 3}]},
            {"reason": "cost", "n": 2, "details": [{"detail": "too small", "n": 2}]},
        ],
    }


def test_many_details_are_summed_up_and_none_is_lost() -> None:
    rows = [declined(START, "A/B", Reason.LIMIT, f"limit {k:02d}") for k in range(50)]
    (reason,) = book_view(told(*rows), planted_state(1))["declined"]["reasons"]
    assert sum(one["n"] for one in reason["details"]) == reason["n"] == 50
    assert reason["details"][-1] == {"detail": "others", "n": 44}


def test_failed_orders_and_alerts_are_named_newest_first() -> None:
    track = told(
        Trade(intent=intent("a")),
        Trade(intent=intent("b", "ETH/USDT")),
        Alert(at=START, severity="info", subject="s", text="first"),
        Alert(at=START, severity="critical", subject="s", text="second"),
    )
    track.filled("a")
    track.not_filled(OrderFailed(at=START, intent_id="b", reason="no price"))
    view = book_view(track, planted_state(1))
    assert view["orders"] | {"failed": []} == {"n": 2, "filled": 1, "n_failed": 1, "failed": []}
    (failed,) = view["orders"]["failed"]
    assert failed == {
        "at": START.isoformat(),
        "instrument": "ETH/USDT",
        "side": "buy",
        "reason": "no price",
    }
    assert [row["text"] for row in view["alerts"]["rows"]] == ["second", "first"]
    assert view["alerts"]["severities"] == {"info": 1, "critical": 1}


def test_the_book_as_it_stands_has_its_exposure_and_its_stops() -> None:
    view = book_view(planted_track(5), planted_state(4))
    assert view["now"]["exposure"] == pytest.approx(6_000 / 10_200, abs=1e-4)
    assert [row["instrument"] for row in view["positions"]] == ["BTC/USDT", "DOGE/USDT"]
    assert (view["positions"][0]["stop"], view["n_positions"]) == (96.5, 2)


def test_a_book_whose_money_is_gone_is_still_shown() -> None:
    state = replace(planted_state(2), cash=Decimal(-6_001))
    track = told(mark(START, 0.0, cash=0.0, mode=Mode.HALTED))
    view = book_view(track, state)
    assert view["now"]["exposure"] is None
    assert view["stress"]["rows"] == []
    assert "must be positive" in view["stress"]["note"]
    assert view["series"]["exposure"] == [None]


def test_the_view_of_a_long_run_of_many_instruments_is_small_and_strict_json() -> None:
    state = planted_state(100)
    held = state.books[0].position
    for book in state.books:
        state = state.having(replace(book, position=held))
    track = planted_track(10_000)
    for k in range(40):
        text = "x" * 400
        track.decided([Alert(at=START, severity="info", subject=f"s{k}", text=text)])
        track.not_filled(OrderFailed(at=START, intent_id=f"n{k}", reason="slipped"))
    text = json.dumps(book_view(track, state), allow_nan=False)
    assert len(text) < 60_000
    assert json.loads(text)["closes"] == {"decided": 10_000, "asked": 10_000}


def test_the_figures_of_a_planted_run_are_those_of_a_count_by_hand() -> None:
    track = planted_track(300)
    view = book_view(track, planted_state(2))
    reasons = Counter(["abstain", "cost", "risk", "risk", "data"][k % 5] for k in range(300))
    assert {row["reason"]: row["n"] for row in view["declined"]["reasons"]} == reasons
    worth = track.column("equity")
    assert view["now"]["largest_drawdown"] == pytest.approx(
        float((1 - worth / np.maximum.accumulate(worth)).max()), rel=1e-3
    )
