"""The five targets and their ensemble as one version that forecasts a panel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Signal
from dexml.ensemble import Ensemble, choose
from dexml.errors import ModelError
from dexml.models.base import Forecaster, lookback_of, predict_among
from dexml.models.loading import Filed, load_forecaster
from dexml.models.registry import Registry
from dexml.models.stages import SUITE
from dexml.models.tabular import FitSpec, read_oof
from dexml.models.verification import MANIFEST, SEAL
from dexml.validation.splits import bar_step, block_splits

__all__ = [
    "CONTEXT",
    "ENSEMBLE",
    "Suite",
    "fit_ensemble",
    "member_oof",
    "signal_of",
    "with_context",
]

Floats = NDArray[np.float64]

ENSEMBLE = "ensemble"
CONTEXT = ("volatility_regime", "volatility_ratio_6_24", "return_24", "return_dispersion_1")
"""Panel columns that say in what kind of market a forecast was made."""
FILE = "suite.json"
_LOGIT_MEMBERS = ("direction", "sentiment", "macro")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Forecasters by target, and the ensemble that makes their forecasts one signal.

    Attributes
    ----------
    members : mapping of target to Forecaster or None
        None: degraded, the target's inputs do not exist.
    ensemble : Ensemble
        Over the members that speak of direction.
    digest : str
        Version in the registry; "" before it is published.
    """

    members: Mapping[str, Forecaster | None]
    ensemble: Ensemble
    digest: str = ""

    def forecast(self, panel: pd.DataFrame, past: pd.DataFrame | None = None) -> pd.DataFrame:
        """Forecast every row.

        Parameters
        ----------
        panel : DataFrame
            Rows to forecast.
        past : DataFrame, optional
            Rows of the same panel among which those are and, for members that look back, the
            `lookback` - 1 closes before them. Without it they have the rows of `panel` only.

        Returns
        -------
        DataFrame of float64, shape (n_rows, n_targets + 1)
            Index of `panel`; a column for each target and "ensemble". NaN where a member is
            degraded or failed; the ensemble goes on with the others and is NaN without any.
        """
        members = sorted(self.members.items())
        said = {name: _forecast(member, panel, past) for name, member in members}
        frame = pd.DataFrame(said, index=panel.index)
        return frame.assign(**{ENSEMBLE: self.ensemble.predict(with_context(frame, panel))})

    @property
    def lookback(self) -> int:
        """Return how many closes the members need to forecast one."""
        return max((lookback_of(one) for one in self.members.values() if one), default=1)

    @property
    def degraded(self) -> tuple[str, ...]:
        """Return the targets without a forecaster."""
        return tuple(sorted(name for name, one in self.members.items() if one is None))

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the panel columns that the members and the ensemble are fed, sorted."""
        fed = (member.columns for member in self.members.values() if member is not None)
        return tuple(sorted(set(self.ensemble.columns).union(*fed)))

    def publish(self, registry: Registry, manifest: Mapping[str, Any] | None = None) -> str:
        """Add the suite to a registry, unsigned, and return the digest of the version."""
        with TemporaryDirectory(prefix="dexml-suite-") as scratch:
            folder = self.save(Path(scratch, "suite"))
            return registry.publish(
                folder, {**(manifest or {}), "kind": SUITE}, columns=self.columns
            )

    def save(self, folder: Path) -> Path:
        """Write the suite and a copy of each member's files to a new folder."""
        folder.mkdir(parents=True)
        for name, member in self.members.items():
            if isinstance(member, Filed):
                shutil.copytree(member.folder, folder / name, ignore=_no_manifest)
            elif member is not None:
                kind = type(member).__name__
                raise ModelError(f"member {name}", "must be saved in files", kind, "Fit it first.")
        values = {
            "members": {name: one is not None for name, one in self.members.items()},
            "ensemble": self.ensemble.to_dict(),
        }
        (folder / FILE).write_text(json.dumps(values, sort_keys=True, indent=1, allow_nan=False))
        return folder

    @classmethod
    def load(cls, registry: Registry, digest: str, *, compatible: bool = True) -> Suite:
        """Open a published version; who signed it and every byte are verified first.

        Parameters
        ----------
        compatible : bool
            See `Registry.open`.

        Raises
        ------
        ModelError
            If the version is unknown or is no suite.
        ModelRefused
            If it is unsigned, was changed, or is not of this place.
        """
        folder, _ = registry.open(digest, compatible=compatible)
        if not (folder / FILE).is_file():
            raise ModelError(f"model {digest[:12]}", "must be a suite", "another kind", "Publish.")
        values = json.loads((folder / FILE).read_text())
        members = {
            name: load_forecaster(folder / name) if present else None
            for name, present in values["members"].items()
        }
        return cls(members=members, ensemble=Ensemble.from_dict(values["ensemble"]), digest=digest)


