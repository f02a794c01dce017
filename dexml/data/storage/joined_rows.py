"""Joined rows with room after them, so that more can follow without a copy of all."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

__all__ = ["JoinedRows"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

_SPARE = 64  # rows


class JoinedRows:
    """What exchanges agreed on, and the close at each.

    Rows that were given out never change: others follow them in the same memory, and where rows are
    put in the place of others all are copied.

    Parameters
    ----------
    stamps : ndarray of datetime64[ns], shape (n_rows,)
    agreed : ndarray, shape (5, n_rows)
    closes : ndarray, shape (n_rows, n_exchanges)

    Examples
    --------
    >>> at = np.datetime64("2024-01-01", "ns") + np.arange(3) * np.timedelta64(1, "h")
    >>> rows = JoinedRows(at[:2], np.ones((5, 2)), np.ones((2, 2)))
    >>> before = rows.stamps
    >>> after = rows.followed(2, at[2:], np.ones((5, 1)), np.ones((1, 2)))
    >>> len(before), len(after.stamps), after.closes.shape
    (2, 3, (3, 2))
    """

    def __init__(self, stamps: Times, agreed: Floats, closes: Floats) -> None:
        n_room = len(stamps) + max(_SPARE, len(stamps) // 8)
        self._room = _Room(n_room, len(agreed), closes.shape[1])
        self._n_rows = self._room.write(0, stamps, agreed, closes)

    @property
    def stamps(self) -> Times:
        return self._room.stamps[: self._n_rows]

    @property
    def agreed(self) -> Floats:
        return self._room.agreed[:, : self._n_rows]

    @property
    def closes(self) -> Floats:
        return self._room.closes[: self._n_rows]

    def followed(self, n_same: int, stamps: Times, agreed: Floats, closes: Floats) -> JoinedRows:
        """Return the first `n_same` rows and others after them."""
        room = self._room
        with room.guard:
            if n_same == room.n_used and n_same + len(stamps) <= len(room.stamps):
                longer = object.__new__(JoinedRows)
                longer._room = room
                longer._n_rows = room.write(n_same, stamps, agreed, closes)
                return longer
        return JoinedRows(
            np.concatenate([room.stamps[:n_same], stamps]),
            np.concatenate([room.agreed[:, :n_same], agreed], axis=1),
            np.concatenate([room.closes[:n_same], closes]),
        )


class _Room:
    """Memory that several `JoinedRows` share; each sees as much of it as it was given."""

    def __init__(self, n_room: int, n_fields: int, n_exchanges: int) -> None:
        self.stamps: Times = np.empty(n_room, dtype="M8[ns]")
        self.agreed: Floats = np.empty((n_fields, n_room))
        self.closes: Floats = np.empty((n_room, n_exchanges))
        self.n_used = 0
        self.guard = Lock()  # several threads may go on from the same rows

    def write(self, first: int, stamps: Times, agreed: Floats, closes: Floats) -> int:
        self.n_used = first + len(stamps)
        self.stamps[first : self.n_used] = stamps
        self.agreed[:, first : self.n_used] = agreed
        self.closes[first : self.n_used] = closes
        return self.n_used
