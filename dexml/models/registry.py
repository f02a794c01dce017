"""Model versions by digest: published whole, signed, verified before anything is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from dexml.errors import ModelError
from dexml.folders import Folder, LocalFolder, open_folder
from dexml.models.copying import (
    add_folder,
    describe_files,
    drop_folder,
    file_digest,
    leftovers,
    swap_file,
)
from dexml.models.requirements import feature_schema, library_versions, python_version
from dexml.models.sealing import Seal, Signer, canonical
from dexml.models.stages import Stages
from dexml.models.trust import FILE, Trust
from dexml.models.verification import (
    DIGEST,
    FORMAT,
    MANIFEST,
    SEAL,
    Rules,
    changed,
    check_head,
    check_version,
)

__all__ = ["Registry", "file_digest", "library_versions"]


class Registry:
    """Model versions, each in a folder named by the digest of its manifest.

    Parameters
    ----------
    root : Path
        Local folder; made when something is published.
    trust : Trust, optional
        By default `trust.json` beside `root`.

    Notes
    -----
    The manifest holds the sha256 of every file, and its own sha256 is the version's name: the same
    fit has the same name. What differs from run to run stands in the seal beside it, with an
    Ed25519 signature over both. Nothing is returned of a version that is not signed by a trusted
    key, not whole, or not of this Python, these libraries and these features.
    """

    def __init__(self, root: Path, trust: Trust | None = None) -> None:
        self.root = root
        self.trust = trust or Trust(root.parent / FILE)

    def __str__(self) -> str:
        return str(self.root)

    @staticmethod
    def of(home: Path, address: str | None = None) -> Registry:
        """Return the registry of a home: its own folder, or a folder or bucket shared by many.

        Parameters
        ----------
        home : Path
            Who is trusted stands there, wherever the versions are.
        address : str, optional
            A folder, or `s3://bucket/path` or `gs://bucket/path`; see `open_folder`.
        """
        from dexml.models.shared import SharedRegistry

        if not address:
            return Registry(home / "models")
        return SharedRegistry(open_folder(address), home)

    @property
    def stages(self) -> Stages:
        """Which versions are champions, and who made them so."""
        return Stages(self._folder.under("stages"))

    def publish(
        self,
        folder: Path,
        manifest: Mapping[str, Any],
        *,
        columns: tuple[str, ...] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        """Copy `folder` into the registry, unsigned, and return the digest that names the version.

        Parameters
        ----------
        folder : Path
            Plain files and folders; stays as it is.
        manifest : mapping
            JSON-able: data range and hash, config, seed, scores. Format, files, Python and features
            are added, and library versions unless it has "libraries".
        columns : tuple of str
            Panel columns that the model is fed.
        facts : mapping, optional
            JSON-able: what differs from run to run, such as the seconds of the fit.

        Raises
        ------
        ModelError
            If the folder is empty or holds a link, or the manifest is no finite JSON.
        """
        text = canonical(_whole(manifest, describe_files(folder), columns))
        digest = hashlib.sha256(text).hexdigest()
        if self._has(digest):
            self._check(digest, Rules(trusted=None, compatible=False))
        else:
            self._add(folder, digest, {MANIFEST: text, SEAL: Seal(facts=facts or {}).to_bytes()})
        return digest

    def sign(self, digest: str, signer: Signer, at: datetime) -> None:
        """Have a version signed, unless a trusted key has done so; every byte is verified first.

        Parameters
        ----------
        at : datetime
            When it is signed; the version's age counts from here.

        Raises
        ------
        ModelError
            If the version is unknown or a file was changed, added or taken away.
        """
        folder, _, seal = self._check(digest, Rules(trusted=None, compatible=False))
        if seal.signature is not None and seal.signature.key in self.trust.trusted():
            self.open(digest, compatible=False)
            return
        facts = {**seal.facts, "signed_at": at.isoformat()}
        signature = signer.sign((folder / MANIFEST).read_bytes(), canonical(facts))
        self._seal(digest, Seal(facts=facts, signature=signature).to_bytes())

    def open(self, digest: str, *, compatible: bool = True) -> tuple[Path, dict[str, Any]]:
        """Verify every byte of a version and return its folder and manifest.

        Parameters
        ----------
        compatible : bool
            False loads it with whatever Python, libraries and features there are, for a replay that
            compares what comes out.

        Raises
        ------
        ModelError
            If there is no such version.
        ModelRefused
            If it is unsigned or signed by someone else, was changed, or is not of this place.
        """
        rules = Rules(trusted=self.trust.trusted(), compatible=compatible)
        folder, manifest, _ = self._check(digest, rules)
        return folder, manifest

    def verify(self, digest: str) -> tuple[dict[str, Any], Seal]:
        """Verify every byte of a version where it is kept, and return manifest and seal.

        Raises
        ------
        ModelError, ModelRefused
            As `open`.
        """
        _, manifest, seal = self._check(digest, Rules(trusted=self.trust.trusted()))
        return manifest, seal

    def describe(self, digest: str) -> tuple[dict[str, Any], Seal]:
        """Return manifest and seal of a version; neither signature nor files are verified.

        Raises
        ------
        ModelError
            If there is no such version, or its manifest or seal was changed.
        """
        self._require(digest)
        return check_head(
            lambda name: self._head(digest, name), digest, Rules(trusted=None, compatible=False)
        )

    def versions(self) -> tuple[str, ...]:
        """Return the digests of all versions, sorted; not verified."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(one.name for one in self.root.iterdir() if DIGEST.fullmatch(one.name)))

    def remove(self, digest: str) -> None:
        """Remove a version; whoever has loaded it keeps it."""
        self._require(digest)
        drop_folder(self.root / digest)

    def leftovers(self) -> tuple[Path, ...]:
        """Return the folders of publications and removals that a crash cut short, or that run."""
        return leftovers(self.root)

    @property
    def _folder(self) -> Folder:
        return LocalFolder(self.root)

    def _require(self, digest: str) -> None:
        if not DIGEST.fullmatch(digest) or not self._has(digest):
            raise ModelError("model version", "must be in the registry", digest, "Train it first.")

    def _has(self, digest: str) -> bool:
        return (self.root / digest).is_dir()

    def _check(self, digest: str, rules: Rules) -> tuple[Path, dict[str, Any], Seal]:
        self._require(digest)
        folder = self.root / digest
        if folder.is_symlink():
            raise changed(digest, "folder", "a link")
        return folder, *check_version(folder, digest, rules)

    def _head(self, digest: str, name: str) -> bytes:
        with suppress(FileNotFoundError):
            return self._folder.under(digest).read(name)
        return b""

    def _add(self, folder: Path, digest: str, head: Mapping[str, bytes]) -> None:
        add_folder(folder, self.root / digest, head)
        self._check(digest, Rules(trusted=None, compatible=False))

    def _seal(self, digest: str, content: bytes) -> None:
        swap_file(self.root / digest, SEAL, content)


def _whole(
    manifest: Mapping[str, Any], files: Mapping[str, Any], columns: tuple[str, ...]
) -> dict[str, Any]:
    added = {
        "format": FORMAT,
        "files": files,
        "python": python_version(),
        "features": feature_schema(columns),
    }
    return {"libraries": library_versions(), **manifest, **added}
