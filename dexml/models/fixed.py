"""AutoGluon models that never see the fold they are judged on.

AutoGluon's own stop at the best iteration on that fold, which is a small leak into the out-of-fold
forecasts. These run a fixed number of rounds. Only fits import this module.
"""

from __future__ import annotations

from typing import Any

from autogluon.tabular.models import CatBoostModel, LGBModel

__all__ = ["FixedCAT", "FixedGBM"]


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
