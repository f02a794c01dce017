from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.dashboard.views import finite, hold_curve, model_row, portfolio, thinned
from dexml.domain import Bars, Timeframe

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def bars(name: str, closes: list[float]) -> Bars:
    close = np.array(closes)
    stamps = np.datetime64("2024-01-01T00", "ns") + np.arange(len(closes)) * np.timedelta64(1, "h")
    return Bars(
        instrument=name,
        timeframe=Timeframe.H1,
        closed_at=stamps,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.ones(len(closes)),
    )


def test_buy_and_hold_of_two_halves_is_the_mean_of_their_growths() -> None:
    basket = {"A/B": bars("A/B", [10, 20, 30]), "C/B": bars("C/B", [4, 4, 2])}
    at = [START, START + 90 * HOUR / 60, START + 2 * HOUR]
    assert hold_curve(basket, at, 100.0, fee_bps=0) == pytest.approx([100.0, 150.0, 175.0])


def test_buy_and_hold_pays_the_fee_of_its_entry_and_its_return_is_of_the_cash_before() -> None:
    basket = {"A/B": bars("A/B", [10, 20])}
    worth = hold_curve(basket, [START, START + HOUR], 100.0, fee_bps=30)
    assert worth == pytest.approx([99.7, 199.4])
    rows = [
        {"at": "2024-01-01T00:00Z", "equity": "100"},
        {"at": "2024-01-01T01:00Z", "equity": "90"},
    ]
    body = portfolio({}, rows, worth, ("A/B",))
    assert body["buy_and_hold_return"] == pytest.approx(0.994)
    assert body["return"] == pytest.approx(-0.10)


def test_buy_and_hold_is_unknown_when_an_instrument_has_no_price_at_the_start() -> None:
    basket = {"A/B": bars("A/B", [10, 20])}
    assert hold_curve(basket, [START - HOUR, START], 100.0, 5) == [None, None]
    assert hold_curve({}, [START], 100.0, 5) == [None]


@given(st.integers(0, 5_000), st.integers(2, 600))
def test_thinning_keeps_order_both_ends_and_the_limit(n_rows: int, at_most: int) -> None:
    rows = thinned(n_rows, at_most)
    assert rows == sorted(set(rows))
    assert len(rows) == min(n_rows, at_most)
    if n_rows:
        assert (rows[0], rows[-1]) == (0, n_rows - 1)


numbers = st.floats() | st.integers() | st.none() | st.booleans() | st.text(max_size=5)
trees = st.recursive(numbers, lambda x: st.lists(x) | st.dictionaries(st.text(max_size=3), x))


def kept(value: object, out: object) -> bool:
    """Say whether only what is not finite was lost, and became None."""
    if isinstance(value, float) and not math.isfinite(value):
        return out is None
    if isinstance(value, list) and isinstance(out, list):
        return len(value) == len(out) and all(map(kept, value, out))
    if isinstance(value, dict) and isinstance(out, dict):
        return list(value) == list(out) and all(kept(value[key], out[key]) for key in value)
    return type(value) is type(out) and value == out


@given(trees)
def test_whatever_goes_out_is_strict_json(value: object) -> None:
    out = finite(value)
    assert json.loads(json.dumps(out, allow_nan=False)) == out
    assert kept(value, out)


def test_a_model_without_scores_is_degraded_and_invents_nothing() -> None:
    row = model_row({"target": "macro", "manifest": "{}"})
    assert row["degraded"] is True
    assert row["reached"] == row["reachable"] == {"accuracy": None, "log_loss": None}
