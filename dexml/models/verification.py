"""Every byte of a model version is checked before any of it is used.

First the manifest, by the version's name; then who signed it; then whether this place may load it;
then each file. Until all of that is done nothing but the manifest and the seal has been parsed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexml.errors import ModelError, ModelRefused
from dexml.models.requirements import refuse_incompatible
from dexml.models.sealing import Seal, check_signature

__all__ = ["DIGEST", "FORMAT", "MANIFEST", "SEAL", "Rules", "check_head", "check_version", "listed"]

MANIFEST, SEAL, FORMAT = "manifest.json", "seal.json", 2
DIGEST = re.compile(r"[0-9a-f]{64}")
_HEAD = {MANIFEST, SEAL}
_LARGEST = 2**24  # bytes of a manifest or seal
_CHUNK = 2**20
_FIELDS = {"features": dict, "files": dict, "libraries": dict, "python": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a version must satisfy.

    Attributes
    ----------
    trusted : mapping of public key to name, or None
        None: it need not be signed, because it is about to be.
    compatible : bool
        It must fit the Python, libraries and features of this process.
    """

    trusted: Mapping[str, str] | None
    compatible: bool = True


def check_version(folder: Path, digest: str, rules: Rules) -> tuple[dict[str, Any], Seal]:
    """Return manifest and seal of a version, every byte of which is as it was published.

    Raises
    ------
    ModelRefused
        Naming what is wrong.
    """
    manifest, seal = check_head(lambda name: _content(folder / name), digest, rules)
    wanted, found = manifest["files"], dict(listed(folder))
    for name in sorted(wanted.keys() | found.keys()):
        was = _fault(wanted.get(name), found.get(name))
        if was:
            raise changed(digest, name, was)
    return manifest, seal


def check_head(
    read: Callable[[str], bytes], digest: str, rules: Rules
) -> tuple[dict[str, Any], Seal]:
    """Return manifest and seal of a version whose files are still to be checked.

    Parameters
    ----------
    read : callable
        Gives the content of `MANIFEST` and `SEAL`, empty where there is none.

    Raises
    ------
    ModelRefused
        Naming what is wrong.
    """
    subject, text = f"model {digest[:12]}", read(MANIFEST)
    if hashlib.sha256(text).hexdigest() != digest:
        raise changed(digest, MANIFEST, "changed" if text else "missing")
    try:
        seal = Seal.from_bytes(read(SEAL))
    except ValueError as error:
        raise changed(digest, SEAL, "changed or missing") from error
    if rules.trusted is not None:
        check_signature(subject, text, seal, rules.trusted)
    manifest = _parsed(subject, text)
    if rules.compatible:
        refuse_incompatible(subject, manifest)
    return manifest, seal


def listed(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file of a folder, without manifest and seal.

    Raises
    ------
    ModelRefused
        If it holds a link, a device or anything else that is no plain file.
    """
    for path in sorted(_below(folder)):
        name = path.relative_to(folder).as_posix()
        if not stat.S_ISREG(path.lstat().st_mode):
            what = "link" if path.is_symlink() else "special file"
            raise ModelRefused("model folder", f"must hold no {what}", name, "Copy the file.")
        if name not in _HEAD:
            yield name, path


def changed(digest: str, name: str, was: str) -> ModelRefused:
    """Return the error for a file that is not the one that was published."""
    return ModelRefused(
        f"model {digest[:12]}",
        f"must have the {name} that was published",
        was,
        "Do not use it; publish it again from a fit.",
    )


def _fault(wanted: Mapping[str, Any] | None, path: Path | None) -> str:
    if wanted is None:
        return "added"
    if path is None:
        return "missing"
    size = path.lstat().st_size
    if size != wanted["bytes"]:
        return f"{size} bytes of {wanted['bytes']}"
    return "" if _digest(path) == wanted["sha256"] else "changed"


def _parsed(subject: str, text: bytes) -> dict[str, Any]:
    # its bytes have the name that was asked for: what is wrong here was published so
    fix = "Publish it again from a fit."
    try:
        manifest: dict[str, Any] = json.loads(text)
        version = manifest.get("format", 1)
    except (AttributeError, RecursionError, ValueError) as error:
        raise ModelRefused(subject, "must have a manifest", "none", fix) from error
    if version != FORMAT:
        fix = "Load it with the dexml that published it, or fit again with this one."
        raise ModelRefused(subject, f"must have a manifest of format {FORMAT}", version, fix)
    for name, kind in _FIELDS.items():
        if not isinstance(manifest.get(name), kind):
            raise ModelRefused(subject, f"must have {name} in its manifest", "none", fix)
    for name, facts in manifest["files"].items():
        if not _describes(facts):
            raise ModelRefused(subject, "must give length and digest of its files", name, fix)
        if not _is_inside(name):
            raise ModelRefused(subject, "must name files inside its folder", name, fix)
    return manifest


def _describes(facts: Any) -> bool:
    kinds = {"bytes": int, "sha256": str}
    return isinstance(facts, dict) and all(type(facts.get(k)) is kinds[k] for k in kinds)


def _is_inside(name: str) -> bool:
    steps = name.split("/")
    return name not in _HEAD and "\\" not in name and not {"", ".", ".."} & set(steps)


def _below(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _below(path)
        else:
            yield path


def _content(path: Path) -> bytes:
    """Read a plain file of bounded size; anything else has no content."""
    try:
        found = path.lstat()
        small = stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST
        return path.read_bytes() if small else b""
    except OSError:
        return b""


def _digest(path: Path) -> str:
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
    except OSError as error:
        raise ModelError(
            f"file {path.name}", "must be readable", error.strerror, "See its mode."
        ) from error
    return hashed.hexdigest()
