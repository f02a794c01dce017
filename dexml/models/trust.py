"""Whom a home trusts: the public keys whose signature under a model version counts."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from dexml.errors import EnvironmentRefused, UnsafeSetup, UsageError
from dexml.folders import LocalFolder, write_durably

__all__ = ["Trust", "refuse_loose"]

FILE, FORMAT = "trust.json", 1
_KEY = re.compile(r"[0-9a-f]{64}")


class Trust:
    """The public keys that are trusted, by name, in one file.

    Parameters
    ----------
    path : Path
        Made when the first key is added. It belongs to a home and never stands beside models in a
        bucket: who can write there could add a key.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     trust = Trust(Path(folder, "trust.json"))
    ...     trust.add("0" * 64, "build machine")
    ...     dict(trust.trusted()) == {"0" * 64: "build machine"}
    True
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def trusted(self) -> Mapping[str, str]:
        """Return the trusted public keys (64 hexadecimal digits) and their names.

        Raises
        ------
        EnvironmentRefused
            If the file cannot be read.
        UnsafeSetup
            If others may write it.
        """
        if not self.path.exists():
            return {}
        refuse_loose(self.path, stat.S_IWGRP | stat.S_IWOTH)
        try:
            values = json.loads(self.path.read_bytes())
            keys: dict[str, str] = values["keys"]
            sound = values["format"] == FORMAT and all(_KEY.fullmatch(key) for key in keys)
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise self._unreadable(error) from error
        if not sound:
            raise self._unreadable("another format")
        return keys

    def add(self, key: str, name: str) -> None:
        """Trust a key from now on.

        Raises
        ------
        UsageError
            If it is no public key, or has no name.
        """
        if not _KEY.fullmatch(key):
            fix = "Copy it from dexml models trust on the machine that signs."
            raise UsageError("public key", "must be 64 hexadecimal digits", key, fix)
        if not name.strip():
            raise UsageError("name of a key", "must not be empty", "empty", "Say whose it is.")
        self._change({key: name})

    def remove(self, key: str) -> None:
        """Trust a key no longer; what it signed is refused from the next load on.

        Raises
        ------
        UsageError
            If it is not trusted.
        """
        if key not in self.trusted():
            raise UsageError("public key", "must be one that is trusted", key, "See the list.")
        self._change({key: None})

    def _change(self, changes: Mapping[str, str | None]) -> None:
        with LocalFolder(self.path.parent).locked():
            changed = {**self.trusted(), **changes}
            kept = {key: name for key, name in changed.items() if name is not None}
            text = json.dumps({"format": FORMAT, "keys": kept}, sort_keys=True, indent=1)
            write_durably(self.path, text.encode())

    def _unreadable(self, was: object) -> EnvironmentRefused:
        fix = "Restore it from a backup, or remove it and trust the keys again."
        return EnvironmentRefused(f"trust file {self.path}", "must be readable", was, fix)


def refuse_loose(path: Path, forbidden: int) -> None:
    """Refuse a file of another owner, or with mode bits that it must not have.

    Raises
    ------
    UnsafeSetup
        Naming the file and the fix.
    """
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (os.geteuid(), 0):
        rule, was = "must belong to you", f"of user {found.st_uid}"
        raise UnsafeSetup(f"file {path}", rule, was, "Give it the right owner with chown.")
    if mode & forbidden:
        wanted = mode & ~forbidden
        rule, fix = f"must have mode {wanted:04o}", f"Run chmod {wanted:04o} on it."
        raise UnsafeSetup(f"file {path}", rule, f"{mode:04o}", fix)
