"""Which values of a series are errors of their source, whatever the world does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dexml.data.sources.series import SeriesSpec

__all__ = ["RATIO", "implausible"]

RATIO = 50.0
_NEIGHBOURS = 5  # on each side


def implausible(spec: SeriesSpec, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which values cannot be of a series.

    Parameters
    ----------
    values : ndarray of float64, shape (n_periods,)
        By period; NaN is never implausible.

    Notes
    -----
    A registered series has bounds (`SeriesSpec.plausible`). Any other value is implausible if its
    size is over `RATIO` times that of each of the five values on either side; a level that stays
    is data, and so is whatever stands alone.

    Examples
    --------
    >>> from datetime import timedelta
    >>> from dexml.data.sources.series import AfterPeriod
    >>> spec = SeriesSpec(name="cpi", release=AfterPeriod(lag=timedelta(0)), unit="", doc="")
    >>> implausible(spec, np.array([3.0, 3.1, 310.0, 3.0])).tolist()
    [False, False, True, False]
    """
    if spec.plausible is not None:
        low, high = spec.plausible
        return np.asarray((values < low) | (values > high))
    sizes = np.abs(values)
    padded = np.pad(sizes, _NEIGHBOURS, constant_values=np.nan)
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)
    others = np.fmax.reduce(np.delete(near, _NEIGHBOURS, axis=1), axis=1)
    return np.asarray((others > 0) & (sizes > RATIO * others))
