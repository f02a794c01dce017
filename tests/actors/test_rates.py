from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from actors.rates import RateOptions, run_rates

pytestmark = pytest.mark.slow


def test_what_was_judged_is_not_judged_again_and_the_figures_stay(tmp_path: Path) -> None:
    options = RateOptions(home=tmp_path, seeds=2, bayes_accuracy=0.65, train=800, test=600)
    said = StringIO()
    first = run_rates(options, Console(file=said, width=100))
    assert "4 markets, half of them null; 4 fits of 800 rows; estimated time" in said.getvalue()
    kept = {file: file.read_text() for file in tmp_path.rglob("*.json")}
    assert len(kept) == 4
    for file, text in kept.items():
        file.write_text(json.dumps(json.loads(text) | {"sharpe": 1.5}))
    second = run_rates(options, Console(file=StringIO()))
    assert second["rates"]["null"]["sharpe"] == 1.5
    assert second["rates"]["null"]["edge"] == first["rates"]["null"]["edge"]
    assert first["rates"]["null"]["edge"]["1"]["n"] == 2
    assert "2 null markets" in first["verdict"]


@pytest.mark.soak
def test_the_verdict_on_200_seeds_is_wrong_at_most_as_often_as_it_says(tmp_path: Path) -> None:
    result = run_rates(RateOptions(home=tmp_path, seeds=200), Console(file=StringIO()))
    wrong = result["rates"]["null"]["edge"]["1"]
    power = result["rates"]["planted"]["edge"]["1"]
    assert wrong["low"] <= 0.05, result["verdict"]
    assert power["high"] >= 0.9, result["verdict"]
