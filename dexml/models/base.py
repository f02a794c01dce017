"""What every model of the suite is: named columns in, one probability for each row out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import ModelError

__all__ = ["Forecaster", "lookback_of", "predict_among", "take_columns"]

Floats = NDArray[np.float64]


class Forecaster(Protocol):
    """Whatever turns rows of a panel into probabilities of one target.

    One that looks at earlier rows, too, has an attribute `lookback`: how many rows of an instrument
    without a hole, the forecast one among them. It says NaN where the frame does not hold them.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the panel columns that must be there."""
        ...

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return probabilities in (0, 1), shape (n_rows,); a row's bits ignore its neighbours."""
        ...


def lookback_of(forecaster: Forecaster) -> int:
    """Return how many rows of an instrument, the forecast one among them, a forecast needs."""
    return int(getattr(forecaster, "lookback", 1))


def predict_among(forecaster: Forecaster, rows: pd.DataFrame, past: pd.DataFrame | None) -> Floats:
    """Return the forecasts of rows by a forecaster that may look at the rows before them.

    Parameters
    ----------
    past : DataFrame or None
        Rows among which `rows` are; only what the forecaster looks back at is used. None: `rows`
        are all that it sees.
    """
    lookback = lookback_of(forecaster)
    if past is None or lookback == 1 or rows.empty:
        return forecaster.predict(rows)
    at, wanted = (frame.index.get_level_values("closed_at") for frame in (past, rows))
    closes = at.unique().sort_values()
    first = closes[max(0, int(closes.searchsorted(wanted.min())) - lookback + 1)]
    seen = past[(at >= first) & (at <= wanted.max())]
    said = pd.Series(forecaster.predict(seen), seen.index).reindex(rows.index)
    return np.asarray(said, dtype=np.float64)


def take_columns(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return the columns of a frame in the asked order.

    Raises
    ------
    ModelError
        If a column is missing; all that are missing are named.

    Examples
    --------
    >>> take_columns(pd.DataFrame({"a": [1.0], "b": [2.0]}), ("b",)).to_numpy().tolist()
    [[2.0]]
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ModelError(
            "model input",
            f"must have the columns {', '.join(missing)}",
            f"{len(frame.columns)} other columns",
            "Build the panel with the features that the model was fitted on.",
        )
    return frame.loc[:, list(columns)]
