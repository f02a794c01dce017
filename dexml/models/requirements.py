"""What a model version needs of the place that loads it: Python, libraries, features."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from dexml.errors import ConfigError, ModelRefused

__all__ = [
    "LIBRARIES",
    "feature_schema",
    "library_versions",
    "python_version",
    "refuse_incompatible",
]

LIBRARIES = (
    *("autogluon.tabular", "catboost", "lightgbm"),
    *("numpy", "pandas", "scikit-learn", "ta-lib"),
)
_UNKNOWN = "none"
_NAMED = 3  # columns in a sentence


def python_version() -> str:
    """Return the version of Python as far as it decides what can be unpickled."""
    return ".".join(platform.python_version_tuple()[:2])


def library_versions(names: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Return the versions of libraries; by default of those that decide a model's bits."""
    return {name: _version(name) for name in names}


def feature_schema(columns: Iterable[str]) -> dict[str, str]:
    """Return a digest of what each column is declared to be: its indicator, window and unit.

    A model that was fitted on a column of another declaration must not be fed this one. Columns
    that nobody declares are "none". What the code computes is not in it: a replay with --deep
    compares that.

    Examples
    --------
    >>> schema = feature_schema(["rsi_14", "my_own"])
    >>> len(schema["rsi_14"]), schema["my_own"]
    (16, 'none')
    """
    from dexml.features.indicators import INDICATORS

    declared = {name: one for one in INDICATORS.values() for name in one.columns}
    return {
        name: _digest(name, declared[name]) if name in declared else _other(name)
        for name in sorted(set(columns))
    }


def refuse_incompatible(subject: str, manifest: Mapping[str, Any]) -> None:
    """Return quietly if this process can load a version and get what it was judged by.

    Raises
    ------
    ModelRefused
        If Python, a library or a feature differs from those of the fit.
    """
    fitted = manifest["python"]
    if fitted != python_version():
        rule, fix = (
            f"must be loaded with Python {fitted}",
            "Start dexml with it, or fit again here.",
        )
        raise ModelRefused(subject, rule, python_version(), fix)
    for name, wanted in sorted(manifest["libraries"].items()):
        if wanted != (present := _version(name)):
            rule = f"must be loaded with {name} {wanted}, which it was fitted with"
            fix = f"Install {name}=={wanted}, or fit again here."
            raise ModelRefused(subject, rule, present, fix)
    _refuse_other_features(subject, manifest["features"])


def _refuse_other_features(subject: str, wanted: Mapping[str, str]) -> None:
    present = feature_schema(wanted)
    other = [name for name in wanted if wanted[name] != present[name]]
    if other:
        more = f" and {len(other) - _NAMED} more" if len(other) > _NAMED else ""
        rule = f"must be given the features {', '.join(other[:_NAMED])}{more} as they were declared"
        gone = all(present[name] == _UNKNOWN for name in other)
        fix = "Name the modules that declare them as extensions, or fit again with these features."
        raise ModelRefused(subject, rule, "not declared" if gone else "declared otherwise", fix)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return _UNKNOWN


def _digest(name: str, one: Any) -> str:
    facts = (name, one.name, one.group, one.unit, one.warm_up, one.window, one.look_back_s)
    return _short("|".join(map(str, facts)))


def _other(name: str) -> str:
    from dexml.features.panel import group_of

    try:
        return _short(f"{name}|{group_of(name)}")
    except ConfigError:
        return _UNKNOWN


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
