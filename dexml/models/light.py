"""A light member: one small LightGBM whose probabilities are calibrated on the newest rows."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from dexml.domain import Floats
from dexml.errors import ModelError

__all__ = ["LightModel", "fit_light"]

LEAST_ROWS, CALIBRATION_SHARE, EMBARGO_ROWS = 500, 0.25, 24
_SETTINGS = {
    "objective": "binary",
    "num_leaves": 7,
    "learning_rate": 0.03,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
N_ROUNDS = 120


@dataclass(frozen=True, slots=True, eq=False)
class LightModel:
    """A booster, and the line on its scores that makes them probabilities."""

    booster: lightgbm.Booster
    columns: tuple[str, ...]
    slope: float
    intercept: float

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Return the probability of a one for each row, shape (n_rows,)."""
        score = self.booster.predict(_table(rows, self.columns), raw_score=True, num_threads=1)
        return np.asarray(1 / (1 + np.exp(-(self.slope * score + self.intercept))), np.float64)


def fit_light(
    rows: pd.DataFrame, labels: pd.Series, columns: tuple[str, ...], seed: int = 0
) -> LightModel:
    """Fit in about a second, with the same bits each time.

    Parameters
    ----------
    rows : DataFrame
        Of one panel, oldest first.
    labels : Series
        1.0 or 0.0, on the index of `rows`; rows without one are left out.
    columns : tuple of str
        What the model sees.

    Raises
    ------
    ModelError
        If there are fewer than 500 rows, or one class only in either part.

    Notes
    -----
    The newest quarter of the rows, beyond an embargo, is not fitted: on it a logistic line turns
    scores into probabilities. A line that would turn them round is made flat: no forecast then.
    """
    known = labels.notna().to_numpy()
    rows, y = rows[known], labels[known].to_numpy(dtype=np.float64)
    cut = round(len(y) * (1 - CALIBRATION_SHARE))
    early, late = slice(0, max(0, cut - EMBARGO_ROWS)), slice(cut, None)
    if len(y) < LEAST_ROWS or min(np.ptp(y[early]), np.ptp(y[late])) == 0:
        was = f"{len(y)} rows, {y.mean() if len(y) else 0:.0%} ones"
        rule = f"must hold {LEAST_ROWS} rows and both classes, early and late"
        raise ModelError("training labels", rule, was, "Give more bars.")
    table = _table(rows, columns)
    data = lightgbm.Dataset(table[early], y[early], free_raw_data=True)
    booster = lightgbm.train(_SETTINGS | {"seed": seed}, data, N_ROUNDS)
    score = booster.predict(table[late], raw_score=True, num_threads=1)
    line = LogisticRegression(C=1e6).fit(score[:, None], y[late])
    slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    if slope <= 0:
        rate = float(y.mean())
        slope, intercept = 0.0, float(np.log(rate / (1 - rate)))
    return LightModel(booster, columns, slope, intercept)


def _table(rows: pd.DataFrame, columns: tuple[str, ...]) -> Floats:
    return rows[list(columns)].to_numpy(dtype=np.float64)
