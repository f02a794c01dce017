"""Training that was killed goes on where it was: one file, replaced whole, read without pickle."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dexml.errors import ModelError

__all__ = ["fingerprint", "read_checkpoint", "read_weights", "write_checkpoint", "write_weights"]

Weights = Mapping[str, NDArray[Any]]


def fingerprint(settings: Mapping[str, Any], *arrays: NDArray[Any]) -> str:
    """Return what a training is known by: its settings, its numbers and the library that runs it.

    Examples
    --------
    >>> one, two = fingerprint({"seed": 1}), fingerprint({"seed": 2})
    >>> len(one), one == two
    (64, False)
    """
    digest = hashlib.sha256(json.dumps([settings, torch.__version__], sort_keys=True).encode())
    for array in arrays:
        digest.update(str((array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write_checkpoint(path: Path, known_by: str, state: Mapping[str, Any]) -> None:
    """Write the state of a training; a reader finds this one or the one before, never a part."""
    buffer = io.BytesIO()
    torch.save({"known_by": known_by, **state}, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, buffer.getvalue())


def read_checkpoint(path: Path, known_by: str) -> dict[str, Any] | None:
    """Return the state that a training left, or None if there is none of this very training.

    Raises
    ------
    ModelError
        If the file is no checkpoint.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        was = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise ModelError(f"checkpoint {path}", "must be whole", was, "Delete it.") from error
    return state if state.pop("known_by", None) == known_by else None


def write_weights(path: Path, weights: Weights) -> None:
    """Write arrays by name, as plain numbers; the same numbers give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(sorted(weights.items())))
    _replace(path, buffer.getvalue())


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_weights` wrote; nothing is unpickled.

    Raises
    ------
    ModelError
        If the file holds anything but arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"weights {path.name}", "must be arrays", error, "Fit again.") from error


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
