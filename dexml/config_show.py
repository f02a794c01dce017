"""Which settings are in force, and who gave each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexml.config import given_values, inside, load_settings, variable_of

__all__ = ["InForce", "in_force"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A setting, its value as JSON can hold it, and who gave it.

    Attributes
    ----------
    source : str
        "default", a file, the name of a variable, or "--home".
    """

    name: str
    value: Any
    source: str


def in_force(path: Path | None, env: Mapping[str, str], home: Path | None = None) -> list[InForce]:
    """Return every setting with its value and its source; passwords in URLs are hidden.

    Parameters
    ----------
    path : Path or None
        The configuration file.
    env : mapping
        The environment.
    home : Path or None
        What the command line gave as `--home`, which overrules both.

    Raises
    ------
    ConfigError
        As `load_settings`.

    Examples
    --------
    >>> settings = in_force(None, {"DEXML_MODELS__SEED": "7"})
    >>> [one for one in settings if one.name == "models.seed"]
    [InForce(name='models.seed', value=7, source='DEXML_MODELS__SEED')]
    """
    values = load_settings(path, env).model_dump(mode="json")
    given, variables = given_values(path, env)
    found = []
    for keys, value in _flat(values, ()):
        source = "default" if inside(given, keys) is None else str(path)
        source = source if inside(variables, keys) is None else variable_of(keys)
        if keys == ["home"] and home is not None:
            value, source = str(home), "--home"
        found.append(InForce(name=".".join(keys), value=_shown(value), source=source))
    return found


def _flat(values: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[list[str], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, (*above, key))
        else:
            yield [*above, key], value


def _shown(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub(r"://([^:@/]*):[^@/]*@", r"://\1:***@", value)
