"""What every model of the suite is to the rest of the system."""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from dexml.domain import Floats

__all__ = ["Forecaster"]


class Forecaster(Protocol):
    """Anything that turns panel rows into probabilities; a row's answer never depends on others."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the panel that are read."""
        ...

    def predict(self, panel: pd.DataFrame) -> Floats:
        """Return the probability of label 1 for each row, shape (n_rows,), in (0, 1)."""
        ...
