"""AutoGluon models that never see the fold they are judged on.

AutoGluon's own stop at the best iteration on that fold, which is a small leak into the out-of-fold
forecasts. These run a fixed number of rounds. Only fits import this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from autogluon.core.models import AbstractModel
from autogluon.tabular.models import CatBoostModel, LGBModel

from dexml.models.dense import DenseSettings
from dexml.models.dense_fit import fit_dense

__all__ = ["FixedCAT", "FixedDense", "FixedGBM"]


class FixedGBM(LGBModel):  # type: ignore[misc]
    """LightGBM with a fixed number of rounds."""

    ag_key = ag_name = "FixedGBM"

    def _fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **kwargs: Any) -> None:
        super()._fit(X=X, y=y, **kwargs)


class FixedCAT(CatBoostModel):  # type: ignore[misc]
    """CatBoost with a fixed number of iterations."""

    ag_key = ag_name = "FixedCAT"

    def _fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **kwargs: Any) -> None:
        super()._fit(X=X, y=y, **kwargs)


class FixedDense(AbstractModel):  # type: ignore[misc]
    """A dense network with a fixed number of steps."""

    ag_key = ag_name = "FixedDense"

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, **_kwargs: Any) -> None:
        given = dict(self._get_model_params())
        seed = given.pop("seed")
        counts = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        labels = np.asarray(y, dtype=np.float64)
        self.model = fit_dense(
            _values(self.preprocess(X)), labels, DenseSettings(**given), seed, counts
        )

    def _predict_proba(self, X: Any, **kwargs: Any) -> Any:
        return self.model.predict(_values(self.preprocess(X, **kwargs))).astype(np.float32)


def _values(rows: Any) -> Any:
    return rows.to_numpy(dtype=np.float64)
