"""What this machine has and lacks, each with its fix; and the same asked before a start."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from rich.markup import escape

from dexml.errors import EnvironmentRefused, sentence

__all__ = ["Finding", "examine", "require_place", "require_port", "require_temporary_folder"]

_PINNED = {"ray": "2.58.1", "autogluon.tabular": "1.6.3", "ta-lib": "0.8.2"}
_NEEDED = ("ccxt", "jinja2", "lightgbm", "catboost", "sqlalchemy", "fastapi", "vaderSentiment")
_GB = 2**30
_PORT = 8000  # of the page, unless another is asked for
_HOME_BYTES, _TEMPORARY_BYTES = 1_500_000_000, 1_000_000_000
_SOCKET_PATH = 107  # longest path of a Unix socket
_RAY_TAIL = len("/dexml-12345678/session_2026-01-01_00-00-00_123456_1234567/sockets/plasma_store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    what: str
    seen: str
    ok: bool
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-able values."""
        return asdict(self)

    def line(self) -> str:
        """Return the finding as a line for people, in Rich's markup."""
        mark = "[green]ok[/green]     " if self.ok else "[red]missing[/red]"
        said = f"{self.what}: {self.seen}"
        return f"{mark}  {escape(said if self.ok else f'{sentence(said)} {self.fix}')}"


def examine(home: Path) -> list[Finding]:
    """Look at Python, libraries, memory, cores and the two places that are written.

    Examples
    --------
    >>> all(finding.ok or finding.fix for finding in examine(Path(tempfile.gettempdir())))
    True
    """
    return [
        _python(),
        *(_pinned(name, wanted) for name, wanted in _PINNED.items()),
        *(_needed(name) for name in _NEEDED),
        _memory(),
        _cores(),
        _checked("home", str(home), require_place, "home", home),
        _checked("temporary folder", tempfile.gettempdir(), require_temporary_folder),
        _port(),
    ]


def require_place(what: str, folder: Path, n_bytes: int = _HOME_BYTES) -> None:
    """Refuse a folder that cannot be written or lacks room; nothing is left in it.

    Raises
    ------
    EnvironmentRefused
        Naming the folder and the fix.
    """
    fix = "Choose another with TMPDIR." if what.startswith("temp") else "Choose another --home."
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        was = error.strerror if existing.is_dir() else f"{existing} is a file"
        raise EnvironmentRefused(
            f"{what} {folder}", "must be a writable folder", was, fix
        ) from error
    if free < n_bytes:
        raise EnvironmentRefused(
            f"{what} {folder}",
            f"must have {n_bytes / 1e9:.1f} GB free",
            f"{free / 1e9:.2f} GB",
            f"Free space there. {fix}",
        )


def require_temporary_folder() -> None:
    """Refuse a temporary folder in which Ray could not put its sockets and files.

    Raises
    ------
    EnvironmentRefused
        Naming the folder and the fix.
    """
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise EnvironmentRefused(
            "temporary folder", "must be writable", "none", "Set TMPDIR to a writable folder."
        ) from error
    longest = _SOCKET_PATH - _RAY_TAIL
    if len(str(folder)) > longest:
        raise EnvironmentRefused(
            f"temporary folder {folder}",
            f"must have a path of at most {longest} characters, for Ray's sockets",
            len(str(folder)),
            "Set TMPDIR=/tmp.",
        )
    require_place("temporary folder", folder, _TEMPORARY_BYTES)


def require_port(port: int) -> None:
    """Refuse a port on loopback that is taken or not ours to take.

    Raises
    ------
    EnvironmentRefused
        Naming the port and the fix.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            ours = error.errno == errno.EADDRINUSE
            rule = "must be free" if ours else "must be one that you may use"
            was = "taken" if ours else error.strerror
            fix = "Stop what uses it, or give --port 0 for any free one."
            raise EnvironmentRefused(f"port {port}", rule, was, fix) from error


def _python() -> Finding:
    return Finding(
        what="Python",
        seen=sys.version.split()[0],
        ok=(3, 11) <= sys.version_info[:2] < (3, 14),
        fix="Install Python 3.11, 3.12 or 3.13 and run make PYTHON=python3.11.",
    )


def _pinned(name: str, wanted: str) -> Finding:
    seen = _version(name)
    fix = f"Run pip install {name}=={wanted}."
    return Finding(what=name, seen=seen or "not installed", ok=seen == wanted, fix=fix)


def _needed(name: str) -> Finding:
    seen = _version(name)
    return Finding(
        what=name, seen=seen or "not installed", ok=seen is not None, fix="Run make install."
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory() -> Finding:
    free = psutil.virtual_memory().available / _GB
    fix = "Close other programs, or give fewer instruments: --symbols BTC/USDT,ETH/USDT."
    return Finding(what="free memory", seen=f"{free:.1f} GB", ok=free >= 6, fix=fix)


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    return Finding(what="CPU cores", seen=str(cores), ok=cores >= 2, fix="Give it two cores.")


# A note that fails nothing: the page can have any other port.
def _port() -> Finding:
    seen = "free"
    try:
        require_port(_PORT)
    except EnvironmentRefused as error:
        seen = f"{sentence(error.was)} {error.fix}"
    return Finding(what=f"port {_PORT}", seen=seen, ok=True)


def _checked(what: str, seen: str, check: Callable[..., None], *arguments: Any) -> Finding:
    try:
        check(*arguments)
    except EnvironmentRefused as error:
        return Finding(what=what, seen=f"{error.rule}, was {error.was}", ok=False, fix=error.fix)
    return Finding(what=what, seen=seen, ok=True)
