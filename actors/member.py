"""One actor of a crew, as the supervisor knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Member"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One actor of the crew: how to find it and how it begins.

    Attributes
    ----------
    name : str
        Its Ray name, which is also the name of its writer stream.
    begin : callable
        Gives the arguments of `start` after the epoch; called at each (re)start.
    """

    name: str
    handle: Any
    begin: Callable[[], tuple[Any, ...]] = tuple
