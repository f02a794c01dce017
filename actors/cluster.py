"""Which Ray is used: one of our own on loopback, or the cluster that a job was submitted to."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil
import ray
import ray._private.parameter
import ray._private.ray_constants
from ray._common.tls_utils import add_port_to_grpc_server

from actors.runtime import NAMESPACE
from dexml.errors import EnvironmentRefused, UnsafeSetup
from dexml.extensions import VARIABLE, import_inherited, imported

__all__ = ["free_port", "join_or_start", "keep_replica_private", "start_local"]

_LOG = logging.getLogger(__name__)
_RAY = "r"  # short, because the paths of Ray's sockets may not be long
_START_PATIENCE_S = 180  # Ray's dashboard gets 30 otherwise, too short for two busy cores
_QUIET_PORTS = range(20_000, 32_000)  # above what Ray gives its workers, below ephemeral ones
_METRIC_PORTS = ("AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")


def start_local(temp_dir: Path, *, num_cpus: int | None = None, dashboard: bool = True) -> str:
    """Start a Ray of our own on loopback, never joining another, and return its dashboard's URL.

    Without `dashboard` there is none, and Ray starts with ten processes less; the URL is "".
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
    try:
        return _start(temp_dir, num_cpus, dashboard)
    except Exception as first:  # Ray raises plain exceptions where one of its processes is late
        _LOG.warning("Ray did not start, trying once more", exc_info=first)
        _stop_remains(temp_dir)
    except KeyboardInterrupt:
        ray.shutdown()  # else Ray does it when Python ends, and writes its folder anew
        raise
    try:
        return _start(temp_dir, num_cpus, dashboard)
    except Exception as error:
        raise EnvironmentRefused(
            "Ray", "must start", _last_line(error), "Close other programs and try again."
        ) from error


def _start(temp_dir: Path, num_cpus: int | None, dashboard: bool) -> str:
    with _ports_of_our_own(), _sigterm_put_off():
        context = ray.init(
            address="local",
            num_cpus=num_cpus,
            namespace=NAMESPACE,
            include_dashboard=dashboard,
            dashboard_host="127.0.0.1",
            dashboard_port=free_port(),
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=256 * 2**20,
            runtime_env=_extended(),
            _temp_dir=str(temp_dir / _RAY),  # Ray opens it to everybody: only its parent is private
        )
    return f"http://{context.dashboard_url}" if dashboard else ""


@contextmanager
def _sigterm_put_off() -> Iterator[None]:
    # While it is initialised Ray takes SIGTERM for itself, in C++ with a handler that aborts.
    # Blocked meanwhile, in each thread that begins here, it is heard by our own handler after.
    _let_children_hear()
    handler = signal.getsignal(signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@cache
def _let_children_hear() -> None:
    # or Ray's daemons, which inherit what is blocked, would only end when they are killed
    unblock = partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.register_at_fork(after_in_child=unblock)


def _stop_remains(temp_dir: Path) -> None:
    # each process of this Ray has a path below the folder among its arguments
    ray.shutdown()
    children = psutil.Process().children(recursive=True)
    ours = [one for one in children if f"{temp_dir / _RAY}/session_" in _command_line(one)]
    for process in ours:
        process.kill()
    psutil.wait_procs(ours, timeout=10)


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


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


def join_or_start(temp_dir: Path, *, num_cpus: int | None = None) -> None:
    """Join the cluster that submitted this job, else start one without dashboard, of `num_cpus`."""
    if os.environ.get("RAY_ADDRESS"):
        ray.init(
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env=_extended(),
        )
    else:
        start_local(temp_dir, num_cpus=num_cpus, dashboard=False)


def import_in_worker() -> None:
    """Import in a process of Ray's what the driver was extended by."""
    import_inherited(os.environ)


def _extended() -> dict[str, Any] | None:
    if not imported():
        return None
    setup = f"{__name__}.{import_in_worker.__name__}"
    names = {VARIABLE: os.environ[VARIABLE]}
    return {"env_vars": names, "worker_process_setup_hook": setup}


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
    """Return `wanted` if it is free on loopback (0: any free port), else raise.

    Any free port is one that the system does not hand out to outgoing connections, which could
    take it before it is used.
    """
    if wanted:
        if not _is_free(wanted):
            raise EnvironmentRefused(
                "port", "must be free", wanted, "Stop what uses it, or give --port 0 for any."
            )
        return wanted
    tried = (secrets.choice(_QUIET_PORTS) for _ in range(1_000))
    port = next((port for port in tried if _is_free(port)), None)
    if port is None:
        raise EnvironmentRefused(
            "ports", "must be free", _QUIET_PORTS, "Stop some of the servers on this machine."
        )
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _write_token(path: Path) -> Path:
    """Write a new random token that guards a local Ray, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    return path
