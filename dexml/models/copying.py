"""Folders of a local registry: they appear whole or not at all, and go the same way."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dexml.errors import ModelError
from dexml.models.verification import listed

__all__ = ["add_folder", "describe_files", "drop_folder", "file_digest", "leftovers", "swap_file"]

_STAGING, _GONE = ".publish-", ".gone-"


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return length and digest of each file, by name.

    Raises
    ------
    ModelError
        If there is none, or something that is no plain file.
    """
    found = dict(listed(folder)) if folder.is_dir() else {}
    if not found:
        raise ModelError("model folder", "must hold files", folder.name, "Fit a model first.")
    return {
        name: {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for name, path in found.items()
    }


def add_folder(source: Path, place: Path, head: Mapping[str, bytes]) -> None:
    """Copy a folder, with the files of `head` over it, unless `place` is there already."""
    with _staging(place.parent) as staging:
        copy = shutil.copytree(source, staging / place.name)
        for name, content in head.items():
            (copy / name).write_bytes(content)
        for path in copy.rglob("*"):
            if path.is_file():
                _sync_file(path)
        _sync_folder(copy)
        try:
            os.replace(copy, place)
        except OSError:  # another publisher of the same bytes was first
            if not place.is_dir():
                raise
        _sync_folder(place.parent)


def swap_file(place: Path, name: str, content: bytes) -> None:
    """Give a file of a folder another content; no half of it is ever found there."""
    with _staging(place.parent) as staging:
        (staging / name).write_bytes(content)
        _sync_file(staging / name)
        os.replace(staging / name, place / name)
        _sync_folder(place)


def drop_folder(place: Path) -> None:
    """Remove a folder; nobody meets half of it."""
    gone = Path(tempfile.mkdtemp(prefix=_GONE, dir=place.parent))
    os.replace(place, gone / place.name)
    shutil.rmtree(gone)


def leftovers(root: Path) -> tuple[Path, ...]:
    """Return what additions and removals left that a crash cut short, or that run."""
    begun = root.iterdir() if root.is_dir() else ()
    return tuple(sorted(one for one in begun if one.name.startswith((_STAGING, _GONE))))


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    root.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=root))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
