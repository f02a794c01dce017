"""Arrays that are views of one memory."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

__all__ = ["same_place"]


def same_place(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Tell whether two arrays begin at the same place, so that what rows both have is the same.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.arange(4.0)
    >>> same_place(values[:2], values), same_place(values, values.copy())
    (True, False)
    """
    return (
        one.ctypes.data == other.ctypes.data
        and one.strides == other.strides
        and one.dtype == other.dtype
    )
