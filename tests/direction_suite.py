"""A suite of one member for tests of the loop: `direction`, fitted, signed, in a registry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from dexml.domain import Target
from dexml.models.fits import FitRequest, run_fit, write_rows
from dexml.models.local_signer import LocalSigner
from dexml.models.registry import Registry
from dexml.models.suite import Suite, fit_ensemble, member_oof
from dexml.models.tabular import FitSpec, TabularForecaster

__all__ = ["publish_direction"]


def publish_direction(
    home: Path, panel: pd.DataFrame, columns: Sequence[str], labels: pd.DataFrame, at: datetime
) -> str:
    """Fit `direction` on a panel, publish and sign it alone; return the digest of the suite."""
    name = str(Target.DIRECTION)
    label = labels[name].reindex(panel.index)
    home.mkdir(parents=True, exist_ok=True)
    rows = write_rows(panel[list(columns)], label, home / "rows.parquet")
    spec = FitSpec(target=name, columns=tuple(columns), n_folds=3)
    run_fit(FitRequest(rows=str(rows), spec=spec), home / "fitted")
    ensemble, _ = fit_ensemble(member_oof({name: home / "fitted"}), label, spec)
    suite = Suite(members={name: TabularForecaster.load(home / "fitted")}, ensemble=ensemble)
    registry = Registry.of(home)
    digest = suite.publish(registry)
    registry.sign(digest, LocalSigner(home), at)
    return digest
