from __future__ import annotations

import re
from typing import Any

import pytest

from dexml.book.track import Track
from dexml.book.view import book_view as view_of
from dexml.drawing import Line, Strip, strips
from dexml.errors import UsageError
from dexml.report import render_report
from tests import planted_book as book
from tests.planted_track import planted_state

OUTSIDE = re.compile(r"""(?:src|href|action)\s*=|url\(|@import|<script|https?://""", re.IGNORECASE)


def result() -> dict[str, Any]:
    rows = book.equity_rows()
    direction = {"accuracy": 0.624, "log_loss": 0.652, "base_rate": 0.507, "n": 4310}
    direction |= {"bayes_accuracy": 0.668, "rule": "reversal", "rule_accuracy": 0.541}
    direction |= {"edge_reached": 0.754}
    curve = {
        "at": [row["at"] for row in rows],
        "equity": [row["equity"] for row in rows],
        "buy_and_hold": [10_000.0 + k for k in range(len(rows))],
    }
    return {
        "run": "r1",
        "seed": 7,
        "verdict": "The ensemble reaches 0.82 of the way from the base rate to the Bayes limit.",
        "targets": {"direction": direction, "macro": {"base_rate": 0.507, "degraded": True}},
        "ensemble": {"accuracy": 0.661, "log_loss": 0.61, "bayes_accuracy": 0.7, "base_rate": 0.51},
        "decisions": 300,
        "declined": {"cost": 200, "abstain": 40},
        "orders": 12,
        "fills": 12,
        "equity": "11173.25",
        "curve": curve,
        "stages": [{"name": "train", "seconds": 61.2, "peak_rss_mb": 1830}],
        "seconds": 182.4,
        "peak_rss_mb": 2450,
        "config": {"policy": {"min_edge": 0.0005}, "instruments": ["BTC/USDT", "ETH/USDT"]},
    }


def test_the_report_is_one_file_that_asks_nothing_of_anybody() -> None:
    html = render_report(result())
    assert OUTSIDE.findall(html) == []
    assert len(html) < 60_000


def test_reached_reachable_and_base_rate_stand_side_by_side() -> None:
    html = render_report(result())
    row = html.split("<td>direction</td>")[1].split("</tr>")[0]
    assert re.findall(r">([\d.]+%)<", row) == ["50.7%", "54.1%", "62.4%", "66.8%", "75%"]
    assert "policy.min_edge" in html
    assert "61.2" in html


def test_what_is_degraded_or_unknown_is_never_a_number() -> None:
    html = render_report(result())
    row = html.split("<td>macro</td>")[1].split("</tr>")[0]
    assert "degraded" in row
    assert re.findall(r"[\d.]+%", row) == ["50.7%"]


def test_an_empty_run_is_a_report_too() -> None:
    html = render_report({"run": "r1", "targets": {}, "declined": {}})
    assert "fewer than two bars" in html
    assert "No verdict was reached." in html


def test_text_from_the_run_cannot_become_markup() -> None:
    bad = "<img src=x onerror=alert(1)>"
    html = render_report(
        result()
        | {"run": bad, "verdict": bad, "declined": {bad: 1}, "config": {bad: bad}}
        | {"targets": {bad: {"accuracy": 0.5, "rule": bad}}, "curve": {"at": [bad, bad]}}
    )
    assert "<img" not in html
    hostile = result()
    hostile["curve"]["at"][0] = "<b>{0}{x}"
    assert "<b>{0}" not in render_report(hostile)


def test_a_result_without_a_run_is_refused() -> None:
    with pytest.raises(UsageError, match="must name its run"):
        render_report({})


def test_the_edge_has_one_definition_and_is_never_made_up_from_counted_accuracies() -> None:
    html = render_report(result())
    row = html.split("<td>ensemble</td>")[1].split("</tr>")[0]
    assert re.findall(r">([\d.]+%)<", row) == ["51.0%", "66.1%", "70.0%"]
    assert "expected under the market's true probabilities" in html


def terms(html: str) -> dict[str, str]:
    found = re.findall(
        r'<th scope="row">(.+?)</th><td class="n"><b>(.+?)</b></td><td class="quiet">.{20,}', html
    )
    return dict(found)


STRATEGY = {"bars": 720, "orders": 41, "total_return": 0.1234, "buy_and_hold_return": -0.03}
SIGNIFICANCE = {"sharpe": 2.104, "deflated_sharpe_probability": 0.731, "n_trials": 3}


