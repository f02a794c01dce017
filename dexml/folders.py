"""Folders of files that are written once: on this machine, or in an object store.

A file appears whole or not at all. Locally that is a synced temporary file that is renamed; in an
object store it is what putting an object means.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlparse

from dexml.errors import ConfigError, EnvironmentRefused

__all__ = ["Folder", "LocalFolder", "ObjectFolder", "is_partial", "open_folder", "write_durably"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PARTIAL = ".tmp"
_OBJECTS = ("s3", "gs", "gcs")


class Folder(Protocol):
    """A folder, which need not exist before something is written into it."""

    def under(self, *parts: str) -> Folder:
        """Return a folder below this one."""
        ...

    def names(self) -> set[str]:
        """Return the names of the files in it."""
        ...

    def paths(self) -> list[tuple[str, ...]]:
        """Return all files below it, each as its folders and its name, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's content; `FileNotFoundError` if it is gone."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        ...

    def rename(self, name: str, to: str) -> None:
        """Give a file another name."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is still there."""
        ...

    def locked(self) -> Any:
        """Hold the folder against other writers, where that can be done (a context)."""
        ...


def open_folder(uri: str | Path) -> Folder:
    """Open a local path, or `s3://bucket/path` or `gs://bucket/path`.

    Parameters
    ----------
    uri : str or Path
        Credentials come from the usual places of the store's own tools (environment, profile,
        instance); options follow a question mark, as in
        ``s3://bars/live?endpoint_override=127.0.0.1:9000&scheme=http``. Both kinds are tested
        against local servers that speak their protocols, neither against the service itself.

    Raises
    ------
    ConfigError
        If the address is of another kind or cannot be read.

    Examples
    --------
    >>> open_folder("/data/store")
    LocalFolder('/data/store')
    """
    text = str(uri)
    scheme = urlparse(text).scheme if "://" in text else ""
    if scheme in ("", "file"):
        return LocalFolder(Path(unquote(urlparse(text).path)) if scheme else Path(uri))
    if scheme not in _OBJECTS:
        raise _no_store(text)
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem

    try:
        files, path = FileSystem.from_uri(_put_at_once(text) if scheme == "s3" else text)
    except ArrowInvalid as error:
        raise _no_store(text) from error
    if not path:
        raise _no_store(text)
    return ObjectFolder(files, path)


def _put_at_once(uri: str) -> str:
    # one request puts a small object, where Arrow would make three for an upload in parts
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"


def _no_store(uri: str) -> ConfigError:
    kinds = ", ".join(f"{one}://bucket" for one in _OBJECTS)
    return ConfigError("storage_uri", f"must be a folder or {kinds}", uri, "Write s3://bucket.")


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"LocalFolder({str(self._path)!r})"

    def __str__(self) -> str:
        return str(self._path)

    def under(self, *parts: str) -> LocalFolder:
        return LocalFolder(self._path.joinpath(*parts))

    def names(self) -> set[str]:
        # a file that comes and one that goes during a listing can both be missed
        listed, again = None, self._listed()
        while listed != again:
            listed, again = again, self._listed()
        return again

    def paths(self) -> list[tuple[str, ...]]:
        files = (path for path in self._path.rglob("*") if path.is_file())
        return sorted(path.relative_to(self._path).parts for path in files)

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(self, error) from error
        write_durably(self._path / name, content)

    def rename(self, name: str, to: str) -> None:
        (self._path / name).rename(self._path / to)

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            lock = (self._path / ".lock").open("w")
        except OSError as error:
            raise _refused(self, error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _listed(self) -> set[str]:
        try:
            return set(os.listdir(self._path))
        except FileNotFoundError:
            return set()


class ObjectFolder:
    """A prefix of a bucket, through `pyarrow.fs`.

    Nobody can be kept out of it: two writers may write at once, so that what is written there must
    have names of its own and be folded in an order that does not depend on who came first.
    """

    def __init__(self, files: Any, path: str) -> None:
        self._files, self._path = files, path.rstrip("/")

    def __str__(self) -> str:
        return f"{self._files.type_name}://{self._path}"

    def under(self, *parts: str) -> ObjectFolder:
        return ObjectFolder(self._files, "/".join((self._path, *parts)))

    def names(self) -> set[str]:
        return {info.base_name for info in self._listed(recursive=False)}

    def paths(self) -> list[tuple[str, ...]]:
        found = (info.path.removeprefix(f"{self._path}/") for info in self._listed(recursive=True))
        return sorted(tuple(path.split("/")) for path in found)

    def read(self, name: str) -> bytes:
        with self._telling_gone(name), self._files.open_input_stream(self._at(name)) as stream:
            content: bytes = stream.read()
            return content

    def write(self, name: str, content: bytes) -> None:
        try:
            with self._files.open_output_stream(self._at(name)) as stream:
                stream.write(content)
        except OSError as error:
            raise _refused(self, error) from error

    def rename(self, name: str, to: str) -> None:
        with self._telling_gone(name):
            self._files.move(self._at(name), self._at(to))

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError), self._telling_gone(name):  # another writer folded it too
            self._files.delete_file(self._at(name))

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    @contextmanager
    def _telling_gone(self, name: str) -> Iterator[None]:
        # an object that goes while it is read or moved is any error of the service
        try:
            yield
        except OSError as error:
            with self._reaching():
                there = self._files.get_file_info(self._at(name)).is_file
            if there:
                raise self._away(error) from error
            raise FileNotFoundError(self._at(name)) from error

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._away(error) from error

    def _away(self, error: OSError) -> EnvironmentRefused:
        fix = "Check its address, the network, and what your credentials allow."
        return EnvironmentRefused(f"folder {self}", "must be within reach", error, fix)

    def _listed(self, *, recursive: bool) -> list[Any]:
        from pyarrow.fs import FileSelector

        wanted = FileSelector(self._path, allow_not_found=True, recursive=recursive)
        with self._reaching():
            return [info for info in self._files.get_file_info(wanted) if info.is_file]


def write_durably(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file so that after a crash it is there whole or not at all.

    Parameters
    ----------
    mode : int
        Permissions, less what the process's mask takes away; never wider in between.

    Raises
    ------
    EnvironmentRefused
        If there is no room or no permission; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
    try:
        with open(temporary, "wb", opener=lambda name, how: os.open(name, how, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _refused(path.parent, error) from error


def is_partial(name: str) -> bool:
    """Tell whether a file is one that `write_durably` is writing, or was when it crashed."""
    return name.startswith(".") and name.endswith(_PARTIAL)


def _refused(folder: object, error: OSError) -> EnvironmentRefused:
    full = error.errno in _NO_ROOM
    rule = "must have room" if full else "must be writable"
    fix = "Free disk space and start again." if full else "Check its owner and mode."
    return EnvironmentRefused(f"folder {folder}", rule, error.strerror or error, fix)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
