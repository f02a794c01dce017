"""Model versions by digest: published whole, verified to the byte before anything is read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from dexml.errors import ModelError

__all__ = ["Registry", "file_digest", "library_versions"]

MANIFEST = "manifest.json"
_LIBRARIES = (
    "autogluon.tabular",
    "catboost",
    "lightgbm",
    "numpy",
    "pandas",
    "scikit-learn",
    "torch",
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Registry:
    """A folder of model versions, each in a folder named by the digest of its manifest.

    Parameters
    ----------
    root : Path
        Made when something is published.

    Notes
    -----
    The manifest holds the sha256 of every file, and its own sha256 is the version's name: who
    knows the name can trust every byte. Times and costs of a fit differ from run to run; keep
    them out of the manifest, so that the same fit has the same name.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> str:
        """Copy `folder` into the registry and return the digest that names the version.

        Parameters
        ----------
        folder : Path
            Plain files and folders; stays as it is.
        manifest : mapping
            JSON-able: data range and hash, feature hash, config, seed, scores. The files' digests
            are added under "files".

        Raises
        ------
        ModelError
            If the folder is empty or holds a link, or the manifest is no finite JSON.
        """
        content = {**manifest, "files": _files(folder)}
        text = _canonical(content)
        digest = hashlib.sha256(text).hexdigest()
        if (self.root / digest).is_dir():
            self.open(digest)
            return digest
        self.root.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".publish-", dir=self.root))
        try:
            shutil.copytree(folder, staging, dirs_exist_ok=True)
            (staging / MANIFEST).write_bytes(text)
            _sync(staging)
            self._put(staging, digest)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return digest

    def _put(self, staging: Path, digest: str) -> None:
        try:
            os.replace(staging, self.root / digest)
        except OSError:  # another publisher of the same bytes was first
            if not (self.root / digest).is_dir():
                raise
        _sync_folder(self.root)
        self.open(digest)

    def open(self, digest: str) -> tuple[Path, dict[str, Any]]:
        """Verify every byte of a version and return its folder and manifest.

        Raises
        ------
        ModelError
            If there is no such version, or a file was changed, added or taken away.
        """
        if not _DIGEST.fullmatch(digest) or not (self.root / digest).is_dir():
            raise ModelError("model version", "must be in the registry", digest, "Train it first.")
        folder = self.root / digest
        text = (folder / MANIFEST).read_bytes() if (folder / MANIFEST).is_file() else b""
        if hashlib.sha256(text).hexdigest() != digest:
            raise _changed(digest, MANIFEST)
        manifest: dict[str, Any] = json.loads(text)
        found = _files(folder)
        wanted = manifest["files"]
        for name in sorted(wanted.keys() | found.keys()):
            if wanted.get(name) != found.get(name):
                raise _changed(digest, name)
        return folder, manifest

    def versions(self) -> tuple[str, ...]:
        """Return the digests of all versions, sorted; not verified."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(one.name for one in self.root.iterdir() if _DIGEST.fullmatch(one.name)))


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide a model's bits."""
    return {name: metadata.version(name) for name in _LIBRARIES}


def _canonical(content: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(content, sort_keys=True, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ModelError("manifest", "must be finite JSON", error, "Use plain values.") from error


def _files(folder: Path) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ModelError("model folder", "must hold no link", path.name, "Copy the file.")
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digests:
        raise ModelError("model folder", "must hold files", folder.name, "Fit a model first.")
    return digests


def _changed(digest: str, name: str) -> ModelError:
    return ModelError(
        f"model {digest[:12]}",
        f"must have the {name} that was published",
        "changed, added or missing",
        "Do not use it; publish it again from a fit.",
    )


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
