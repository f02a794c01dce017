"""Runs the tests of a module against a mutant of it, in a child that has the libraries loaded."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, ModuleType

__all__ = ["is_noticed", "load_libraries"]

LIMIT_S = 120.0  # of CPU time for each test: an endless loop is noticed, a busy machine is not
_LIBRARIES = ("numpy", "pandas", "scipy.stats", "sklearn", "hypothesis", "pytest", "pydantic")


def load_libraries() -> None:
    """Import what every trial needs, once; nothing of the product."""
    for name in _LIBRARIES:
        with suppress(ImportError):
            __import__(name)


def is_noticed(module: str, path: Path, code: CodeType, tests: Sequence[str]) -> bool:
    """Say whether a test fails when `module` runs `code` in place of its own.

    Parameters
    ----------
    module : str
        Its dotted name.
    tests : sequence of str
        What pytest is given.
    """
    pid = os.fork()
    if pid == 0:
        os._exit(_tested(module, path, code, tests))
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) != 0


def _tested(module: str, path: Path, code: CodeType, tests: Sequence[str]) -> int:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.meta_path.insert(0, _Mutated(module, path, code))
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)  # imports may loop as well
    import pytest

    with tempfile.TemporaryDirectory() as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout", "3600"]
        given = [*options, "--basetemp", f"{folder}/tests", *tests]
        return int(pytest.main(given, plugins=[_Limit()]))


class _Limit:
    """Begins the time of each test anew; who uses it up is ended by a signal, which is noticed."""

    def pytest_runtest_logstart(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, LIMIT_S)


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self._module, self._path, self._code = module, path, code

    def find_spec(
        self, name: str, _path: object, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(self._path))

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(self._code, module.__dict__)
