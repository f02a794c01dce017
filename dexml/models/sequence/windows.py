"""Windows of consecutive bars of one instrument, scaled by what the training rows show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import ModelError
from dexml.models.base import take_columns

__all__ = ["Scaler", "Tape", "lay_out"]

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tape:
    """The rows of a panel, instrument after instrument and bar after bar.

    Attributes
    ----------
    values : ndarray, shape (n_rows, n_columns)
        NaN where a value is missing or infinite.
    rows : ndarray of int64, shape (n_rows,)
        Position of each row in the frame that it came from.
    run : ndarray of int64, shape (n_rows,)
        Bars of the instrument that end here without a hole: 1 after a hole, then 2, 3, ...
    """

    values: Floats
    rows: Positions
    run: Positions

    def ends(self, length: int) -> Positions:
        """Return where on the tape a whole window of `length` bars ends."""
        return np.flatnonzero(self.run >= length)

    def touches(self, ends: Positions, length: int, marked: Mask) -> Mask:
        """Tell which windows hold a row that is marked; `marked` has the order of the frame."""
        counted = np.concatenate([[0], np.cumsum(marked[self.rows])])
        return np.asarray(counted[ends + 1] > counted[ends + 1 - length])


def lay_out(frame: pd.DataFrame, columns: tuple[str, ...], step: pd.Timedelta) -> Tape:
    """Put the rows of a panel in the order in which windows are cut from them.

    Parameters
    ----------
    frame : DataFrame
        Index (closed_at, instrument), in any order.
    columns : tuple of str
        What the network sees.
    step : Timedelta
        Distance of two bars that follow one another; any other distance is a hole.

    Raises
    ------
    ModelError
        If a column is missing.

    Examples
    --------
    >>> at = pd.to_datetime(["2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 04:00"], utc=True)
    >>> index = pd.MultiIndex.from_product([at, ["A/B"]], names=["closed_at", "instrument"])
    >>> lay_out(pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index), ("x",), pd.Timedelta("1h")).run
    array([1, 2, 1])
    """
    values = take_columns(frame, columns).to_numpy(dtype=np.float64)
    at = pd.DatetimeIndex(frame.index.get_level_values("closed_at")).as_unit("ns").asi8
    names, _ = pd.factorize(frame.index.get_level_values("instrument"))
    order = np.lexsort((at, names)).astype(np.int64)
    goes_on = np.zeros(len(order), dtype=bool)
    goes_on[1:] = (np.diff(at[order]) == step.value) & (np.diff(names[order]) == 0)
    number = np.arange(len(order), dtype=np.int64)
    began = np.maximum.accumulate(np.where(goes_on, 0, number)) if len(order) else number
    values = values[order]
    return Tape(
        values=np.where(np.isfinite(values), values, np.nan), rows=order, run=number - began + 1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """What makes columns comparable, learnt from training rows and from nothing else.

    A value that is missing becomes the mean of the training rows. A column that never varied there
    says nothing, whatever it is later.

    Attributes
    ----------
    means, factors : tuple of float
        A value x becomes (x - mean) * factor, cut at `clip`.
    masked : tuple of int
        Columns in which training rows were missing: each has a further column of 1 (missing) and 0.
    """

    means: tuple[float, ...]
    factors: tuple[float, ...]
    masked: tuple[int, ...]
    clip: float

    @classmethod
    def fit(cls, values: Floats, clip: float, mask_missing: bool) -> Self:
        """Learn from rows, shape (n_rows, n_columns).

        Raises
        ------
        ModelError
            If there is no row.

        Examples
        --------
        >>> scaler = Scaler.fit(np.array([[1.0, 7.0], [3.0, 7.0]]), clip=5.0, mask_missing=True)
        >>> scaler.apply(np.array([[4.0, 9.0], [np.nan, 7.0]])).tolist()
        [[2.0, 0.0], [0.0, 0.0]]
        """
        if not len(values):
            raise ModelError("training windows", "must hold rows", "none", "Give more bars.")
        means, spread = _moments(values)
        varies = spread > 1e-12 * np.maximum(1.0, np.abs(means))
        factors = np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)
        missing = np.flatnonzero(np.isnan(values).any(axis=0) & mask_missing)
        return cls(
            means=tuple(map(float, means)),
            factors=tuple(map(float, factors)),
            masked=tuple(map(int, missing)),
            clip=clip,
        )

    @property
    def n_channels(self) -> int:
        """Columns that come out."""
        return len(self.means) + len(self.masked)

    def apply(self, values: Floats) -> NDArray[np.float32]:
        """Return what the network sees, shape (n_rows, n_channels); never NaN."""
        scaled = (values - np.array(self.means)) * np.array(self.factors)
        scaled = np.clip(np.where(np.isnan(scaled), 0.0, scaled), -self.clip, self.clip)
        flags = np.isnan(values[:, list(self.masked)]).astype(np.float64)
        return np.concatenate([scaled, flags], axis=1).astype(np.float32)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a scaler from what `dataclasses.asdict` made of one."""
        lists = ("means", "factors", "masked")
        return cls(clip=values["clip"], **{name: tuple(values[name]) for name in lists})


def _moments(values: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, values, 0.0).sum(axis=0) / counts
    away = np.where(known, values - means, 0.0)
    return means, np.sqrt((away * away).sum(axis=0) / counts)
