"""Boosters that never see the fold they are scored on; AutoGluon loads them from here."""

from __future__ import annotations

from typing import Any

from autogluon.tabular.models import CatBoostModel, LGBModel

__all__ = ["FixedCAT", "FixedGBM", "hyperparameters"]


class FixedGBM(LGBModel):
    """LightGBM with a fixed number of rounds: no early stopping on the out-of-fold rows."""

    ag_key = ag_name = "FixedGBM"

    def _fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **kwargs: Any) -> None:
        super()._fit(X=X, y=y, **kwargs)


class FixedCAT(CatBoostModel):
    """CatBoost with a fixed number of iterations: no early stopping on the out-of-fold rows."""

    ag_key = ag_name = "FixedCAT"

    def _fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **kwargs: Any) -> None:
        super()._fit(X=X, y=y, **kwargs)


_SHAPE = {
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10,
    "deterministic": True,
    "force_row_wise": True,
    "max_bin": 127,
}
_STIFF = {"num_boost_round": 100, "learning_rate": 0.03, "num_leaves": 7, **_SHAPE}
_MIDDLE = {"num_boost_round": 200, "learning_rate": 0.05, "num_leaves": 15, **_SHAPE}
_FIRM = {"num_boost_round": 300, "learning_rate": 0.05, "num_leaves": 7, **_SHAPE}
_ORDERED = {"iterations": 100, "depth": 4, "learning_rate": 0.05}


def hyperparameters(direction_like: bool, seed: int) -> dict[type, Any]:
    """Return the members of the `fast` profile.

    A coin's direction is nearly noise, where only stiff trees beat a constant; on a market with
    more to learn a firmer one does better. Out-of-fold scores decide how they are weighed.
    """
    if direction_like:
        stiff = {**_STIFF, "extra_trees": True}
        return {FixedGBM: [_named(stiff, "_stiff", seed), _named(_FIRM, "_firm", seed)]}
    return {
        FixedGBM: [_named(_MIDDLE, "_middle", seed)],
        FixedCAT: [{**_ORDERED, "random_seed": seed}],
    }


def _named(parameters: dict[str, Any], suffix: str, seed: int) -> dict[str, Any]:
    return {**parameters, "seed": seed, "ag_args": {"name_suffix": suffix}}
