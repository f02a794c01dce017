"""The models of all targets and the ensemble above them, as one version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from dexml.domain import Target
from dexml.ensemble import ENSEMBLE, Stacker
from dexml.models.base import Forecaster
from dexml.models.registry import Registry
from dexml.models.tabular import TabularForecaster

__all__ = ["Suite"]


class Suite:
    """Forecasts of every target and of the ensemble.

    Attributes
    ----------
    digest : str
        Of the published version.
    members : dict of target to Forecaster
        A target without inputs has none and is degraded.
    """

    def __init__(self, digest: str, members: Mapping[Target, Forecaster], stacker: Stacker) -> None:
        self.digest = digest
        self.members = dict(members)
        self.stacker = stacker

    @classmethod
    def publish(cls, registry: Registry, members: Mapping[Target, str], stacker: Stacker) -> str:
        """Publish a version made of published models (their digests) and a stacker."""
        described = {
            "members": {str(target): digest for target, digest in sorted(members.items())},
            "stacker": stacker.to_dict(),
        }
        with TemporaryDirectory(prefix="dexml-suite-") as scratch:
            Path(scratch, "suite.json").write_text(json.dumps(described, sort_keys=True, indent=1))
            return registry.publish(Path(scratch), {"kind": "suite"})

    @classmethod
    def load(cls, registry: Registry, digest: str) -> Suite:
        """Load a version; it and each of its models is verified first."""
        folder, _ = registry.open(digest)
        described = json.loads((folder / "suite.json").read_text())
        members = {
            Target(target): TabularForecaster.load(registry.open(member)[0])
            for target, member in described["members"].items()
        }
        return cls(digest, members, Stacker.from_dict(described["stacker"]))

    def forecast(self, panel: pd.DataFrame) -> pd.DataFrame:
        """Forecast every target for each row.

        Returns
        -------
        DataFrame of shape (n_rows, n_targets + 1)
            Columns: the targets and `ensemble`; NaN throughout for a degraded target.
        """
        table = pd.DataFrame(index=panel.index)
        for target in Target:
            member = self.members.get(target)
            table[str(target)] = np.nan if member is None else member.predict(panel)
        table[ENSEMBLE] = self.stacker.predict(table)
        return table
