"""What this process asks of a folder, as Python itself reports it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LISTENING: dict[str, list[str]] = {}


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if not _LISTENING or event not in ("open", "os.listdir", "os.scandir"):
        return
    for folder, heard in list(_LISTENING.items()):
        if str(arguments[0]).startswith(folder):
            heard.append(f"{event} {str(arguments[0]).removeprefix(folder)}")


sys.addaudithook(_hear)


@contextmanager
def asked_of(folder: Path) -> Iterator[list[str]]:
    """Collect each file opened and each folder listed below `folder`."""
    heard = _LISTENING[str(folder)] = []
    try:
        yield heard
    finally:
        del _LISTENING[str(folder)]
