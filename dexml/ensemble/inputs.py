"""What every way of combining learns from: rows with a label, and what each member said of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dexml.ensemble.logistic import Floats
from dexml.errors import ModelError

__all__ = ["Labelled", "labelled"]


class Labelled(NamedTuple):
    """Rows whose label is known.

    Attributes
    ----------
    said : DataFrame, shape (n, n_members)
    y, counts : ndarray, shape (n,)
        Labels, and how often each row counts.
    """

    said: pd.DataFrame
    y: Floats
    counts: Floats


def labelled(oof: pd.DataFrame, y: ArrayLike, counts: ArrayLike | None = None) -> Labelled:
    """Return the rows with a label that count.

    Raises
    ------
    ModelError
        If there is no row, only one class, or a member never spoke.
    """
    labels = np.ascontiguousarray(y, dtype=np.float64)
    often = np.ones_like(labels)
    if counts is not None:
        often = np.ascontiguousarray(counts, dtype=np.float64)
    known = np.isfinite(labels) & (often > 0)
    rows = Labelled(oof.loc[known], labels[known], often[known])
    if not 0 < rows.y.sum() < len(rows.y):
        raise ModelError("stacker labels", "must hold both classes", len(rows.y), "Give more rows.")
    for member in rows.said.columns[rows.said.isna().all()]:
        raise ModelError(f"member {member}", "must have forecasts", "none", "Leave it out.")
    return rows
