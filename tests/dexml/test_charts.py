from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from dexml.charts import fan_chart, fold_timeline, logit_bars
from dexml.report import render_report
from dexml.validation.montecarlo import simulate_returns


def _fan() -> dict[str, object]:
    fan = simulate_returns(np.random.default_rng(0).normal(0, 0.01, 300), 200).fan
    return {"bars": list(fan.bars), "levels": list(fan.levels), "equity": fan.equity.tolist()}


WINDOW = {
    "train_from": "2024-01-01T00:00:00+00:00",
    "train_to": "2024-02-01T00:00:00+00:00",
    "test_from": "2024-02-03T00:00:00+00:00",
    "test_to": "2024-03-01T00:00:00+00:00",
}


def test_a_fan_has_two_bands_and_a_middle_inside_the_frame() -> None:
    root = ElementTree.fromstring(fan_chart(_fan(), "bars <b>"))
    assert [one.get("class") for one in root.findall("path")] == ["area", "area", "equity"]
    ys = [float(point.split()[1]) for one in root.findall("path") for point in _points(one)]
    assert min(ys) >= 0
    assert max(ys) <= 190
    assert root.findall("text")[-1].text == "300 bars <b>"


def _points(path: ElementTree.Element) -> list[str]:
    return (path.get("d") or "").strip("MZ").split("L")


def test_winners_below_the_median_are_coloured_as_losses() -> None:
    root = ElementTree.fromstring(logit_bars([-1.0, 0.0, 1.0], [3, 6]))
    bars = [(one.get("class"), float(one.get("height") or 0)) for one in root.findall("rect")]
    assert bars == [("loss", 60.0), ("gain", 120.0)]


def test_each_fold_has_a_line_with_what_it_learnt_from_and_was_judged_on() -> None:
    spans = {"train": [[WINDOW["train_from"], WINDOW["train_to"]]], "test": []}
    spans["test"] = [[WINDOW["test_from"], WINDOW["test_to"]]]
    root = ElementTree.fromstring(fold_timeline([WINDOW, spans]))
    drawn = [(one.get("class"), one.get("x"), one.get("y")) for one in root.findall("rect")]
    assert [row[:2] for row in drawn[:2]] == [row[:2] for row in drawn[2:]]
    assert [row[2] for row in drawn] == ["2", "2", "14", "14"]
    assert [one.text for one in root.findall("text")] == ["2024-01-01", "2024-03-01"]


def test_the_report_of_a_validation_shows_fan_folds_paths_and_why_there_is_no_pbo() -> None:
    figure = {"estimate": 0.1, "low": -0.1, "median": 0.05, "high": 0.2}
    drawn = {"fan": _fan(), "total_return": figure, "max_drawdown": figure}
    path = {"accuracy": 0.5, "sharpe_ratio": 1.25, "total_return": 0.1, "max_drawdown": 0.2}
    html = render_report(
        {
            "run": "validate cpcv",
            "monte_carlo": {
                "returns": drawn | {"n_simulations": 200, "loss_probability": 0.3},
                "trades": {"skipped": "needs 20, was 3"},
            },
            "folds": [WINDOW],
            "paths": [path],
            "significance": {"pbo": None, "pbo_reason": "needs 10 configurations, was 1"},
        }
    )
    for said in ("Fan of simulations", "needs 20, was 3", "Folds", "1.25", "was 1."):
        assert said in html
    assert "http" not in html.split("<body>")[1]
