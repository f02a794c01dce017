"""What a notebook holds and shows: a model, and what trading it gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from dexml.domain import Bars, History
from dexml.errors import UsageError
from dexml.experiments.backtest import BacktestReport
from dexml.experiments.backtest import backtest as run_backtest
from dexml.experiments.given_bars import Given, bars_of
from dexml.features.panel import build_panel
from dexml.models.suite import ENSEMBLE, Suite
from dexml.state import KernelConfig

__all__ = ["Model", "Tested"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Model:
    """A suite, and what is known of how good it is.

    Attributes
    ----------
    suite : Suite
    board : DataFrame
        See `leaderboard`.
    trained_to : Timestamp
        Close of the newest row that it has learnt from; the label of it came `horizon` bars later.
    failed : mapping of member to str
        Why members are not part of it.
    horizon : int
        Bars ahead that its labels look.
    about : mapping
        For people: profile, seed, rows.
    scratch : TemporaryDirectory or None
        Holds the files of a model that is in no registry, for as long as this object lives.
    """

    suite: Suite
    board: pd.DataFrame
    trained_to: pd.Timestamp
    failed: Mapping[str, str] = field(default_factory=dict)
    horizon: int = 1
    about: Mapping[str, Any] = field(default_factory=dict)
    scratch: TemporaryDirectory[str] | None = None

    @property
    def digest(self) -> str:
        """Version in the registry; "" if it is in none."""
        return self.suite.digest

    def leaderboard(self) -> pd.DataFrame:
        """Return what each model was worth on rows it did not see, by target and log-loss.

        Returns
        -------
        DataFrame, columns `dexml.experiments.leaderboards.COLUMNS`
            `forecaster` is what serves for a target; `gain` is in nats over the base rate, `t` the
            same in standard errors. Blocks in the middle were judged by models that saw what came
            later: evidence for comparing models. What trading would have given is `dexml.backtest`.
        """
        return self.board.copy()

    def predict(self, bars: Given) -> pd.DataFrame:
        """Forecast every closed bar after the warm-up.

        Parameters
        ----------
        bars : as for `dexml.fit`
            Rows until `trained_to` were learnt from: what is said of them shows nothing.

        Returns
        -------
        DataFrame of float64, index (closed_at, instrument)
            Probability of each target, and of "ensemble"; NaN where a model is degraded.
        """
        panel = build_panel(History(bars=bars_of(bars)))
        return self.suite.forecast(panel, panel)

    def backtest(self, bars: Given, *, kernel: KernelConfig | None = None) -> BacktestReport:
        """Trade the closes after `trained_to` with all costs.

        Parameters
        ----------
        bars : as for `dexml.fit`
            With what came before, for the warm-up.
        kernel : KernelConfig, optional
            Costs, policy, sizing and limits.

        Raises
        ------
        UsageError
            If no bar closed after `trained_to`: trading what was learnt from shows nothing.
        """
        given = bars_of(bars)
        said = self.predict(given).rename(columns={ENSEMBLE: "probability"})
        unseen = said[said.index.get_level_values("closed_at") > self._last_seen(given)]
        if unseen.empty:
            raise UsageError(
                "backtest",
                f"must have bars that closed after {self._last_seen(given)}",
                "none",
                "Give later bars, or let dexml.backtest(bars) hold some back.",
            )
        first = unseen.index.get_level_values("closed_at").min().tz_localize(None).to_datetime64()
        later = {
            name: one.take(slice(int(np.searchsorted(one.closed_at, first)), None))
            for name, one in given.items()
        }
        return run_backtest(later, unseen, kernel or KernelConfig())

    # Labels of rows that overlap with one that was learnt from were seen in part.
    def _last_seen(self, given: Mapping[str, Bars]) -> pd.Timestamp:
        step = next(iter(given.values())).timeframe.step
        return self.trained_to + (self.horizon - 1) * pd.Timedelta(step)

    def __repr__(self) -> str:
        members = ", ".join(name for name, one in self.suite.members.items() if one is not None)
        return f"dexml model {self.digest[:12] or '(unpublished)'} of {members}; {self._state()}"

    def _repr_html_(self) -> str:
        whole = self.board[self.board["model"] == "forecaster"]
        kept = [name for name in whole if not whole[name].isna().all() and name != "model"]
        failed = "".join(f"<li>{escape(k)}: {escape(v)}</li>" for k, v in self.failed.items())
        return (
            f"<p><b>dexml model</b> {self.digest[:12] or '(unpublished)'}; "
            f"{escape(self._state())}</p>"
            f"{whole[kept].round(4).to_html(index=False, border=0)}"
            + (f"<p>Failed:</p><ul>{failed}</ul>" if failed else "")
        )

    def _state(self) -> str:
        said = ", ".join(f"{name} {value}" for name, value in self.about.items())
        return f"trained to {self.trained_to:%Y-%m-%d %H:%M} UTC; {said}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Tested:
    """What `dexml.backtest` found.

    Attributes
    ----------
    result : mapping
        `targets`, `ensemble`, `strategy`, `significance`, `verdict`, `edge`, as in the JSON of
        `dexml validate backtest`.
    forecasts : DataFrame
        Columns `dexml.experiments.folds.FORECAST_COLUMNS` without `fold`: every unseen row.
    """

    result: Mapping[str, Any]
    forecasts: pd.DataFrame

    @property
    def verdict(self) -> str:
        """Say in one sentence whether there is evidence of an edge after costs."""
        return str(self.result["verdict"])

    def scores(self) -> pd.DataFrame:
        """Return accuracy and log-loss of unseen rows beside the constant and the rule."""
        rows = dict(self.result["targets"])
        if self.result["ensemble"] is not None:
            rows[ENSEMBLE] = self.result["ensemble"]
        figures = ["accuracy", "base_rate", "log_loss", "base_log_loss", "rule_log_loss", "skill_t"]
        return pd.DataFrame(rows).T.reindex(columns=[*figures, "n"]).astype("float64")

    def strategy(self) -> pd.Series[float]:
        """Return what trading the ensemble gave, after costs; empty if there was nothing to trade.

        Everything is a fraction, losses positive; `sharpe_ratio` is a year's.
        """
        found = self.result["strategy"] or {}
        figures = {k: v for k, v in found.items() if isinstance(v, int | float)}
        return pd.Series(figures, dtype="float64", name="strategy")

    def __repr__(self) -> str:
        return f"{self.scores().round(4).to_string()}\n{self.verdict}"

    def _repr_html_(self) -> str:
        strategy = self.strategy().round(4).to_frame().T.to_html(index=False, border=0)
        scores = self.scores().round(4).to_html(border=0)
        return f"<p><b>{escape(self.verdict)}</b></p>{scores}{strategy}"
