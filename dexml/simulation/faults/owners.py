"""Whom the simulation puts on its stage: the product's owners, named and told how calls can end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from dexml.events import Request
from dexml.execution.broker import Broker
from dexml.ledger import Ledger

__all__ = ["SECRET", "Died", "DriverDied", "Owners", "Post"]

SECRET = "c4n4ry-0f-4-s3cr3t"  # stands in what outsiders say, and may stand in no record


class Died(BaseException):
    """The process of an owner ended here and now."""


class DriverDied(BaseException):
    """The process that drives the loop ended here and now."""


class Owners(Protocol):
    """The owners of the product, and its words for what can become of a call."""

    def risk(self, run: str, url: str) -> Any: ...
    def execution(self, run: str, url: str, broker: Broker) -> Any: ...
    def driver(
        self,
        run: str,
        ledger: Ledger,
        send: Callable[..., Callable[[float], Any]],
        now: Callable[[], float],
        posts: dict[str, Post],
    ) -> Any:
        """Return what has `cycle(closed_at)` and `look(at)`, its members started."""
        ...

    def request(self, ledger: Ledger, run: str, request: Request) -> None: ...
    def silent(self) -> Exception: ...
    def dead(self) -> Exception: ...


@dataclass(slots=True, eq=False)
class Post:
    """A name under which an owner is found, and its life of now."""

    name: str
    instance: Any = None
