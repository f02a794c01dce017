"""What a notebook calls: `dexml.fit`, `dexml.backtest`, `dexml.load`; no Ray, no services."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from dexml.clock import SystemClock
from dexml.domain import History, Target
from dexml.errors import ModelError, UsageError
from dexml.experiments.evidence import Judged, judge_forecasts
from dexml.experiments.folds import FoldSpec, forecast_fold
from dexml.experiments.given_bars import Given, bars_of
from dexml.experiments.identity import code_digest, configuration_digest, data_digest
from dexml.experiments.leaderboards import COLUMNS
from dexml.experiments.member_fits import fit_members
from dexml.experiments.notebooks import Model, Tested
from dexml.experiments.specifications import specifications
from dexml.experiments.suite_training import assemble, publish
from dexml.experiments.training import split_in_time
from dexml.features.audit import audit
from dexml.features.panel import build_panel
from dexml.ledger import Ledger
from dexml.models.local_signer import LocalSigner
from dexml.models.recipe import Recipe
from dexml.models.registry import Registry
from dexml.models.stages import SUITE
from dexml.models.suite import ENSEMBLE, Suite
from dexml.promotions import resolve
from dexml.state import KernelConfig
from dexml.targets import TARGETS, labels

__all__ = ["Model", "Tested", "backtest", "fit", "load"]

HOME = Path(".dexml")


def fit(
    bars: Given,
    *,
    targets: Sequence[str] | None = None,
    profile: str = "fast",
    seed: int = 0,
    horizon: int = 1,
    home: str | Path | None = None,
    workers: int | None = None,
) -> Model:
    """Fit models of all targets, and the ensemble of those that speak of direction.

    Parameters
    ----------
    bars : mapping of instrument to DataFrame or Bars, or a folder or file of recorded bars
        A DataFrame has the columns open, high, low, close and volume, and as index when each bar
        **closed**, UTC. One instrument is enough; several are learnt together.
    targets : sequence of str, optional
        Names in `dexml.targets.TARGETS`, yours among them; by default all that have inputs.
    profile : str
        "fast", "standard" or "best".
    seed : int
        Same bars, profile and seed, same model, to the byte.
    horizon : int
        Bars ahead.
    home : path, optional
        Publish the model in the registry of this home, signed, as a challenger. By default it is
        kept in a temporary folder and gone with the object.
    workers : int, optional
        Fits at a time, each in a process of its own; by default one a CPU.

    Returns
    -------
    Model
        `.leaderboard()`, `.predict(bars)`, `.backtest(bars)`; `.failed` names fits that failed.

    Raises
    ------
    DataError
        If the bars cannot be used.
    LeakFound
        If a feature or a label knows the future; nothing is fitted then.
    ModelError
        If no member that speaks of direction could be fitted.
    UsageError
        If there is no such target.
    """
    history, recipe = _history(bars), Recipe(profile=profile, horizon=horizon)
    _audit(history, horizon, seed)
    panel, known = build_panel(history), labels(history.bars, horizon)
    specs = specifications(tuple(panel.columns), seed, _targets(targets), recipe)
    scratch = tempfile.TemporaryDirectory(prefix="dexml-fit-")
    outcomes = fit_members(
        panel, known, specs, Path(scratch.name, "models"), workers=workers or _cpus()
    )
    trained = assemble(outcomes, panel, known, recipe)
    if trained.suite is None:
        reasons = "; ".join(f"{name}: {why}" for name, why in trained.failed.items())
        fix = "Fit direction, with enough bars."
        raise ModelError("ensemble", "must have a member", reasons or "none asked for", fix)
    suite = trained.suite
    if home is not None:
        place = Path(home).absolute()
        registry = Registry.of(place)
        digests = publish(trained, registry, LocalSigner(place), SystemClock().now())
        suite = Suite.load(registry, digests[SUITE])
    manifests = [one.manifest for one in outcomes.values() if one.manifest]
    return Model(
        suite=suite,
        board=trained.board,
        trained_to=max(pd.Timestamp(one["data"]["to"]) for one in manifests),
        failed=trained.failed,
        horizon=horizon,
        about={"profile": profile, "seed": seed, "rows": len(panel)},
        scratch=scratch,
    )


def backtest(
    bars: Given,
    *,
    targets: Sequence[str] = ("direction",),
    profile: str = "fast",
    seed: int = 0,
    home: str | Path = HOME,
    kernel: KernelConfig | None = None,
) -> Tested:
    """Fit on the older bars, trade the newer with all costs, and say if it was luck.

    Parameters
    ----------
    bars : as for `fit`
        The newest 28% are judged; what is judged was never learnt from.
    targets, profile, seed
        As for `fit`; `targets` among the five that every suite has.
    home : path
        Every configuration that is ever tried on the same bars is counted here: the Sharpe ratio is
        deflated by their number.
    kernel : KernelConfig, optional
        Costs, policy, sizing and limits; see `dexml.config.Settings.kernel`.

    Raises
    ------
    DataError, UsageError
        If the bars cannot be used, or are too few.
    LeakFound
        If a feature or a label knows the future; nothing is fitted then.
    """
    history = _history(bars)
    _audit(history, 1, seed)
    panel, known = build_panel(history), labels(history.bars)
    split = split_in_time(panel)
    wanted = tuple(Target(name) for name in _targets(targets) if name in set(map(str, Target)))
    spec = FoldSpec(targets=wanted, seed=seed, recipe=Recipe(profile=profile))
    with tempfile.TemporaryDirectory(prefix="dexml-backtest-") as scratch:
        folder = Path(scratch, "models")
        forecasts = forecast_fold(split.train, split.test, known, spec, folder, past=panel)
    first = split.test.index.get_level_values("closed_at").min()
    named = {"code": code_digest(), "spec": asdict(spec), "first_test": first.isoformat()}
    judged = Judged(
        forecasts=forecasts.assign(fold=0),
        bars=history.bars,
        truth=None,
        trials=_trials(history, Path(home)),
        configuration=configuration_digest(named),
        kernel=kernel or KernelConfig(),
    )
    return Tested(result=judge_forecasts(judged), forecasts=forecasts)


def load(name: str, *, home: str | Path = HOME) -> Model:
    """Open a model of a home: by digest or its first digits, by run, or the champion.

    Parameters
    ----------
    name : str
        "champion", the digest of a suite or its first six digits, or the name of a run, which
        means the suite that it fitted and served.
    home : path
        See `dexml models list --home`.

    Raises
    ------
    UsageError
        If nothing is called so.
    ModelRefused
        If it is unsigned, was changed, or is not of this Python, these libraries and features.
    """
    place = Path(home).absolute()
    registry = Registry.of(place)
    digest = _digest(name, registry, place)
    suite = Suite.load(registry, digest)
    manifest, _ = registry.describe(digest)
    rows = [
        {"target": target, "model": "forecaster", "baseline": one["base_rate_log_loss"], **one}
        for target, one in manifest["scores"].items()
    ]
    board = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    board["gain"] = board["baseline"] - board["log_loss"]
    specs = _specs(registry, manifest)
    return Model(
        suite=suite,
        board=board,
        trained_to=pd.Timestamp(manifest["data"]["to"]),
        failed=manifest.get("failed", {}),
        horizon=max((one.get("horizon", 1) for one in specs), default=1),
        about={"profile": ", ".join(sorted({one["profile"] for one in specs}))},
    )


# Members stand beside the suite that was made from them, unless somebody removed them.
def _specs(registry: Registry, manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    there = set(registry.versions()) & set(manifest.get("members", {}).values())
    manifests = [registry.describe(one)[0] for one in sorted(there)]
    return [one["spec"] for one in manifests if "spec" in one]


def _digest(name: str, registry: Registry, home: Path) -> str:
    if name == "champion":
        champion = registry.stages.read().champion(SUITE)
        if champion is None:
            fix = "Run dexml train --promote, or name a digest."
            raise UsageError("champion", "must have been promoted", "none yet", fix)
        return champion
    ledger = home / "ledger.sqlite"
    if ledger.is_file():
        rows = Ledger.open(f"sqlite:///{ledger}").models(name)
        served = [row["digest"] for row in rows if row["target"] == ENSEMBLE]
        if served:
            return str(served[-1])
    return resolve(registry, name)


def _history(bars: Given) -> History:
    return History(bars=bars_of(bars))


def _audit(history: History, horizon: int, seed: int) -> None:
    audit(history, labels=labels, horizon=horizon, seed=seed).raise_if_leaking()


def _targets(names: Sequence[str] | None) -> tuple[str, ...]:
    wanted = tuple(TARGETS) if names is None else tuple(names)
    unknown = [name for name in wanted if name not in TARGETS]
    if unknown:
        rule = f"must be among {', '.join(TARGETS)}"
        fix = "Register yours with @dexml.targets.target."
        raise UsageError("targets", rule, ", ".join(unknown), fix)
    return wanted


def _trials(history: History, home: Path) -> Path:
    return home.absolute() / "validation" / data_digest(history)[:16] / "trials"


def _cpus() -> int:
    return max(1, len(os.sched_getaffinity(0)))
