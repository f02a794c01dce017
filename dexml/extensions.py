"""Modules of the user that register indicators, tones, series, exchanges and policies."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import import_module
from pathlib import Path

from dexml.errors import ConfigError

__all__ = ["VARIABLE", "import_extensions", "import_inherited", "imported", "share_extensions"]

VARIABLE = "DEXML_EXTENSIONS"  # the setting's own: what a process inherits is in force there, too
_IMPORTED: dict[str, Path | None] = {}


def import_extensions(names: Sequence[str]) -> None:
    """Import modules in the order given, each once; the current folder is looked into last.

    Raises
    ------
    ConfigError
        If one cannot be imported, whatever it raised.
    """
    here = str(Path.cwd())
    if names and here not in sys.path:
        sys.path.append(here)
    for name in names:
        try:
            file = import_module(name).__file__
        except Exception as error:  # a module may fail in any way
            raise ConfigError(
                f"extension {name}",
                "must be a module that can be imported",
                f"{type(error).__name__}: {error}",
                "Correct it, or put its folder on PYTHONPATH or run dexml there.",
            ) from error
        _IMPORTED[name] = Path(file) if file else None


def import_inherited(env: Mapping[str, str]) -> None:
    """Import the modules that the process which began this one has imported."""
    import_extensions(json.loads(env.get(VARIABLE, "[]")))


def share_extensions(names: Sequence[str], env: MutableMapping[str, str]) -> None:
    """Import modules here, and let the processes that begin from here on import them, too."""
    import_extensions(names)
    if names:
        env[VARIABLE] = json.dumps(list(names))


def imported() -> Mapping[str, Path | None]:
    """Return the modules that were imported, with their files."""
    return dict(_IMPORTED)
