"""Model versions under their digests; every byte is verified before anything is read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dexml.errors import ModelError

__all__ = ["Registry"]

_MANIFEST = "manifest.json"


class Registry:
    """Folders of model files, named by the digest of their manifest.

    The manifest lists the sha256 of every file, so that a version's name answers for every byte.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     made = Path(root, "made")
    ...     made.mkdir()
    ...     _ = (made / "model.txt").write_text("weights")
    ...     registry = Registry(Path(root, "models"))
    ...     digest = registry.publish(made, {"target": "direction"})
    ...     folder, manifest = registry.open(digest)
    ...     manifest["target"], (folder / "model.txt").read_text()
    ('direction', 'weights')
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(self, folder: Path, manifest: Mapping[str, Any]) -> str:
        """Copy a folder in under its digest; the same content again changes nothing."""
        files = {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
        text = json.dumps({**manifest, "files": files}, sort_keys=True, indent=1)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if not (self._root / digest).exists():
            self._install(folder, files, text, digest)
        return digest

    def open(self, digest: str) -> tuple[Path, dict[str, Any]]:
        """Return the folder and manifest of a version whose every byte was just verified.

        Raises
        ------
        ModelError
            If the version is missing, or a file was changed, added or removed.
        """
        folder = self._root / digest
        if not (folder / _MANIFEST).is_file():
            raise ModelError(f"model {digest[:12]}", "must be in the registry", "missing", "Train.")
        text = (folder / _MANIFEST).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:
            raise _tampered(digest, _MANIFEST)
        manifest: dict[str, Any] = json.loads(text)
        present = {path.name for path in folder.iterdir()} - {_MANIFEST}
        for name in sorted(present ^ set(manifest["files"])):
            raise _tampered(digest, name)
        for name, wanted in manifest["files"].items():
            if _sha256(folder / name) != wanted:
                raise _tampered(digest, name)
        return folder, manifest

    def _install(self, folder: Path, files: Mapping[str, str], text: str, digest: str) -> None:
        partial = self._root / f"{digest}.{os.getpid()}.partial"
        partial.mkdir(parents=True)
        for name in files:
            shutil.copyfile(folder / name, partial / name)
        (partial / _MANIFEST).write_text(text)
        try:
            partial.rename(self._root / digest)
        except OSError:  # somebody else published the same bytes first
            shutil.rmtree(partial)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tampered(digest: str, name: str) -> ModelError:
    return ModelError(
        f"model {digest[:12]}", "must be as it was published", f"{name} changed", "Train it again."
    )
