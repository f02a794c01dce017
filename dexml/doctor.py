"""What this machine has and lacks, each with its fix."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

__all__ = ["Finding", "examine"]

_PINNED = {"ray": "2.58.1", "autogluon.tabular": "1.6.3", "ta-lib": "0.8.2"}
_NEEDED = ("ccxt", "jinja2", "lightgbm", "catboost", "sqlalchemy", "fastapi", "vaderSentiment")
_GB = 2**30


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
        _place("home", home),
        _place("temporary folder", Path(tempfile.gettempdir())),
    ]


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


def _place(what: str, folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / _GB
    writable = os.access(existing, os.W_OK)
    seen = f"{folder}, {free:.1f} GB free" + ("" if writable else ", read-only")
    fix = "Free 2 GB there, or choose another with --home (TMPDIR for the temporary folder)."
    return Finding(what=what, seen=seen, ok=writable and free >= 2, fix=fix)
