"""Run a fit in a child process that is limited in time and memory and leaves nothing on failure.

`python -m dexml.models.fits request.json` is the child. Whatever AutoGluon does in it, the caller
gets a whole model folder or a `ModelError`, and is never wedged.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dexml.errors import DexmlError, ModelError
from dexml.extensions import import_inherited
from dexml.models.profiles import FitSpec, estimated_seconds
from dexml.models.sequence.config import budget
from dexml.models.tabular import FitReport, fit_tabular, peak_rss_mb

__all__ = ["FitLimits", "FitRequest", "limits_of", "run_fit", "write_rows"]

_LABEL = "label"
_POLL_S = 0.05
_LEAST_S, _PATIENCE = 600.0, 6.0  # a core may be shared by six
_LEAST_MB, _MB_PER_CELL = 4_096.0, 1e-4  # a cell is copied about ten times on its way
_SLOWEST = 25.0  # windows a second of a CNN-LSTM on a core that many share
_FOREVER_S = 14 * 86_400.0  # the full schedule is ended by its early stop
_REFUSED = 3  # exit status of a child that wrote its reason


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """What the child is asked: JSON-able, so that it can be kept and repeated.

    Attributes
    ----------
    rows : str
        Path of a parquet file made by `write_rows`.
    spec : FitSpec
        What to fit.
    """

    rows: str
    spec: FitSpec

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes."""
        return {"rows": self.rows, "spec": asdict(self.spec)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FitRequest:
        """Build a request from `to_dict`.

        Examples
        --------
        >>> spec = FitSpec(target="volume", columns=("volume_ratio_1",))
        >>> request = FitRequest(rows="rows.parquet", spec=spec)
        >>> FitRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request
        True
        """
        return cls(rows=values["rows"], spec=FitSpec(**values["spec"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FitLimits:
    """Where a fit is killed.

    Attributes
    ----------
    wall_s : float
        Seconds from its start.
    memory_mb : float
        MiB of resident memory.
    """

    wall_s: float = _LEAST_S
    memory_mb: float = _LEAST_MB


def limits_of(spec: FitSpec, n_rows: int = 0) -> FitLimits:
    """Return limits that suit a fit: many times what it takes, at least ten minutes.

    Parameters
    ----------
    n_rows : int
        Rows that are learnt from; a CNN-LSTM sees a number of windows whatever they are.

    Examples
    --------
    >>> from dexml.models.sequence.config import SequenceConfig
    >>> spec = FitSpec(target="direction", columns=("return_1",), sequence=SequenceConfig())
    >>> limits_of(spec).wall_s
    10000.0
    """
    if spec.sequence is None:
        return FitLimits(
            wall_s=max(_LEAST_S, _PATIENCE * estimated_seconds(spec, n_rows)),
            memory_mb=_LEAST_MB + n_rows * len(spec.columns) * _MB_PER_CELL,
        )
    most = budget(spec.sequence, spec.profile)
    return FitLimits(wall_s=_FOREVER_S if most is None else 2_000.0 + most / _SLOWEST)


def write_rows(frame: pd.DataFrame, label: pd.Series, path: Path) -> Path:
    """Write training rows where a child finds them: the panel's columns and the label."""
    frame.assign(**{_LABEL: label}).to_parquet(path)
    return path


def run_fit(
    request: FitRequest,
    folder: Path,
    limits: FitLimits | None = None,
    stop: threading.Event | None = None,
) -> FitReport:
    """Fit in a child process and return once the model is in `folder`, or has failed.

    Parameters
    ----------
    request : FitRequest
        What to fit.
    folder : Path
        Appears whole or not at all; must not exist.
    limits : FitLimits, optional
        By default ten minutes and 4 GiB.
    stop : Event, optional
        Set by another thread, it ends the fit as a limit does.

    Raises
    ------
    ModelError
        If the child broke a limit, died, or refused; the folder does not exist then.

    Notes
    -----
    The child is killed when the thread that called this dies (Linux), so a killed actor leaves no
    fit behind.
    """
    limits = limits or FitLimits()
    if folder.exists():
        raise ModelError("model folder", "must not exist", folder.name, "Choose another name.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        seconds, peak = _run_child(request, work, limits, stop or threading.Event())
        os.replace(work / "model", folder)
        return FitReport.read(folder, seconds, peak)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run_child(
    request: FitRequest, work: Path, limits: FitLimits, stop: threading.Event
) -> tuple[float, float]:
    started, peak = time.monotonic(), 0.0
    (work / "request.json").write_text(json.dumps(request.to_dict()))
    with (work / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "dexml.models.fits", str(work / "request.json")],
            env=_environment(request.spec.num_cpus),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while child.poll() is None:
            peak = max(peak, peak_rss_mb(child.pid))
            _refuse_over_limit(request, time.monotonic() - started, child.pid, limits)
            if stop.wait(_POLL_S):
                subject = f"fit of {request.spec.target}"
                raise ModelError(subject, "must be let to its end", "stopped", "Fit again.")
    finally:
        _kill_group(child)
    if child.returncode != 0:
        raise _failure(request, child.returncode, work)
    return time.monotonic() - started, peak


def _environment(num_cpus: int) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [env.get("PYTHONPATH")])])
    pinned = {"PYTHONHASHSEED": "0", "PYTHONPATH": path, "DEXML_FIT_PARENT": str(os.getpid())}
    return env | dict.fromkeys(threads, str(num_cpus)) | pinned


def _refuse_over_limit(request: FitRequest, seconds: float, pid: int, limits: FitLimits) -> None:
    subject = f"fit of {request.spec.target}"
    if seconds > limits.wall_s:
        rule, fix = f"must end within {limits.wall_s:g} s", "Raise the limit or use fewer rows."
        raise ModelError(subject, rule, f"killed after {seconds:.1f} s", fix)
    held = _resident_mb(pid)
    if held > limits.memory_mb:
        rule = f"must hold at most {limits.memory_mb:g} MiB"
        raise ModelError(subject, rule, f"killed at {held:.0f} MiB", "Raise the limit.")


def _resident_mb(pid: int) -> float:
    import psutil

    held = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            held += process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0
    return held / 2**20


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    # Also after a good end: nothing of the session may outlive the fit.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _failure(request: FitRequest, status: int, work: Path) -> ModelError:
    reason = work / "reason.json"
    if status == _REFUSED and reason.is_file():
        return ModelError(*json.loads(reason.read_text()))
    lines = (work / "log.txt").read_text(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it said nothing"
    return ModelError(
        f"fit of {request.spec.target}", "must end well", f"status {status}: {last}", "Fit again."
    )


def _die_with_parent() -> None:
    # Set here and not by preexec_fn, which is unsafe in a parent with threads; a parent that died
    # before this line is noticed by its id.
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.environ.get("DEXML_FIT_PARENT", str(os.getppid())) != str(os.getppid()):
            sys.exit("the parent is gone")


def _freeze_imports() -> None:
    # AutoGluon collects garbage after every model: a third of a second for what it imported.
    import gc

    import dexml.models.fixed  # noqa: F401

    gc.freeze()


def _fit(request: FitRequest, rows: pd.DataFrame, label: pd.Series, folder: Path) -> None:
    if request.spec.sequence is None:
        _freeze_imports()
        fit_tabular(rows, label, request.spec, folder)
        return
    from dexml.models.sequence.fitting import fit_sequence

    # Beside the rows, which outlive a fit that is killed: the next one goes on from there.
    fit_sequence(rows, label, request.spec, folder, Path(f"{request.rows}.checkpoints"))


def _main(path: Path) -> int:
    _die_with_parent()
    request = FitRequest.from_dict(json.loads(path.read_text()))
    try:
        import_inherited(os.environ)
        rows = pd.read_parquet(request.rows)
        _fit(request, rows.drop(columns=_LABEL), rows[_LABEL], path.parent / "model")
    except DexmlError as error:
        reason = [error.subject, error.rule, error.was, error.fix]
        (path.parent / "reason.json").write_text(json.dumps(reason))
        return _REFUSED
    return 0


if __name__ == "__main__":
    ended = _main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written: a library's thread that is still there when C++ takes itself down would abort
    # the process, and with it a fit that ended well.
    os._exit(ended)
