"""What a kind of forecaster is tried on: rows, one fit that is shared, and what it must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import ModelError
from dexml.models.base import Forecaster, lookback_of

__all__ = ["HOUR", "Bench", "Candidate"]

Fit = Callable[[pd.DataFrame, "pd.Series[float]", int, Path], Forecaster]

_INSTRUMENTS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
_N_CLOSES = 500
HOUR = pd.Timedelta("1h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A kind of forecaster.

    Attributes
    ----------
    columns : tuple of str
        Panel columns that it is fitted on.
    fit : callable
        Takes rows, labels, a seed and a folder that does not exist; returns the forecaster. It may
        refuse rows with a `DexmlError`.
    load : str
        "module:function" that takes the folder and returns the forecaster in another process; "":
        the forecaster is pickled.
    """

    name: str
    columns: tuple[str, ...]
    fit: Fit
    load: str = ""


class Bench:
    """A candidate, rows to try it on, and one fit that the checks share.

    The label follows the first column of the rows and of the three rows before.
    """

    def __init__(self, candidate: Candidate, folder: Path) -> None:
        self.candidate, self.folder = candidate, folder
        self._n_fits = 0

    @cached_property
    def rows(self) -> tuple[pd.DataFrame, pd.Series[float]]:
        """Rows, index (closed_at, instrument), and their labels; the last three are unknown."""
        rng = np.random.default_rng(0)
        at = pd.date_range("2024-01-01 01:00", periods=_N_CLOSES, freq="h", tz="UTC")
        index = pd.MultiIndex.from_product([at, _INSTRUMENTS], names=["closed_at", "instrument"])
        values = rng.normal(size=(len(index), len(self.candidate.columns)))
        frame = pd.DataFrame(values, index, list(self.candidate.columns))
        first = values[:, 0] if values.shape[1] else rng.normal(size=len(index))
        by_close = first.reshape(_N_CLOSES, -1)
        trend = np.sum([np.roll(by_close, back, axis=0) for back in range(4)], axis=0)
        chance = 1 / (1 + np.exp(-trend.reshape(-1)))
        label = pd.Series((rng.random(len(index)) < chance).astype(np.float64), index)
        label.iloc[-3:] = np.nan
        return frame, label

    @cached_property
    def forecaster(self) -> Forecaster:
        """The candidate, fitted on `rows` with seed 0."""
        self.place = self._new_folder()
        return self.candidate.fit(*self.rows, 0, self.place)

    @cached_property
    def said(self) -> pd.Series[float]:
        """What the forecaster says of `rows`."""
        return self.ask(self.forecaster, self.rows[0])

    def fit(self, frame: pd.DataFrame, label: pd.Series[float], seed: int = 0) -> Forecaster:
        """Fit the candidate anew, in a folder of its own."""
        return self.candidate.fit(frame, label, seed, self._new_folder())

    def ask(self, forecaster: Forecaster, frame: pd.DataFrame) -> pd.Series[float]:
        """Return forecasts by row, and refuse those that are no probabilities.

        NaN is right where an instrument has not enough rows without a hole, and nowhere else.
        """
        p = forecaster.predict(frame)
        self.expect(
            isinstance(p, np.ndarray) and p.dtype == np.float64 and p.shape == (len(frame),),
            "must predict one float64 for each row",
            f"{type(p).__name__} of {getattr(p, 'shape', '?')}",
        )
        silent = _run_lengths(frame) < lookback_of(forecaster)
        wrong = np.where(silent, ~np.isnan(p), ~((p > 0) & (p < 1)))
        self.expect(
            not wrong.any(),
            "must say a probability in (0, 1), or NaN where it cannot look back far enough",
            f"{wrong.sum()} rows of {len(frame)}, the first says {p[wrong][:1]}",
        )
        return pd.Series(p, frame.index)

    def expect(self, holds: bool, rule: str, was: object) -> None:
        """Raise ModelError if a rule does not hold."""
        if not holds:
            name = f"forecaster {self.candidate.name}"
            raise ModelError(name, rule, was, "See docs/extending.md, what a model must stand.")

    def expect_same(self, one: pd.Series[float], two: pd.Series[float], rule: str) -> None:
        """Raise ModelError if two forecasts differ in a bit."""
        differs = ~((one == two) | (one.isna() & two.isna()))
        most = (one - two).abs().max()
        self.expect(not differs.any(), rule, f"{differs.sum()} rows differ, by up to {most:.1e}")

    def _new_folder(self) -> Path:
        self._n_fits += 1
        return self.folder / f"{self.candidate.name}-{self._n_fits}"


def _run_lengths(frame: pd.DataFrame) -> NDArray[np.int64]:
    at = pd.Series(frame.index.get_level_values("closed_at"), np.arange(len(frame)))
    runs = np.ones(len(frame), dtype=np.int64)
    for _, stamps in at.groupby(np.asarray(frame.index.get_level_values("instrument"))):
        stamps = stamps.sort_values()
        goes_on = (stamps.diff() == HOUR).to_numpy()
        length = 0
        for position, follows in zip(stamps.index, goes_on, strict=True):
            length = length + 1 if follows else 1
            runs[position] = length
    return runs
