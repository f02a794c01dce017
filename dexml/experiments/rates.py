"""How often the verdict is wrong: planted and null markets over many seeds, by light members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from dexml.domain import Bars
from dexml.experiments.fast import fast_backtest
from dexml.experiments.scoring import forecast_verdict
from dexml.experiments.sources import plant_market
from dexml.experiments.specifications import specifications
from dexml.features.panel import WARM_UP, build_panel
from dexml.models.light import fit_light
from dexml.state import KernelConfig
from dexml.targets import labels
from dexml.validation.inputs import Floats
from dexml.validation.performance import HOURS_PER_YEAR, sharpe_ratio
from dexml.validation.significance import (
    deflated_sharpe_ratio,
    forecast_skill,
    sharpe_moments,
)

__all__ = ["TRIALS", "Judgement", "RateSpec", "Rated", "judge_market", "rate_of"]

INSTRUMENT = "BTC/USDT"
EMBARGO = 24
TRIALS = (1, 10, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSpec:
    """One configuration, fixed before any market is seen.

    Attributes
    ----------
    bayes_accuracy : float
        Of the planted market; 0.5 is the null market.
    train, test : int
        Bars that are learnt from, and the out-of-sample bars that follow.
    """

    bayes_accuracy: float
    train: int = 8_760
    test: int = 8_760
    kernel: KernelConfig = field(default_factory=KernelConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one market was judged to be.

    Attributes
    ----------
    edges : dict of int to bool
        The verdict by the number of trials that it is deflated for.
    skill_t : float
        Of the log-loss gain over the base rate.
    sharpe, bayes_sharpe : float
        Annual, after costs: of the strategy, and of the same policy on the true probabilities.
    """

    seed: int
    edges: dict[int, bool]
    skill_t: float
    sharpe: float
    bayes_sharpe: float
    total_return: float
    orders: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self) | {"edges": {str(n): edge for n, edge in self.edges.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Judgement:
        """Return what `to_dict` gave."""
        edges = {int(n): bool(edge) for n, edge in values["edges"].items()}
        return cls(**{**values, "edges": edges})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A share of markets, with its exact 95% interval (Clopper and Pearson 1934)."""

    rate: float
    low: float
    high: float
    n: int


def judge_market(seed: int, spec: RateSpec) -> Judgement:
    """Plant a market, fit the light member once, trade the rest, and say the verdict.

    The same verdict as everywhere: forecasts beat the base rate by 3 standard errors, and the
    Sharpe ratio, deflated for the trials, is above 0 with probability 0.95. Where there were more
    trials than one, their Sharpe ratios are taken to vary as luck alone makes them.
    """
    n_bars = WARM_UP + spec.train + EMBARGO + spec.test
    market = plant_market(
        (INSTRUMENT,), n_bars=n_bars, seed=seed, bayes_accuracy=spec.bayes_accuracy
    )
    panel = build_panel(market.history)
    known = labels(market.history.bars)["direction"].reindex(panel.index)
    columns = specifications(tuple(panel.columns), seed)
    seen = columns["joint" if "joint" in columns else "direction"].columns
    first = len(panel) - spec.test
    model = fit_light(panel[: first - EMBARGO], known[: first - EMBARGO], seen, seed)
    rows = panel[first:]
    said = model.predict(rows)
    bars = _since(market.history.bars[INSTRUMENT], rows)
    truth = market.truth["direction"].reindex(rows.index).to_numpy(dtype=np.float64)
    rate = float(known[: first - EMBARGO].mean())
    return _judged(seed, spec, bars, said, truth, known[first:], rate)


def _since(bars: Bars, rows: pd.DataFrame) -> Bars:
    first = rows.index.get_level_values("closed_at")[0].tz_localize(None).to_datetime64()
    return bars.take(slice(int(bars.closed_at.searchsorted(first)), None))


def _judged(
    seed: int,
    spec: RateSpec,
    bars: Bars,
    said: Floats,
    truth: Floats,
    known: pd.Series,
    rate: float,
) -> Judgement:
    has = known.notna().to_numpy()
    skill = forecast_skill(known[has], said[has], rate, known.index.get_level_values(0)[has])
    tested = fast_backtest(bars, said, spec.kernel)
    returns = np.asarray(tested.equity.pct_change().dropna(), dtype=np.float64)
    best = fast_backtest(bars, truth, spec.kernel).equity.pct_change().dropna()
    total = float(tested.equity.iloc[-1] / tested.equity.iloc[0] - 1)
    edges = {}
    for n_trials in TRIALS:
        strategy = {
            "deflated_sharpe_probability": _deflated(returns, n_trials),
            "total_return": total,
            "orders": len(tested.fills),
        }
        edges[n_trials] = forecast_verdict({"skill_t": skill.t}, strategy)[0]
    return Judgement(
        seed=seed,
        edges=edges,
        skill_t=skill.t,
        sharpe=sharpe_ratio(returns, HOURS_PER_YEAR),
        bayes_sharpe=sharpe_ratio(best, HOURS_PER_YEAR),
        total_return=total,
        orders=len(tested.fills),
    )


def _deflated(returns: Floats, n_trials: int) -> float | None:
    if not returns.any():
        return None
    moments = sharpe_moments(returns)
    luck = 0.0 if n_trials == 1 else 1 / (moments.n - 1)
    return deflated_sharpe_ratio(
        moments.sharpe, moments.n, n_trials, luck, moments.skewness, moments.kurtosis
    )


def rate_of(edges: Iterable[bool]) -> Rated:
    """Return the share of true ones with its interval.

    Examples
    --------
    >>> found = rate_of([False] * 40)
    >>> found.rate, round(found.high, 3)
    (0.0, 0.088)
    """
    values = list(edges)
    found = binomtest(sum(values), len(values))
    interval = found.proportion_ci(0.95, method="exact")
    return Rated(
        rate=float(found.statistic),
        low=float(interval.low),
        high=float(interval.high),
        n=len(values),
    )
