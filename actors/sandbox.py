"""A place for one local run: what it starts and writes is gone when it ends, however it ends."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from actors.interruption import interruptible

__all__ = ["MemoryWatch", "sandbox"]

_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_BASE = 26
_PREFIX, _OWNER = "dexml-", "owner"
_HALF_WRITTEN = re.compile(r"\..+\.(\d+)\.(?:partial|tmp)")


@contextmanager
def sandbox(home: Path | None = None) -> Iterator[Path]:
    """Give a short temporary folder; at the end stop what was started since and remove it.

    Parameters
    ----------
    home : Path, optional
        Where what a stopped process had half written (`.NAME.PID.partial`, `.NAME.PID.tmp`) is
        removed too, now and at the end.

    The process becomes the reaper of its orphaned descendants, so that a worker whose parent died
    (Ray starts processes through processes) is still found; what its caller had started before, and
    whatever that starts, is left alone. Ctrl-C, SIGTERM and a closed terminal all unwind through
    here; further ones are ignored from then on. Descendants put their own temporary files into the
    folder, so that even a killed one leaves none behind. What a run left that was itself killed
    with SIGKILL is removed by the next one.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _sweep_folders(Path(_short_folder()))
    if home is not None:
        _sweep(home)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_short_folder()))
    (folder / _OWNER).write_text(_identity(psutil.Process()))
    others = psutil.Process().children(recursive=True)

    def clean_up() -> None:
        _stop_descendants(others)
        shutil.rmtree(folder, ignore_errors=True)
        if home is not None:
            _sweep(home)

    with interruptible(clean_up) as end:
        try:
            with _temporary_files_in(folder / "tmp"):
                yield folder
        finally:
            end()
            clean_up()


def _identity(process: psutil.Process) -> str:
    return f"{process.pid} {process.create_time()}"  # a pid alone may be used again


def _sweep_folders(base: Path) -> None:
    for owner in base.glob(f"{_PREFIX}*/{_OWNER}"):
        try:
            pid, _ = (said := owner.read_text()).split()
            if psutil.pid_exists(int(pid)) and _identity(psutil.Process(int(pid))) == said:
                continue
        except (OSError, ValueError, psutil.NoSuchProcess):  # somebody else's, or just removed
            continue
        for process in psutil.process_iter():
            if _writes_below(owner.parent, process):
                _signal(process, signal.SIGKILL)
        shutil.rmtree(owner.parent, ignore_errors=True)


def _writes_below(folder: Path, process: psutil.Process) -> bool:
    # Ray's processes change their titles, and with them what can be read of their environment
    try:
        return any(file.path.startswith(f"{folder}/") for file in process.open_files())
    except psutil.Error:
        return False


def _short_folder() -> str:
    # Ray's sockets lie 80 characters deeper, and the path of a socket may have 107
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _LONGEST_BASE else "/tmp"


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    folder.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def _sweep(home: Path) -> None:
    for path in home.rglob(".*.*"):
        match = _HALF_WRITTEN.fullmatch(path.name)
        if match and not _is_written(path, int(match[1])):  # others of this home live on
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _is_written(path: Path, pid: int) -> bool:
    # a process that nobody has reaped yet keeps its number, and a later one may have got it
    with suppress(psutil.NoSuchProcess, FileNotFoundError):
        writer = psutil.Process(pid)
        began, changed = writer.create_time(), path.stat().st_mtime
        return writer.status() != psutil.STATUS_ZOMBIE and began <= changed
    return False


def _stop_descendants(others: list[psutil.Process], grace_s: float = 3.0) -> None:
    ours = _descendants_but(others)
    for process in ours:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(ours, timeout=grace_s)
    while alive := alive or _descendants_but(others):
        for process in alive:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=grace_s)
        _reap(alive)
        alive = []


def _descendants_but(others: list[psutil.Process]) -> list[psutil.Process]:
    spared = set(others)
    for process in others:
        with suppress(psutil.NoSuchProcess):
            spared.update(process.children(recursive=True))
    return [each for each in psutil.Process().children(recursive=True) if each not in spared]


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return


def _reap(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


class MemoryWatch:
    """Measures the memory of this process and all its descendants until it is stopped.

    Shared pages are divided among their users (proportional set size), so that twenty Ray workers
    are not charged twenty times for one library.
    """

    def __init__(self, period_s: float = 2.0) -> None:
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mb = 0.0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def take_peak(self) -> float:
        """Return the peak since the last call, in MB, and begin anew."""
        peak, self.peak_mb = max(self.peak_mb, self.now_mb()), 0.0
        return peak

    def now_mb(self) -> float:
        """Return the memory in use now, in MB."""
        me = psutil.Process()
        return sum(_proportional_mb(process) for process in [me, *me.children(recursive=True)])

    def _watch(self) -> None:
        while not self._stop.wait(self._period_s):
            self.peak_mb = max(self.peak_mb, self.now_mb())


def _proportional_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 2**20
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
