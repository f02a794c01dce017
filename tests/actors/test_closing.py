from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from actors import closing
from actors.crew import Place
from dexml.ledger import Ledger
from dexml.records import encode
from dexml.state import KernelConfig
from dexml.system import initial_state
from tests.recorded_run import RUN, record_run

URL = "http://127.0.0.1:8000/#token=dxm_" + "0123456789abcdef" * 5


def _row(rule: str) -> dict[str, Any]:
    figures = ("accuracy", "bayes_accuracy", "base_rate", "rule_accuracy")
    losses = ("log_loss", "base_log_loss", "rule_log_loss")
    return dict.fromkeys(figures, 0.5412) | dict.fromkeys(losses, 0.6812) | {"rule": rule}


def _result() -> dict[str, Any]:
    names = {"direction": "reversal", "volatility": "closed form", "volume": "hour of week"}
    silent = dict.fromkeys(("accuracy", "bayes_accuracy", "log_loss")) | {"degraded": True}
    targets = {name: _row(rule) for name, rule in names.items()}
    return {
        "targets": targets | {"macro": _row("reversal") | silent},
        "ensemble": {k: v for k, v in _row("").items() if not k.startswith("rule")},
        "strategy": {"orders": 41, "total_return": 0.12, "buy_and_hold_return": -0.03},
        "significance": {
            "sharpe": 2.1,
            "deflated_sharpe_probability": 0.731,
            "n_trials": 3,
        },
        "declined": {"abstain": 10, "cost": 200},
        "held": 87,
        "replay": {"identical": True},
        "backtest_identical": True,
        "run": RUN,
        "cycles": {"asked": 50, "decided": 50},
        "decisions": 300,
        "orders": 3,
        "alerts": 0,
        "fills": 3,
        "equity": 10_023.3,
        "buy_and_hold": 9_988.1,
        "seconds": 112.0,
        "peak_rss_mb": 3_201.0,
        "verdict": "No evidence of an edge: the forecasts do not beat the base rate (t = 0.3).",
        "url": URL,
        "ray_dashboard": "http://127.0.0.1:8265",
    }


def _lines(width: int, tmp_path: Path, *, keep: bool = True) -> list[str]:
    place = Place(home=tmp_path, run=RUN)
    place.folder.mkdir(parents=True)
    state = initial_state(RUN, KernelConfig(), ("BTC/USDT",), Decimal(10_000))
    with Ledger.open(place.database_url) as ledger:
        ledger.start_run(RUN, datetime(2024, 1, 1, tzinfo=UTC), {"initial_state": encode(state)}, 0)
    file = io.StringIO()
    closing.closing_words(Console(file=file, width=width), _result(), place, keep=keep)
    return file.getvalue().splitlines()


def _addresses(line: str) -> bool:
    return line.startswith(("Page", "Ray", "Report"))


@pytest.mark.parametrize("width", [60, 80, 132])
def test_the_table_takes_one_line_for_each_target_and_no_address_is_wrapped(
    width: int, tmp_path: Path
) -> None:
    lines = _lines(width, tmp_path)
    assert max(len(line) for line in lines if not _addresses(line)) <= width
    starts = [line.split()[0] for line in lines if line.strip()]
    assert starts[:7] == ["out", "sample", "direction", "volatility", "volume", "macro", "ensemble"]
    assert f"Page    {URL}" in lines


def test_eighty_columns_show_both_scores_and_sixty_the_accuracy(tmp_path: Path) -> None:
    wide = _lines(80, tmp_path / "a")
    narrow = _lines(60, tmp_path / "b")
    row = next(line for line in wide if line.startswith("macro"))
    assert row.split() == ["macro", "degraded", "-", "0.5412", "0.5412", "-", "0.6812", "0.6812"]
    assert any("log-loss" in line for line in wide)
    assert not any("log-loss" in line for line in narrow[:3])


def test_an_address_that_is_gone_by_now_says_so(tmp_path: Path) -> None:
    kept = _lines(80, tmp_path / "a")
    gone = _lines(80, tmp_path / "b", keep=False)
    assert not any("--keep" in line for line in kept)
    assert "--keep" in gone[-1]


def test_buy_and_hold_and_memory_say_what_they_are(tmp_path: Path) -> None:
    said = " ".join(" ".join(_lines(80, tmp_path)).split())
    assert "(buy and hold after its entry fee -3.0%)" in said
    assert "buy and hold after its entry fee 9,988.10." in said
    assert "3,201 MB at most, shared pages counted once." in said


def test_a_return_that_rounds_to_nothing_is_not_minus_nothing() -> None:
    result = _result()
    result["strategy"]["total_return"] = -1e-6
    assert "+0.0% after costs" in closing._tested(result)


def test_the_report_holds_the_book_as_the_ledger_has_it(tmp_path: Path) -> None:
    place = Place(home=tmp_path, run=record_run(tmp_path, n_bars=40))
    place.folder.mkdir(parents=True)
    console = Console(file=io.StringIO())
    closing.closing_words(
        console, _result() | {"cycles": {"asked": 44, "decided": 40}}, place, keep=True
    )
    html = (place.folder / "report.html").read_text()
    assert "<b>40 of 44</b><span>bars decided" in html
    assert "<h2>Book over time" in html
    assert "2020-03 covid crash" in html


def test_every_decision_is_told_by_what_became_of_it(tmp_path: Path) -> None:
    said = " ".join(_lines(200, tmp_path))
    assert "300 decisions, 87 to hold, declined: 10 abstain, 200 cost; 3 orders" in said


def test_a_planted_market_says_what_the_true_probabilities_earn() -> None:
    result = _result()
    assert "true probabilities" not in closing._tested(result)
    result["strategy"] |= {"bayes_sharpe_ratio": 31.4, "bayes_total_return": 0.42}
    assert "of this planted market earn +42.0%, Sharpe 31.40" in closing._tested(result)
