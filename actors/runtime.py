"""The options of every actor, and how one is started, found and called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import ray
from ray.exceptions import (
    GetTimeoutError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from dexml.errors import DexmlError, EnvironmentRefused

__all__ = [
    "NAMESPACE",
    "SPECS",
    "ActorSpec",
    "away",
    "call",
    "find",
    "is_ready",
    "result",
    "start",
    "submit",
]

NAMESPACE = "dexml"
Lifetime = Literal["detached"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorSpec:
    """Ray options of an actor.

    An explicit `num_cpus` is held for an actor's life, so owners take none; work that needs CPUs is
    a task. Calls are at-most-once: what must not happen twice carries a key, and the caller
    retries.

    Attributes
    ----------
    max_pending_calls : int
        Calls of one caller that may wait; a further one is refused at once instead of queued.
    beside : tuple of str
        Methods that answer while the others work.
    """

    num_cpus: float = 0
    max_restarts: int = -1
    max_task_retries: int = 0
    max_pending_calls: int = 100
    beside: tuple[str, ...] = ()

    def remote(self, cls: type, **named: Any) -> Any:
        """Make `cls` a remote class; each method of `beside` gets a thread of its own."""
        options = {name: value for name, value in asdict(self).items() if name != "beside"}
        for name in self.beside:
            ray.method(concurrency_group=name)(getattr(cls, name))
        groups = dict.fromkeys(self.beside, 1)
        made = ray.remote(concurrency_groups=groups)(cls) if groups else ray.remote(cls)
        return made.options(**options, **named)


SPECS = {
    "FeedActor": ActorSpec(beside=("health",)),
    "ContextActor": ActorSpec(),
    "ForecastActor": ActorSpec(),
    "TrainerActor": ActorSpec(),
    "RiskActor": ActorSpec(),
    "ExecutionActor": ActorSpec(),
    "MonitorActor": ActorSpec(),
}


def start(cls: type, /, *args: Any, name: str, lifetime: Lifetime = "detached") -> Any:
    """Start `cls` as the named actor, or return the handle if it already runs.

    Parameters
    ----------
    cls : type
        A plain class whose name stands in `SPECS`.
    lifetime : "detached" or None
        None: the actor dies with the driver (`dexml demo`).
    """
    spec = SPECS[cls.__name__]
    named = {"name": name, "namespace": NAMESPACE, "lifetime": lifetime, "get_if_exists": True}
    return spec.remote(cls, **named).remote(*args)


def find(name: str) -> Any:
    """Return the handle of a named actor; `ValueError` if there is none."""
    return ray.get_actor(name, namespace=NAMESPACE)


def call(actor: Any, method: str, *args: Any, timeout_s: float = 5.0) -> Any:
    """Call a method of an actor (a handle or its name) and wait at most `timeout_s` seconds.

    Raises
    ------
    ray.exceptions.GetTimeoutError
        After `timeout_s`; the call may still take effect, so repeat it only if it has a key.
    ray.exceptions.RayActorError
        If the actor is away; what it had begun may have happened.
    """
    return send(find(actor) if isinstance(actor, str) else actor, method, *args)(timeout_s)


def send(handle: Any, method: str, *args: Any) -> Callable[[float], Any]:
    """Call a method of an actor, and return what waits so many seconds for its answer."""
    answer = getattr(handle, method).remote(*args)

    def wait(timeout_s: float) -> Any:
        return ray.get(answer, timeout=timeout_s)

    return wait


def away(error: BaseException) -> bool:
    """Tell whether `error` means that the actor may come back and the call may be repeated."""
    return isinstance(error, RayActorError | GetTimeoutError)


def submit(function: Callable[..., Any], *args: Any, num_cpus: float) -> Any:
    """Queue a function as a Ray task that is never repeated by itself."""
    return ray.remote(function).options(num_cpus=num_cpus, max_retries=0).remote(*args)


def is_ready(reference: Any) -> bool:
    """Tell at once whether a task has ended."""
    ended, _ = ray.wait([reference], timeout=0)
    return bool(ended)


def result(reference: Any, timeout_s: float = 5.0) -> Any:
    """Return what a task returned, or raise what it raised.

    Raises
    ------
    EnvironmentRefused
        If the task's process was killed.
    """
    try:
        return ray.get(reference, timeout=timeout_s)
    except (WorkerCrashedError, OutOfMemoryError) as error:
        raise EnvironmentRefused(
            "task", "must live to its end", type(error).__name__, "Free memory and try again."
        ) from error
    except RayTaskError as error:  # its text is a traceback; ours is one sentence
        if isinstance(error.cause, DexmlError):
            raise error.cause from None
        raise