def test_what_the_verdict_rests_on_stands_beside_it_with_its_meaning() -> None:
    html = render_report(result() | {"strategy": STRATEGY, "significance": SIGNIFICANCE})
    assert terms(html) == {
        "bars": "720",
        "orders": "41",
        "return": "+12.34%",
        "buy and hold": "-3.00%",
        "Sharpe ratio": "2.10",
        "best possible": "\N{EN DASH}",
        "deflated probability": "0.731",
        "trials": "3",
    }


def test_a_book_that_never_moved_has_no_probability_and_no_minus_zero() -> None:
    still = STRATEGY | {"orders": 0, "total_return": -1e-9}
    unknown = SIGNIFICANCE | {"sharpe": 0.0, "deflated_sharpe_probability": None}
    shown = terms(render_report(result() | {"strategy": still, "significance": unknown}))
    assert shown["deflated probability"] == "\N{EN DASH}"
    assert shown["return"] == "+0.00%"
    assert terms(render_report(result() | {"strategy": None, "significance": unknown})) == {}


def tiles(html: str) -> dict[str, str]:
    found = re.findall(r'<div class="tile"><b>(.+?)</b><span>(.+?)</span>', html)
    return {label: figure for figure, label in found}


def test_buy_and_hold_has_paid_its_entry_fee() -> None:
    at = ["2024-01-01T00:00:00+00:00", "2024-01-01T01:00:00+00:00"]
    curve = {"at": at, "equity": [10_000.0, 9_999.9], "buy_and_hold": [9_995.0, 10_094.95]}
    html = render_report(result() | {"curve": curve})
    assert tiles(html)["live buy and hold"] == "0.95%"
    assert tiles(html)["live return after costs"] == "0.00%"
    assert "-0.00" not in html
    assert "buy and hold, after its entry fee" in html


def test_the_book_is_drawn_from_its_view_and_stays_small() -> None:
    html = render_report(result(), book.book_view())
    assert OUTSIDE.findall(html) == []
    assert len(html) < 120_000
    assert html.count('class="tail"') == html.count('class="exposed"') == 1
    assert html.count('class="band ') == 5
    assert html.count('<td class="heat') == 16
    assert tiles(html)["bars decided"] == "300 of 300"
    assert (tiles(html)["failed orders"], tiles(html)["alerts"]) == ("1", "1")
    assert "below its slippage floor" in html
    assert "concentration, value at risk: 60" in html


def test_the_stress_table_shows_the_figures_of_the_view() -> None:
    view = book.book_view()
    html = render_report({"run": "r1"}, view)
    for one in view["stress"]["rows"]:
        row = html.split(f">{one['scenario']}</td>")[1].split("</tr>")[0]
        wanted = [f"{one[name]:z.2%}" for name in ("market", "stablecoin", "leaving", "total")]
        assert re.findall(r">(-?[\d.]+%)<", row) == wanted


def test_text_from_the_journal_cannot_become_markup() -> None:
    bad = "<img src=x onerror=alert(1)>{0}{x}"
    view = book.book_view()
    view["declined"]["reasons"][0] |= {"reason": bad, "details": [{"detail": bad, "n": 1}]}
    view["orders"]["failed"][0] |= {"instrument": bad, "side": bad, "reason": bad}
    view["alerts"]["rows"][0] |= {"subject": bad, "text": bad, "severity": '"><img>'}
    view["positions"][0]["instrument"] = view["correlations"]["instruments"][0] = bad
    view["correlations"]["note"] = view["days"]["note"] = view["stress"]["rows"][0]["scenario"] = (
        bad
    )
    view["series"]["at"][0] = view["series"]["at"][-1] = bad
    view["series"]["shares"] = {bad: view["series"]["shares"]["volatility"]}
    assert "<img" not in render_report({"run": "r1"}, view)


def test_a_book_that_closed_no_bar_and_holds_one_instrument_is_a_report_too() -> None:
    html = render_report({"run": "r1"}, view_of(Track(), planted_state(1)))
    assert "The run closed fewer than two bars" in html
    assert "The parts of the score were not recorded" in html
    assert "Two instruments with 20 returns are needed: 1 of 1" in html
    assert tiles(html)["bars decided"] == "0 of 0"


def test_a_stretch_without_values_is_not_drawn_over() -> None:
    line = Line(name="tail", values=[0.1, 0.2, None, 0.3, None, 0.1, 0.1])
    assert strips(["a"] * 7, [Strip(title="t", lines=[line])]).count('class="tail"') == 3


@pytest.mark.parametrize(("highest", "drawn"), [(0.01, False), (0.02, True), (0.2, True)])
def test_a_limit_is_drawn_once_something_comes_near_it(highest: float, drawn: bool) -> None:
    strip = Strip(title="t", lines=[Line(name="tail", values=[0.0, highest])], limit=0.05)
    assert ('class="limit"' in strips(["a", "b"], [strip])) == drawn
