"""A fit as a child process with limits: nothing it does can wedge or bloat whoever asked for it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from dexml.domain import Target
from dexml.errors import ModelError
from dexml.models.tabular import FitReport, FitSpec, fit_tabular

__all__ = ["FitLimits", "FitRequest", "run_fit"]

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """What to fit, and the parquet file of the training rows."""

    rows: str
    spec: FitSpec

    def to_json(self) -> str:
        """Return the request as text for the child process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> FitRequest:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        spec = values["spec"]
        columns, target = tuple(spec.pop("columns")), Target(spec.pop("target"))
        return cls(rows=values["rows"], spec=FitSpec(columns=columns, target=target, **spec))


@dataclass(frozen=True, slots=True, kw_only=True)
class FitLimits:
    """When a fit is killed: after `wall_s` seconds or above `memory_mb` of resident memory."""

    wall_s: float = 900.0
    memory_mb: float = 4_096.0


def run_fit(request: FitRequest, folder: Path, limits: FitLimits) -> FitReport:
    """Fit in a child process; the folder appears whole or not at all.

    Raises
    ------
    ModelError
        If the child fails or breaks a limit; nothing is left behind.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "request.json").write_text(request.to_json())
    try:
        _run_child(request, partial, limits)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _read_report(folder)


def _run_child(request: FitRequest, partial: Path, limits: FitLimits) -> None:
    with (partial / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "dexml.models.fits", str(partial)],
            env=_environment(request.spec.num_cpus),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        reason = _watch(child, limits)
    if reason or child.returncode:
        said = (partial / "log.txt").read_text(errors="replace").strip().splitlines()
        raise ModelError(
            f"fit of {request.spec.target}",
            "must end well",
            reason or (said[-1] if said else f"exit code {child.returncode}"),
            "Raise the limits, or give fewer rows.",
        )


def _watch(child: subprocess.Popen[bytes], limits: FitLimits) -> str:
    deadline = time.monotonic() + limits.wall_s
    try:
        while child.poll() is None:
            if time.monotonic() > deadline:
                return f"longer than {limits.wall_s:.0f} s"
            if _memory_mb(child.pid) > limits.memory_mb:
                return f"more than {limits.memory_mb:.0f} MB"
            time.sleep(_POLL_S)
        return ""
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _memory_mb(pid: int) -> float:
    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def _environment(num_cpus: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {"OMP_NUM_THREADS": str(num_cpus), "AG_CPU_COUNT": str(num_cpus)}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _read_report(folder: Path) -> FitReport:
    values: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return FitReport(**{**values, "target": Target(values["target"])})


def _child(partial: Path) -> None:
    request = FitRequest.from_json((partial / "request.json").read_text())
    report = fit_tabular(pd.read_parquet(request.rows), request.spec, partial)
    (partial / "report.json").write_text(json.dumps(report.to_dict(), indent=1))


if __name__ == "__main__":
    _child(Path(sys.argv[1]))
