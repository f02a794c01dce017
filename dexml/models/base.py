"""What every model of the suite is: named columns in, one probability for each row out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import ModelError

__all__ = ["Forecaster", "take_columns"]

Floats = NDArray[np.float64]


class Forecaster(Protocol):
    """Whatever turns rows of a panel into probabilities of one target."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the panel columns that must be there."""
        ...

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return probabilities in (0, 1), shape (n_rows,); a row's bits ignore its neighbours."""
        ...


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
