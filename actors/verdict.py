"""What a demo proves: models judged on unseen rows, live decisions decided again."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from actors.crew import Crew
from actors.fitting import Trained
from dexml.clock import SystemClock
from dexml.domain import Bars, History, Target, to_datetime64
from dexml.errors import EnvironmentRefused
from dexml.events import Action, Command, Decision, HealthChanged, Trade
from dexml.execution.paper import PaperBroker
from dexml.experiments.backtest import BacktestReport, LocalHost, backtest
from dexml.experiments.evidence import Judged, judge_forecasts
from dexml.experiments.folds import with_outcomes
from dexml.experiments.identity import code_digest, configuration_digest, data_digest
from dexml.experiments.replay import replay_run
from dexml.experiments.specifications import specifications
from dexml.experiments.training import TimeSplit
from dexml.features.panel import build_panel
from dexml.models.recipe import Recipe
from dexml.models.stages import SUITE
from dexml.models.suite import ENSEMBLE
from dexml.promotions import promote
from dexml.records import decode_command, decode_event, decode_state, encode
from dexml.state import KernelConfig
from dexml.targets import labels

__all__ = ["Evidence", "live", "score"]

_SPOKEN = [*(str(target) for target in Target), ENSEMBLE]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """All that a verdict is made from."""

    crew: Crew
    trained: Trained
    split: TimeSplit
    truth: pd.DataFrame | None
    seed: int
    kernel: KernelConfig = field(default_factory=KernelConfig)
    recipe: Recipe = field(default_factory=Recipe)


def score(evidence: Evidence) -> dict[str, Any]:
    """Judge the models on the test rows, say the verdict, and enter them as champions."""
    history, split = evidence.crew.history(), evidence.split
    suite = evidence.trained.suite
    past = build_panel(history) if suite.lookback > 1 else None
    forecasts = suite.forecast(split.test, past)[_SPOKEN]
    judged = Judged(
        forecasts=with_outcomes(forecasts, split.train, split.test, labels(history.bars)),
        bars=history.bars,
        truth=evidence.truth,
        trials=evidence.crew.place.home / "validation" / data_digest(history)[:16] / "trials",
        configuration=_configuration(evidence),
        kernel=evidence.kernel,
    )
    result = judge_forecasts(judged)
    for name, row in result["targets"].items():
        row["inputs_rows"] = evidence.trained.reports.get(name, {}).get("n_rows", 0)
    _enter(evidence, result["targets"] | {ENSEMBLE: result["ensemble"]})
    return result | {"seed": evidence.seed}


def _configuration(evidence: Evidence) -> str:
    specs = specifications(
        tuple(evidence.split.train.columns), evidence.seed, recipe=evidence.recipe
    )
    first = evidence.split.test.index.get_level_values("closed_at").min()
    fitted = {name: asdict(spec) for name, spec in specs.items()}
    return configuration_digest(
        {"code": code_digest(), "fits": fitted, "first_test": first.isoformat()}
    )


def _enter(evidence: Evidence, scores: dict[str, dict[str, Any]]) -> None:
    suite = evidence.trained.suite.digest
    digests = evidence.trained.digests | {ENSEMBLE: suite}
    for name, row in scores.items():
        manifest = json.dumps({"scores": row, "run": evidence.crew.place.run})
        status = "champion" if name in digests else "degraded"
        evidence.crew.ledger.add_model(digests.get(name, suite), name, manifest, status)
    registry, run = evidence.crew.place.registry, evidence.crew.place.run
    if registry.stages.read().champion(SUITE) != suite:
        promote(
            registry,
            suite,
            at=SystemClock().now(),
            by=getpass.getuser(),
            why=f"fitted and served by {run}",
            ledger=evidence.crew.ledger,
        )


def live(evidence: Evidence) -> dict[str, Any]:
    """Return what was decided and earned live, and whether replay and backtest agree.

    Raises
    ------
    EnvironmentRefused
        If no bar could be decided on.
    """
    crew, run = evidence.crew, evidence.crew.place.run
    alerts, equity = crew.ledger.alerts(run), crew.ledger.equity(run)
    if not equity:
        said = alerts[-1]["text"] if alerts else "none"
        raise EnvironmentRefused("the loop", "must decide on a bar", said, "See dexml status.")
    replayed = replay_run(crew.ledger, run)
    commands = _commands(crew, run)
    decided = [one for one in commands if isinstance(one, Decision)]
    again = _same_bars(evidence)
    declined = Counter(str(one.reason) for one in decided if one.action is Action.DECLINE)
    held = again.buy_and_hold
    trades = crew.ledger.trades(run)
    return {
        "decisions": len(decided),
        "decisions_digest": _digest(decided),
        "declined": dict(sorted(declined.items())),
        "held": sum(one.action is Action.HOLD for one in decided),
        "orders": sum(isinstance(one, Trade) for one in commands),
        "fills": len(trades),
        "alerts": len(alerts),
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


def _commands(crew: Crew, run: str) -> list[Command]:
    return [decode_command(text) for row in crew.ledger.events(run) for text in row.commands]


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
    forecasts = evidence.trained.suite.forecast(rows, panel).rename(
        columns={ENSEMBLE: "probability"}
    )
    bars = _since(history, lived[0])
    heard = (decode_event(row.event) for row in crew.ledger.events(run))
    health = [event for event in heard if isinstance(event, HealthChanged)]
    host = LocalHost(state, PaperBroker(state.config.costs), health=health)
    return backtest(bars, forecasts, state.config, host=host, until=lived[-1].to_pydatetime())


def _since(history: History, first: pd.Timestamp) -> dict[str, Bars]:
    stamp = to_datetime64(first.to_pydatetime())
    return {
        name: series.take(slice(int(series.closed_at.searchsorted(stamp)), None))
        for name, series in history.bars.items()
    }
