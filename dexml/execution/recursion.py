"""What the Ethereum libraries do to a process by being imported, undone."""

from __future__ import annotations

import sys

__all__ = ["limit_recursion"]

USUAL, TOO_DEEP = 1_000, 100_000


def limit_recursion() -> None:
    """Give Python its usual recursion limit back; to be called after web3 or eth-account came.

    py_ecc, which both import, raises it to 100,000 frames. A nested document of 100 kB from
    anywhere, a request or a manifest, would then overflow the stack and kill the process, where a
    `RecursionError` refuses it. A limit that somebody else has set is left alone.

    Examples
    --------
    >>> limit_recursion()
    >>> sys.getrecursionlimit() < 100_000
    True
    """
    if sys.getrecursionlimit() >= TOO_DEEP:
        sys.setrecursionlimit(USUAL)
