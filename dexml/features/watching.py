"""What a function looks up while it runs: files, databases, servers, other programs."""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["watching"]

_HERE = threading.local()
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".pth", ".nbi", ".nbc")
_OF_THE_MACHINE = ("/proc/", "/sys/", "/dev/", "/usr/share/zoneinfo", "/etc/localtime")
_OUTSIDE = {"sqlite3.connect": 0, "socket.connect": 1, "subprocess.Popen": 0, "os.system": 0}


@contextmanager
def watching() -> Iterator[list[str]]:
    """Note what this thread reads that is neither code nor part of an installed library.

    What is only written is not noted, and what a library written in C opens by itself is not seen.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "answers.txt")
    ...     with watching() as seen:
    ...         written, n_before, read = file.write_text("up"), len(seen), file.read_text()
    ...     n_before, read, seen == [str(file)]
    (0, 'up', True)
    """
    _listen()
    before, seen = getattr(_HERE, "seen", None), list[str]()
    _HERE.seen = seen
    try:
        yield seen
    finally:
        _HERE.seen = before


# There is no way to stop listening, so it is begun once, and only where something is watched.
@cache
def _listen() -> None:
    sys.addaudithook(_hear)


@cache
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return (*_OF_THE_MACHINE, *(paths[name] for name in ("stdlib", "platstdlib")))


def _hear(event: str, given: tuple[Any, ...]) -> None:
    seen = getattr(_HERE, "seen", None)
    if seen is None:
        return
    if event in _OUTSIDE:
        seen.append(str(given[_OUTSIDE[event]]))
    elif event == "open" and (path := _read_from(*given)):
        seen.append(path)


def _read_from(path: object, mode: str | None, flags: int) -> str:
    if not isinstance(path, str | bytes | os.PathLike):
        return ""  # an open file, heard when it was opened
    writes = "r" not in mode and "+" not in mode if mode else flags & 3 == os.O_WRONLY
    name = os.fsdecode(path)
    code = name.endswith(_CODE) or name.startswith(_installed()) or "-packages" in name
    return "" if writes or code else name
