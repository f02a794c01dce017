"""Ray in one place: the options of every actor, how one is started, found and called."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import ray
import ray._private.parameter
import ray._private.ray_constants
from ray._common.tls_utils import add_port_to_grpc_server
from ray.exceptions import GetTimeoutError, OutOfMemoryError, RayActorError, WorkerCrashedError

from dexml.errors import EnvironmentRefused, UnsafeSetup

__all__ = [
    "NAMESPACE",
    "SPECS",
    "ActorSpec",
    "away",
    "call",
    "find",
    "free_port",
    "is_ready",
    "join_or_start",
    "keep_replica_private",
    "result",
    "start",
    "start_local",
    "submit",
]

NAMESPACE = "dexml"
_LOG = logging.getLogger(__name__)
_START_PATIENCE_S = 180  # Ray's dashboard gets 30 otherwise, too short for two busy cores
_METRIC_PORTS = ("AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")
Lifetime = Literal["detached"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorSpec:
    """Ray options of an actor.

    An explicit `num_cpus` is held for an actor's life, so owners take none; work that needs CPUs is
    a task. Calls are at-most-once: what must not happen twice carries a key, and the caller
    retries.
    """

    num_cpus: float = 0
    max_restarts: int = -1
    max_task_retries: int = 0


SPECS = {
    "FeedActor": ActorSpec(),
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
    options = asdict(SPECS[cls.__name__])
    remote = ray.remote(cls).options(
        name=name, namespace=NAMESPACE, lifetime=lifetime, get_if_exists=True, **options
    )
    return remote.remote(*args)


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
    handle = find(actor) if isinstance(actor, str) else actor
    return ray.get(getattr(handle, method).remote(*args), timeout=timeout_s)


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


def start_local(temp_dir: Path, *, num_cpus: int | None = None) -> str:
    """Start a Ray of our own on loopback, never joining another, and return its dashboard's URL.

    `RAY_AUTH_MODE=token` must be set before this module is imported, because Ray reads it once;
    without it nothing is started. The token is new for each start and lies in `temp_dir`.

    Raises
    ------
    UnsafeSetup
        Without token authentication.
    EnvironmentRefused
        If Ray does not start.
    """
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise UnsafeSetup(
            "RAY_AUTH_MODE", "must be token", os.environ.get("RAY_AUTH_MODE"), "Use `dexml demo`."
        )
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(_write_token(temp_dir / "token"))
    _quieten()
    # Ray rewrites 127.0.0.1 to the machine's outward address and then listens on all interfaces;
    # with its single-machine rule (the default on macOS and Windows) every port stays on loopback.
    ray._private.ray_constants.ENABLE_RAY_CLUSTER = False
    _be_patient()
    with _ports_of_our_own(), _start_failures_in_own_words():
        context = ray.init(
            address="local",
            num_cpus=num_cpus,
            namespace=NAMESPACE,
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            dashboard_port=free_port(),
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=256 * 2**20,
            _temp_dir=str(temp_dir),
        )
    return f"http://{context.dashboard_url}"


def _quieten() -> None:
    # Whatever its log settings are, Ray prints what its daemons report (so many workers, so little
    # memory) and Serve that it has started; the same words stand in the logs in `temp_dir`.
    ray._private.worker.print_to_stdstream = _to_log
    logging.getLogger("ray.serve").setLevel(logging.ERROR)


def _to_log(data: dict[str, Any], ignore_prefix: bool) -> None:
    _LOG.debug("Ray: %s", " ".join(data["lines"]))


def _be_patient() -> None:
    os.environ["RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT"] = str(_START_PATIENCE_S)
    ray._private.ray_constants.RAY_DASHBOARD_STARTUP_TIMEOUT_S = _START_PATIENCE_S


@contextmanager
def _start_failures_in_own_words() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Ray raises plain exceptions where its processes do not start
        raise EnvironmentRefused(
            "Ray", "must start", error, "Close other programs and try again."
        ) from error


@contextmanager
def _ports_of_our_own() -> Iterator[None]:
    # Ray gives three servers of each local cluster the same ports (44217, 44227, 52365), so that of
    # two clusters on a machine one loses them; two can be set by environment, one in no public way
    os.environ |= {name: str(free_port()) for name in _METRIC_PORTS}
    parameter = ray._private.parameter
    original = parameter.RayParams
    parameter.RayParams = partial(original, dashboard_agent_listen_port=free_port())
    try:
        yield
    finally:
        parameter.RayParams = original


def join_or_start(temp_dir: Path) -> None:
    """Join the cluster that submitted this job, else start a local one."""
    if os.environ.get("RAY_ADDRESS"):
        ray.init(namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
    else:
        start_local(temp_dir)


def keep_replica_private() -> None:
    """Let this process' Serve replica listen where Ray knows this machine, not everywhere.

    A replica has an unguarded port for other replicas, which Serve opens on all interfaces. Call it
    in the replica before its application is ready.
    """
    from ray.serve._private import replica

    host = ray._private.worker.global_worker.node_ip_address
    bind = add_port_to_grpc_server

    def bind_here(server: Any, address: str) -> int:
        return int(bind(server, address.replace("[::]", host)))

    replica.add_port_to_grpc_server = bind_here


def free_port(wanted: int = 0) -> int:
    """Return `wanted` if it is free on loopback (0: any free port), else raise."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise EnvironmentRefused(
                "port", "must be free", wanted, "Stop what uses it, or give --port 0 for any."
            ) from error
        return int(probe.getsockname()[1])


def _write_token(path: Path) -> Path:
    """Write a new random token that guards a local Ray, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    return path
