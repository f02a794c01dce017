"""A fitted target as plain files: learners, rules and blend, served without AutoGluon or pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.ensemble import Stacker
from dexml.errors import ModelError
from dexml.models.base import take_columns
from dexml.models.dense import DenseNetwork
from dexml.models.rules import Rule, rule_from_dict

__all__ = ["FORMAT", "INSTRUMENT", "FlatMember", "TabularForecaster", "design_matrix"]

Floats = NDArray[np.float64]

FORMAT = 1
FILE = "forecaster.json"
INSTRUMENT = "instrument_code"


def design_matrix(
    frame: pd.DataFrame, columns: tuple[str, ...], instruments: Sequence[str]
) -> pd.DataFrame:
    """Return what learners see: the columns and the instrument's number.

    Parameters
    ----------
    frame : DataFrame
        Rows of a panel, index (closed_at, instrument).
    columns : tuple of str
        Panel columns, in the order of the fit.
    instruments : sequence of str
        Numbered from 0 in this order; another instrument is NaN.

    Returns
    -------
    DataFrame of float64, shape (n_rows, n_columns + 1)

    Raises
    ------
    ModelError
        If a column is missing.
    """
    numbers = {name: float(number) for number, name in enumerate(instruments)}
    codes = [numbers.get(name, np.nan) for name in frame.index.get_level_values("instrument")]
    values = take_columns(frame, columns).to_numpy(dtype=np.float64)
    values = np.column_stack([values, np.array(codes, dtype=np.float64)])
    return pd.DataFrame(values, index=frame.index, columns=[*columns, INSTRUMENT])


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatMember:
    """One learner: a file, the design columns that it uses, and the function that applies it.

    Attributes
    ----------
    kind : str
        "lightgbm", "catboost" or "dense"; the format of the file.
    """

    name: str
    kind: str
    file: str
    features: tuple[str, ...]
    apply: Callable[[Floats], Floats]

    @classmethod
    def load(cls, folder: Path, values: Mapping[str, Any]) -> Self:
        """Read the learner that `values` (from `to_dict`) describes."""
        apply = _LOADERS[values["kind"]](folder / values["file"])
        return cls(**{**values, "features": tuple(values["features"])}, apply=apply)

    def to_dict(self) -> dict[str, Any]:
        """Return what `load` needs besides the file."""
        return {
            "name": self.name,
            "kind": self.kind,
            "file": self.file,
            "features": list(self.features),
        }

    def predict(self, design: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n,), rounded to float32 as AutoGluon does."""
        values = np.ascontiguousarray(design[list(self.features)].to_numpy(dtype=np.float64))
        return self.apply(values).astype(np.float32).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularForecaster:
    """The model of one target, as `fit_tabular` leaves it in a folder.

    Attributes
    ----------
    target : str
        What it predicts.
    columns : tuple of str
        Panel columns that must be there.
    instruments : tuple of str
        Those it was fitted on; another is predicted as an unknown one.
    blend : Stacker
        Over members and rules.
    folder : Path
        Where it came from.
    """

    target: str
    columns: tuple[str, ...]
    instruments: tuple[str, ...]
    members: tuple[FlatMember, ...]
    rules: tuple[Rule, ...]
    blend: Stacker
    folder: Path

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a forecaster; nothing is unpickled and AutoGluon is not imported.

        Raises
        ------
        ModelError
            If the folder holds no forecaster of this format.
        """
        if not (folder / FILE).is_file():
            raise ModelError("model folder", f"must hold {FILE}", folder.name, "Fit it again.")
        values = json.loads((folder / FILE).read_text())
        if values["format"] != FORMAT:
            raise ModelError("model format", f"must be {FORMAT}", values["format"], "Fit it again.")
        return cls(
            target=values["target"],
            columns=tuple(values["columns"]),
            instruments=tuple(values["instruments"]),
            members=tuple(FlatMember.load(folder, one) for one in values["members"]),
            rules=tuple(rule_from_dict(one) for one in values["rules"]),
            blend=Stacker.from_dict(values["blend"]),
            folder=folder,
        )

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n_rows,); a row has the same bits in any batch.

        Raises
        ------
        ModelError
            If a column is missing or a number that is not finite comes out.
        """
        p = self.blend.predict(self.predict_members(frame))
        if not np.isfinite(p).all():
            bad = int((~np.isfinite(p)).sum())
            raise ModelError(f"{self.target} forecast", "must be finite", f"{bad} not", "Refit it.")
        return p

    def predict_members(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what each member and rule says, one column each."""
        design = design_matrix(frame, self.columns, self.instruments)
        said = {one.name: one.predict(design) for one in self.members}
        said |= {rule.name: rule.predict(frame) for rule in self.rules}
        return pd.DataFrame(said, index=frame.index)


def _load_lightgbm(path: Path) -> Callable[[Floats], Floats]:
    import lightgbm

    booster = lightgbm.Booster(model_file=str(path))
    return lambda values: np.asarray(booster.predict(values, num_threads=1))


def _load_catboost(path: Path) -> Callable[[Floats], Floats]:
    import catboost

    model = catboost.CatBoostClassifier()
    model.load_model(str(path))
    return lambda values: np.asarray(model.predict_proba(values, thread_count=1)[:, 1])


_LOADERS: Mapping[str, Callable[[Path], Callable[[Floats], Floats]]] = {
    "dense": lambda path: DenseNetwork.load(path).predict,
    "lightgbm": _load_lightgbm,
    "catboost": _load_catboost,
}
