from __future__ import annotations

import re
from typing import Any

import pytest

from dexml.errors import UsageError
from dexml.report import render_report, share_of_the_way
from tests import planted_book as book

OUTSIDE = re.compile(r"""(?:src|href|action)\s*=|url\(|@import|<script|https?://""", re.IGNORECASE)


def result() -> dict[str, Any]:
    rows = book.equity_rows()
    direction = {"accuracy": 0.624, "log_loss": 0.652, "base_rate": 0.507, "n": 4310}
    direction |= {"bayes_accuracy": 0.668, "rule": "reversal", "rule_accuracy": 0.541}
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
    assert re.findall(r">([\d.]+%)<", row) == ["50.7%", "54.1%", "62.4%", "66.8%", "73%"]
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


@pytest.mark.parametrize(
    ("base", "reached", "limit", "share"),
    [(0.5, 0.7, 0.7, 1.0), (0.5, 0.5, 0.7, 0.0), (0.5, 0.45, 0.7, -0.25), (0.5, 0.5, 0.5, None)],
)
def test_the_share_of_the_way_is_linear_and_may_be_negative(
    base: float, reached: float, limit: float, share: float | None
) -> None:
    assert share_of_the_way(base, reached, limit) == pytest.approx(share)