def member_oof(folders: Mapping[str, Path | None]) -> pd.DataFrame:
    """Return the out-of-fold forecasts of fitted targets side by side.

    Parameters
    ----------
    folders : mapping of target to fitted folder or None
        None: degraded, no column.

    Returns
    -------
    DataFrame, shape (n_rows, n_members)
        Index (closed_at, instrument), sorted; NaN where a target has no forecast.
    """
    said = {name: read_oof(folder)["forecaster"] for name, folder in folders.items() if folder}
    return pd.DataFrame(said).sort_index()


def fit_ensemble(
    oof: pd.DataFrame,
    label: pd.Series,
    spec: FitSpec,
    members: tuple[str, ...] = _LOGIT_MEMBERS,
    method: str | None = None,
    panel: pd.DataFrame | None = None,
) -> tuple[Ensemble, pd.Series]:
    """Learn the ensemble from out-of-fold forecasts, and judge it by blocks it did not see.

    Parameters
    ----------
    oof : DataFrame
        From `member_oof`.
    label : Series
        Label of the ensemble (direction), aligned by index; rows with NaN are left out.
    spec : FitSpec
        Its folds and embargo are those of the members.
    members : tuple of str
        Which may take part; those without a column do not.
    method : str, optional
        As for `choose`.
    panel : DataFrame, optional
        Holds the rows of `oof`; its columns of `CONTEXT` are what a meta-model looks at.

    Returns
    -------
    ensemble : Ensemble
        Learnt on all rows, in the way that unseen blocks spoke for; see `choose`.
    forecasts : Series
        Of each row, by an ensemble learnt on the other blocks.
    """
    y = label.reindex(oof.index)
    rows = oof.loc[y.notna(), [name for name in members if name in oof]]
    labels = y[y.notna()].to_numpy(dtype=np.float64)
    closed_at = rows.index.get_level_values("closed_at")
    splits = block_splits(closed_at, spec.n_folds, bar_step(closed_at) * spec.embargo_bars)
    equal = 1 / rows.shape[1]  # the members are calibrated: few rows leave their mean
    context = None if panel is None else with_context(rows, panel, CONTEXT)[_present(panel)]
    chosen = choose(rows, labels, splits, method, prior=equal, context=context)
    return chosen.ensemble, pd.Series(chosen.forecasts, rows.index, name=ENSEMBLE)


def with_context(
    members: pd.DataFrame, panel: pd.DataFrame, columns: tuple[str, ...] = CONTEXT
) -> pd.DataFrame:
    """Put the context features that a panel has beside what members said of its rows.

    Examples
    --------
    >>> said = pd.DataFrame({"direction": [0.6]}, index=["row"])
    >>> panel = pd.DataFrame({"return_1": [0.0], "volatility_regime": [0.3]}, index=["row"])
    >>> list(with_context(said, panel))
    ['direction', 'volatility_regime']
    """
    seen = panel[[name for name in columns if name in panel]]
    return pd.concat([members, seen.reindex(members.index)], axis=1)


def _present(panel: pd.DataFrame) -> list[str]:
    return [name for name in CONTEXT if name in panel]


def _forecast(member: Forecaster | None, panel: pd.DataFrame, past: pd.DataFrame | None) -> Floats:
    silent = np.full(len(panel), np.nan)
    if member is None:
        return silent
    try:
        return predict_among(member, panel, past)
    except ModelError:  # one member that fails degrades the ensemble, it does not stop it
        return silent


def _no_manifest(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in (MANIFEST, SEAL)]


def signal_of(instrument: str, closed_at: datetime, forecasts: Mapping[Hashable, float]) -> Signal:
    """Return the signal of one row of forecasts; NaN means that a model said nothing.

    Examples
    --------
    >>> from datetime import UTC
    >>> row = {"ensemble": 0.6, "direction": 0.55, "macro": float("nan")}
    >>> signal = signal_of("BTC/USDT", datetime(2024, 1, 1, tzinfo=UTC), row)
    >>> signal.probability, signal.members
    (0.6, (('direction', 0.55),))
    """
    said = {str(name): float(value) for name, value in forecasts.items() if value == value}
    probability = said.pop(ENSEMBLE, None)
    return Signal(
        instrument=instrument,
        closed_at=closed_at,
        probability=probability,
        members=tuple(sorted(said.items())),
    )
