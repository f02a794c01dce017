"""What a validation works on: a market, audited, with its features and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from actors.stages import Stages
from dexml.domain import History, Target
from dexml.errors import UsageError
from dexml.experiments.identity import data_digest
from dexml.features.audit import audit
from dexml.features.panel import build_panel
from dexml.targets import labels
from dexml.universe import Universe, UniverseConfig

__all__ = ["Material", "parse_targets", "prepare", "write_predictions"]

Market = tuple[History, pd.DataFrame | None]
PREDICTION_COLUMNS = ["symbol", "closed_at", "target", "fold", "y", "p"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """A market that passed the leak audit.

    Attributes
    ----------
    truth : DataFrame or None
        True probabilities, where the market is planted.
    n_checked : int
        Features and labels that the audit checked.
    """

    history: History
    truth: pd.DataFrame | None
    panel: pd.DataFrame
    labels: pd.DataFrame
    n_checked: int

    @property
    def closed_at(self) -> pd.DatetimeIndex:
        """Close of each row of the panel."""
        return pd.DatetimeIndex(self.panel.index.get_level_values("closed_at"))

    def place(self, home: Path) -> Path:
        """Return the folder under `home` of everything that is kept about these data."""
        return home / "validation" / data_digest(self.history)[:16]


def prepare(
    market: Callable[[], Market],
    stages: Stages,
    seed: int,
    universe: UniverseConfig,
    horizon: int = 1,
) -> Material:
    """Make a market, audit it and compute its features.

    Rows of instruments that could not be traded at the time are left out and counted.

    Raises
    ------
    LeakFound
        If a feature or a label knows the future.
    """
    with stages.stage("market") as step:
        history, truth = market()
        bars = sum(len(series) for series in history.bars.values())
        step.say(f"{bars:,} bars")
    with stages.stage("leak audit") as step:
        report = audit(history, labels=labels, horizon=horizon, seed=seed)
        report.raise_if_leaking()
        step.say(f"{report.checked} checked, 0 leaks")
    with stages.stage("features") as step:
        panel = build_panel(history)
        held = Universe(bars=history.bars, config=universe).rows(panel.index)
        left_out = panel.index[~held].get_level_values("instrument").value_counts(sort=False)
        step.say(f"{held.sum():,} rows{_outside(left_out)}")
    return Material(
        history=history,
        truth=truth,
        panel=panel[held],
        labels=labels(history.bars, horizon),
        n_checked=report.checked,
    )


def _outside(left_out: pd.Series[int]) -> str:
    if left_out.empty:
        return ""
    said = ", ".join(f"{name} {n:,}" for name, n in left_out.items())
    return f", left out as no members of the universe: {said}"


def parse_targets(names: tuple[str, ...]) -> tuple[Target, ...]:
    """Return targets in their usual order, each once.

    Raises
    ------
    UsageError
        If a name is no target.

    Examples
    --------
    >>> [str(target) for target in parse_targets(("volume", "direction"))]
    ['direction', 'volume']
    """
    known = {str(target): target for target in Target}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        was = ", ".join(unknown) or "none"
        raise UsageError("--targets", f"must be among {', '.join(known)}", was, "Name one of them.")
    return tuple(target for target in Target if str(target) in names)


def write_predictions(path: Path | None, forecasts: pd.DataFrame) -> None:
    """Write every out-of-sample forecast whose outcome is known, each once.

    The file has the columns `symbol`, `closed_at`, `target`, `fold`, `y`, `p`, sorted by target,
    close and symbol; the ensemble is no target and is left out.
    """
    if path is None:
        return
    wanted = forecasts["target"].isin([str(target) for target in Target])
    rows = forecasts.loc[wanted, PREDICTION_COLUMNS].dropna(subset=["y", "p"])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    rows.reset_index(drop=True).to_parquet(partial, index=False)
    partial.replace(path)
