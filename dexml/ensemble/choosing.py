"""The ensemble: a way of combining members, chosen by blocks of time that it did not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from dexml.ensemble.bagging import Bag
from dexml.ensemble.calibration import CALIBRATORS, Calibrator, fit_calibrator
from dexml.ensemble.logistic import SMALLEST, Floats, logit
from dexml.ensemble.meta import Meta
from dexml.ensemble.stacking import Stacker
from dexml.ensemble.voting import Vote
from dexml.errors import ConfigError
from dexml.validation.splits import Split

__all__ = ["COMBINERS", "Chosen", "Combiner", "Ensemble", "choose"]

INCUMBENT = "stacking"
_DAY = 24  # instants whose mean counts as one observation


class Combiner(Protocol):
    """Makes one probability from those of several members."""

    kind: ClassVar[str]

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members it was learnt from."""
        ...

    def predict(self, members: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n,); NaN only where no member that counts spoke."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        ...


Fit = Callable[[pd.DataFrame, Floats], Combiner]
COMBINERS: Mapping[str, type[Stacker] | type[Vote] | type[Bag] | type[Meta]] = {
    "stacking": Stacker,
    "weighted_vote": Vote,
    "bagging": Bag,
    "meta": Meta,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """A combiner and what calibrates it.

    Attributes
    ----------
    calibrator : Calibrator or None
        None where it made forecasts of unseen blocks no better.
    losses : mapping of str to float
        Log-loss of each way of combining on blocks that it did not see.
    """

    combiner: Combiner
    calibrator: Calibrator | None = None
    losses: Mapping[str, float] = field(default_factory=dict)

    @property
    def members(self) -> tuple[str, ...]:
        return self.combiner.members

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the context features that it looks at beside the members."""
        return self.combiner.columns if isinstance(self.combiner, Meta) else ()

    def predict(self, members: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n,); NaN only where no member that counts spoke.

        Parameters
        ----------
        members : DataFrame
            A column for each member, and for each of `columns`; one that is absent is missing.
        """
        said = self.combiner.predict(members)
        if self.calibrator is None:
            return said
        return np.clip(self.calibrator(said), SMALLEST, 1 - SMALLEST)

    def shares(self, members: pd.DataFrame) -> pd.DataFrame:
        """Return by how much each member moved the log-odds: with it less without it.

        Returns
        -------
        DataFrame of float64, shape (n, n_members)
            0 where the member was silent; NaN where nothing is left without it.
        """
        whole = logit(self.predict(members))
        shares = {}
        for name in self.members:
            silent = members.assign(**{name: np.nan})
            spoke = members[name].notna() if name in members else False
            shares[name] = np.where(spoke, whole - logit(self.predict(silent)), 0.0)
        return pd.DataFrame(shares, index=members.index)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        calibrator = self.calibrator
        return {
            "combiner": {"kind": self.combiner.kind, **self.combiner.to_dict()},
            "calibrator": calibrator and {"kind": calibrator.kind, **calibrator.to_dict()},
            "losses": dict(self.losses),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Ensemble:
        """Build an ensemble from `to_dict`."""
        combiner, calibrator = dict(values["combiner"]), values["calibrator"]
        if calibrator is not None:
            calibrator = dict(calibrator)
            calibrator = CALIBRATORS[calibrator.pop("kind")].from_dict(calibrator)
        return cls(
            combiner=COMBINERS[combiner.pop("kind")].from_dict(combiner),
            calibrator=calibrator,
            losses=values["losses"],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """An ensemble learnt on all rows, and what it says of rows it did not see.

    Attributes
    ----------
    forecasts : ndarray, shape (n,)
        Of each row, by an ensemble of the chosen kind learnt on the other blocks.
    """

    ensemble: Ensemble
    forecasts: Floats


def choose(
    oof: pd.DataFrame,
    y: Floats,
    splits: Sequence[Split],
    method: str | None = None,
    prior: float = 0.0,
    context: pd.DataFrame | None = None,
) -> Chosen:
    """Learn the ensemble from out-of-fold forecasts of its members.

    Parameters
    ----------
    oof : DataFrame, shape (n, n_members)
        Index with a level `closed_at`; NaN where a member said nothing.
    y : ndarray, shape (n,)
        Labels, none of them NaN.
    splits : sequence of Split
        Those that made the out-of-fold forecasts; each way is judged on blocks it did not see.
    method : str, optional
        A name in `COMBINERS`. By default stacking, unless another way is better by more than one
        standard error of its lead, day by day.
    prior : float
        As for `Stacker.fit`.
    context : DataFrame, shape (n, n_features), optional
        What the meta-model may look at, on the index of `oof`; without it there is none.

    Raises
    ------
    ConfigError
        If there is no such method, or no context for it.
    ModelError
        If there is no row, only one class, or a member never spoke.
    """
    features = [] if context is None else [str(name) for name in context]
    fits = _fits(prior, [str(name) for name in oof], features)
    if method is not None and method not in fits:
        known = ", ".join(fits)
        raise ConfigError("ensemble method", f"must be one of {known}", method, "Pick one.")
    tried = fits if method is None else {method: fits[method]}
    rows = oof if context is None else pd.concat([oof, context], axis=1)
    said = {name: _cross_fitted(fit, rows, y, splits) for name, fit in tried.items()}
    kind = method or _best(oof, {name: _losses(p, y) for name, p in said.items()})
    calibrated = _calibrated(said[kind], y, splits)
    worth = _losses(calibrated, y).mean() < _losses(said[kind], y).mean()
    ensemble = Ensemble(
        combiner=fits[kind](rows, y),
        calibrator=_calibrator(said[kind], y) if worth else None,
        losses={name: float(_losses(p, y).mean()) for name, p in said.items()},
    )
    return Chosen(ensemble=ensemble, forecasts=calibrated if worth else said[kind])


def _fits(prior: float, members: list[str], context: list[str]) -> dict[str, Fit]:
    fits: dict[str, Fit] = {
        INCUMBENT: lambda rows, y: Stacker.fit(rows[members], y, prior=prior),
        Vote.kind: lambda rows, y: Vote.fit(rows[members], y),
        Bag.kind: lambda rows, y: Bag.fit(rows[members], y, prior=prior),
    }
    if context:
        fits[Meta.kind] = lambda rows, y: Meta.fit(rows[members], y, rows[context], prior=prior)
    return fits


def _cross_fitted(fit: Fit, rows: pd.DataFrame, y: Floats, splits: Sequence[Split]) -> Floats:
    said = np.full(len(rows), np.nan)
    for split in splits:
        combiner = fit(rows.iloc[split.train], y[split.train])
        said[split.test] = combiner.predict(rows.iloc[split.test])
    return said


def _calibrated(said: Floats, y: Floats, splits: Sequence[Split]) -> Floats:
    out = np.full(len(said), np.nan)
    for split in splits:
        calibrated = _calibrator(said[split.train], y[split.train])(said[split.test])
        out[split.test] = np.clip(calibrated, SMALLEST, 1 - SMALLEST)
    return out


def _calibrator(said: Floats, y: Floats) -> Calibrator:
    spoken = np.isfinite(said)
    return fit_calibrator(said[spoken], y[spoken])


def _losses(said: Floats, y: Floats) -> Floats:
    # who says nothing is judged as if he had said one half
    p = np.where(np.isfinite(said), said, 0.5)
    losses: Floats = -np.log(np.where(y > 0, p, 1 - p))
    return losses


def _best(oof: pd.DataFrame, losses: Mapping[str, Floats]) -> str:
    instants = pd.factorize(oof.index.get_level_values("closed_at"), sort=True)[0]
    leads = {}
    for name, loss in losses.items():
        lead = pd.Series(losses[INCUMBENT] - loss).groupby(instants // _DAY).mean()
        doubt = lead.std() / np.sqrt(len(lead)) if len(lead) > 1 else np.inf
        leads[name] = lead.mean() if lead.mean() > doubt else 0.0
    return max(leads, key=leads.__getitem__) if max(leads.values()) > 0 else INCUMBENT
