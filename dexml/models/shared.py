"""Model versions in a bucket or a folder of many: copied here, verified, then loaded."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from dexml.errors import ModelRefused
from dexml.folders import Folder, is_partial
from dexml.models.registry import Registry
from dexml.models.sealing import Seal
from dexml.models.trust import FILE, Trust
from dexml.models.verification import (
    DIGEST,
    MANIFEST,
    SEAL,
    Rules,
    changed,
    check_head,
    check_version,
    listed,
)

__all__ = ["SharedRegistry"]


class SharedRegistry(Registry):
    """A registry that others can write to.

    Parameters
    ----------
    folder : Folder
        Where the versions are.
    home : Path
        Whom it trusts, and `cache/models`: what was fetched. A copy there is verified at every
        load, so that nobody can change a file between its verification and its use.

    Notes
    -----
    The seal is written last: a version without one is not there yet, or was cut short.
    """

    def __init__(self, folder: Folder, home: Path) -> None:
        super().__init__(home / "cache" / "models", Trust(home / FILE))
        self._shared = folder

    def __str__(self) -> str:
        return str(self._shared)

    def versions(self) -> tuple[str, ...]:
        found = (parts[0] for parts in self._shared.paths() if parts[1:] == (SEAL,))
        return tuple(sorted(one for one in found if DIGEST.fullmatch(one)))

    def verify(self, digest: str) -> tuple[dict[str, Any], Seal]:
        self._require(digest)
        with tempfile.TemporaryDirectory(dir=self._cache()) as scratch:
            place, rules = Path(scratch, digest), Rules(trusted=self.trust.trusted())
            self._fetch(digest, place, rules)
            return check_version(place, digest, rules)

    def remove(self, digest: str) -> None:
        self._require(digest)
        version = self._shared.under(digest)
        version.remove(SEAL)  # from here on nobody meets it
        for *folders, name in version.paths():
            version.under(*folders).remove(name)
        shutil.rmtree(self.root / digest, ignore_errors=True)

    def leftovers(self) -> tuple[Path, ...]:
        kept = set(self.versions())
        copies = self.root.iterdir() if self.root.is_dir() else ()
        return tuple(sorted(one for one in copies if one.name not in kept))

    @property
    def _folder(self) -> Folder:
        return self._shared

    def _has(self, digest: str) -> bool:
        return SEAL in self._shared.under(digest).names()

    def _check(self, digest: str, rules: Rules) -> tuple[Path, dict[str, Any], Seal]:
        place = self.root / digest
        if DIGEST.fullmatch(digest) and place.is_dir():
            with suppress(ModelRefused):  # signed meanwhile, or the copy alone is damaged
                return place, *check_version(place, digest, rules)
        self._require(digest)
        self._fetch(digest, place, rules)
        return place, *check_version(place, digest, rules)

    def _fetch(self, digest: str, place: Path, rules: Rules) -> None:
        head = {name: self._head(digest, name) for name in (MANIFEST, SEAL)}
        manifest, _ = check_head(head.__getitem__, digest, rules)
        wanted: dict[str, Any] = manifest["files"]
        self._refuse_other_names(digest, set(wanted))
        with tempfile.TemporaryDirectory(dir=self._cache()) as scratch:
            copy = Path(scratch, digest)
            for name, facts in wanted.items():
                _write(copy / name, self._read(digest, name, facts))
            for name, content in head.items():
                _write(copy / name, content)
            _replace(copy, place)

    def _refuse_other_names(self, digest: str, wanted: set[str]) -> None:
        paths = self._shared.under(digest).paths()
        found = {"/".join(parts) for parts in paths if not is_partial(parts[-1])}
        for name in sorted(wanted ^ (found - {MANIFEST, SEAL})):
            raise changed(digest, name, "missing" if name in wanted else "added")

    def _read(self, digest: str, name: str, facts: Mapping[str, Any]) -> bytes:
        *folders, last = PurePosixPath(name).parts
        try:
            content = self._shared.under(digest, *folders).read(last)
        except FileNotFoundError as error:
            raise changed(digest, name, "missing") from error
        if len(content) != facts["bytes"]:
            raise changed(digest, name, f"{len(content)} bytes of {facts['bytes']}")
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise changed(digest, name, "changed")
        return content

    def _add(self, folder: Path, digest: str, head: Mapping[str, bytes]) -> None:
        files = dict(listed(folder))
        version = self._shared.under(digest)
        for *folders, name in version.paths():  # of a publication that was cut short
            if "/".join((*folders, name)) not in files:
                version.under(*folders).remove(name)
        for path in files.values():
            *folders, name = path.relative_to(folder).parts
            version.under(*folders).write(name, path.read_bytes())
        for name in (MANIFEST, SEAL):
            version.write(name, head[name])
        self._check(digest, Rules(trusted=None, compatible=False))

    def _seal(self, digest: str, content: bytes) -> None:
        self._shared.under(digest).write(SEAL, content)

    def _cache(self) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        return self.root


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _replace(copy: Path, place: Path) -> None:
    if place.is_dir():
        os.replace(place, copy.with_name("before"))  # goes with the scratch folder
    try:
        os.replace(copy, place)
    except OSError:  # another process fetched the same version
        if not place.is_dir():
            raise
