"""What a run is worth: every figure of the demo, from the ledger and the test rows."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.stats import kurtosis, skew

from actors.crew import Crew, Place
from actors.fitting import Trained
from dexml.domain import Bars, History, Target, to_datetime64
from dexml.events import Action, Decision
from dexml.execution.paper import PaperBroker
from dexml.experiments.backtest import BacktestReport, LocalHost, backtest
from dexml.experiments.replay import replay_run
from dexml.experiments.scoring import ensemble_scores, forecast_verdict, rule_for, target_scores
from dexml.experiments.training import TimeSplit
from dexml.features.panel import build_panel
from dexml.models.rules import HourOfWeekVolume, Reversal, Rule, VolatilityClosedForm
from dexml.models.suite import ENSEMBLE
from dexml.records import decode_command, decode_state, encode
from dexml.report import render_report
from dexml.state import KernelConfig
from dexml.targets import labels
from dexml.validation.significance import deflated_sharpe_ratio

__all__ = ["Evidence", "closing_words", "live", "score"]

_RULES: dict[Target, Rule] = {
    Target.DIRECTION: Reversal(),
    Target.VOLATILITY: VolatilityClosedForm(),
    Target.VOLUME: HourOfWeekVolume(),
    Target.SENTIMENT: Reversal(),
    Target.MACRO: Reversal(),
}
N_TRIALS = 1  # one configuration was fixed before the test rows were looked at


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """All that a verdict is made from."""

    crew: Crew
    trained: Trained
    split: TimeSplit
    truth: pd.DataFrame | None
    seed: int
    kernel: KernelConfig = field(default_factory=KernelConfig)


def score(evidence: Evidence) -> dict[str, Any]:
    """Judge the models on the test rows, say the verdict, and enter them as champions."""
    forecasts = evidence.trained.suite.forecast(evidence.split.test)
    known = labels(evidence.crew.history().bars)
    scores = _scores(evidence, forecasts, known)
    strategy = _strategy(_backtest(evidence, forecasts))
    edge, sentence = forecast_verdict(scores[ENSEMBLE], strategy)
    _enter(evidence, scores)
    return {
        "seed": evidence.seed,
        "targets": {name: row for name, row in scores.items() if name != ENSEMBLE},
        "ensemble": scores[ENSEMBLE],
        "strategy": strategy,
        "significance": {
            "sharpe": strategy["sharpe_ratio"],
            "deflated_sharpe_probability": strategy["deflated_sharpe_probability"],
            "pbo": None,  # needs ten configurations or more
            "n_trials": N_TRIALS,
            "effective_trials": N_TRIALS,
        },
        "verdict": sentence,
        "edge": edge,
    }


def _enter(evidence: Evidence, scores: dict[str, dict[str, Any]]) -> None:
    digests = evidence.trained.digests | {ENSEMBLE: evidence.trained.suite.digest}
    for name in (name for name in scores if name in digests):
        manifest = json.dumps({"scores": scores[name], "run": evidence.crew.place.run})
        evidence.crew.ledger.add_model(digests[name], name, manifest, "champion")


def _scores(
    evidence: Evidence, forecasts: pd.DataFrame, known: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    train, test = evidence.split.train, evidence.split.test
    scores = {}
    for target in Target:
        name = str(target)
        learned = known[name].reindex(train.index)
        said = pd.Series(_RULES[target].fit(train, learned).predict(test), index=test.index)
        row = target_scores(known[name].reindex(test.index), forecasts[name], said, learned.mean())
        rows = evidence.trained.reports.get(name, {}).get("n_rows", 0)
        scores[name] = row | {"rule": rule_for(target), "inputs_rows": rows}
        scores[name] |= _bayes(evidence.truth, name, test)
    direction = str(Target.DIRECTION)
    truth = None if evidence.truth is None else evidence.truth[direction].reindex(test.index)
    base = known[direction].reindex(train.index).mean()
    outcome = known[direction].reindex(test.index)
    scores[ENSEMBLE] = ensemble_scores(outcome, forecasts[ENSEMBLE], base, truth)
    return scores


def _bayes(truth: pd.DataFrame | None, name: str, test: pd.DataFrame) -> dict[str, float | None]:
    if truth is None:
        return {"bayes_accuracy": None}
    p = truth[name].reindex(test.index).dropna()
    return {"bayes_accuracy": float(p.where(p > 0.5, 1 - p).mean())}


def _backtest(evidence: Evidence, forecasts: pd.DataFrame) -> BacktestReport:
    history = evidence.crew.history()
    closed_at = forecasts.index.get_level_values("closed_at")
    first, last = closed_at.min(), closed_at.max()
    bars = _since(history, first)
    signals = forecasts.rename(columns={ENSEMBLE: "probability"})
    return backtest(bars, signals, evidence.kernel, until=last.to_pydatetime())


def _strategy(tested: BacktestReport) -> dict[str, Any]:
    equity = tested.equity
    returns = equity.pct_change().dropna().to_numpy(dtype=np.float64)
    probability = None
    if returns.std() > 0:
        probability = deflated_sharpe_ratio(
            float(returns.mean() / returns.std(ddof=1)),
            len(returns),
            N_TRIALS,
            0.0,
            float(skew(returns)),
            float(kurtosis(returns, fisher=False)),
        )
    held = tested.buy_and_hold.reindex(equity.index)
    return {
        **tested.metrics,
        "orders": len(tested.orders),
        "fills": len(tested.fills),
        "buy_and_hold_return": float(held.iloc[-1] / held.iloc[0] - 1),
        "deflated_sharpe_probability": probability,
    }


def live(evidence: Evidence) -> dict[str, Any]:
    """Return what was decided and earned live, and whether replay and backtest agree."""
    crew, run = evidence.crew, evidence.crew.place.run
    replayed = replay_run(crew.ledger, run)
    decided = _decisions(crew, run)
    again = _same_bars(evidence)
    declined = Counter(str(one.reason) for one in decided if one.action is Action.DECLINE)
    equity = crew.ledger.equity(run)
    held = again.buy_and_hold
    trades = crew.ledger.trades(run)
    return {
        "decisions": len(decided),
        "decisions_digest": _digest(decided),
        "declined": dict(sorted(declined.items())),
        "orders": len(again.orders),
        "fills": len(trades),
        "equity": float(equity[-1]["equity"]),
        "buy_and_hold": float(held.iloc[-1]),
        "replay": {"identical": replayed.identical, "decisions": replayed.decisions},
        "backtest_identical": again.digest == _digest(decided),
        "curve": {
            "at": [str(row["at"]) for row in equity],
            "equity": [float(row["equity"]) for row in equity],
            "buy_and_hold": held.reindex(pd.DatetimeIndex([r["at"] for r in equity])).tolist(),
        },
    }


def _decisions(crew: Crew, run: str) -> list[Decision]:
    commands = (decode_command(text) for row in crew.ledger.events(run) for text in row.commands)
    return [command for command in commands if isinstance(command, Decision)]


def _digest(decisions: list[Decision]) -> str:
    chain = hashlib.sha256()
    for decision in decisions:
        chain.update(encode(decision).encode())
    return chain.hexdigest()


def _same_bars(evidence: Evidence) -> BacktestReport:
    """Backtest the bars that were lived through, from forecasts made all at once."""
    crew, run = evidence.crew, evidence.crew.place.run
    started = crew.ledger.run(run)
    assert started is not None
    state = decode_state(started["config"]["initial_state"])
    history = crew.history()
    lived = [pd.Timestamp(row["at"]) for row in crew.ledger.equity(run)]
    panel = build_panel(history)
    closed_at = panel.index.get_level_values("closed_at")
    rows = panel[(closed_at >= lived[0]) & (closed_at <= lived[-1])]
    forecasts = evidence.trained.suite.forecast(rows).rename(columns={ENSEMBLE: "probability"})
    bars = _since(history, lived[0])
    host = LocalHost(state, PaperBroker(state.config.costs))
    return backtest(bars, forecasts, state.config, host=host, until=lived[-1].to_pydatetime())


def _since(history: History, first: pd.Timestamp) -> dict[str, Bars]:
    stamp = to_datetime64(first.to_pydatetime())
    return {
        name: series.take(slice(int(series.closed_at.searchsorted(stamp)), None))
        for name, series in history.bars.items()
    }


def closing_words(console: Console, result: dict[str, Any], place: Place) -> None:
    """Write the report and print one table of truth, one sentence, and where to look."""
    report = place.folder / "report.html"
    report.write_text(render_report(result))
    result["report"] = str(report)
    console.print()
    console.print(_truth(result, console.width))
    console.print(_rules(result), style="dim", markup=False)
    console.print()
    for line in (*_lived(result), f"[bold]{result['verdict']}[/bold]"):
        console.print(line)
    console.print()
    # an address or a path that is wrapped can be neither clicked nor copied
    for name in ("url", "ray_dashboard", "report"):
        line = f"{_PLACES[name]:<7} {result[name]}"
        console.print(line, soft_wrap=True, markup=False, highlight=False)


_PLACES = {"url": "Page", "ray_dashboard": "Ray", "report": "Report"}
_ACCURACY = ("accuracy", "bayes_accuracy", "base_rate", "rule_accuracy")
_LOG_LOSS = ("log_loss", "base_log_loss", "rule_log_loss")
_BOTH_FIT = 78  # columns that the whole table takes


def _lived(result: dict[str, Any]) -> tuple[str, str]:
    declined = ", ".join(f"{count} {reason}" for reason, count in result["declined"].items())
    same = result["replay"]["identical"] and result["backtest_identical"]
    decide = "decide the same, to the byte" if same else "DO NOT DECIDE THE SAME"
    return (
        f"Live: {result['decisions']} decisions, declined: {declined or 'none'}; "
        f"{result['orders']} orders, {result['fills']} fills; equity {result['equity']:,.2f} "
        f"after costs, buy and hold {result['buy_and_hold']:,.2f}.",
        f"Replay, and a backtest of the same bars, {decide}. "
        f"{result['seconds']:.0f} s, {result['peak_rss_mb']:,.0f} MB at most.",
    )


def _truth(result: dict[str, Any], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("out of\nsample", no_wrap=True)
    headings = ["accuracy\nreached", "\nreachable", "\nbase rate", "\nrule"]
    shown = [*_ACCURACY]
    if width >= _BOTH_FIT:
        headings += ["log-loss\nreached", "\nbase rate", "\nrule"]
        shown += _LOG_LOSS
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in (*result["targets"].items(), ("ensemble", result["ensemble"])):
        style = "bold" if name == "ensemble" else None
        table.add_row(name, *(_figure(row, figure) for figure in shown), style=style)
    return table


def _figure(row: dict[str, Any], name: str) -> str:
    if name == "accuracy" and row.get("degraded"):
        return "degraded"
    value = row.get(name)
    return "-" if value is None else f"{value:.4f}"


def _rules(result: dict[str, Any]) -> str:
    judged: dict[str, list[str]] = {}
    for name, row in result["targets"].items():
        judged.setdefault(str(row["rule"]), []).append(name)
    return "rules: " + "; ".join(f"{rule} ({', '.join(on)})" for rule, on in judged.items())
