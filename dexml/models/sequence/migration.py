"""Old configurations of the CNN-LSTM made into the present one; every change is reported."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dexml.errors import ConfigError
from dexml.models.sequence.config import SECTIONS, SequenceConfig, settings_of
from dexml.models.sequence.names import CLASSES, GONE, GROUPS, NAMES, VALUES, fallback

__all__ = ["Change", "Migration", "migrate_config", "read_values", "to_toml"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between what a file said and the present configuration.

    Attributes
    ----------
    kind : str
        "renamed", "moved", "converted", "dropped", or "default" for a setting that was not given.
    was, now : str or None
        Name there, and name here.
    before, after : object
        The value there, and here.
    reason : str
        Why it was dropped.
    """

    kind: str
    was: str | None
    now: str | None
    before: Any = None
    after: Any = None
    reason: str = ""

    def __str__(self) -> str:
        if self.kind == "dropped":
            return f"{self.was} = {self.before} was dropped: {self.reason}"
        if self.kind == "default":
            return f"{self.now} = {self.after} was added: the file did not say it"
        value = f"{self.after}" if self.before == self.after else f"{self.before} -> {self.after}"
        return f"{self.was} is {self.now} now: {value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """The present configuration, and how it came from what was given.

    Attributes
    ----------
    changes : tuple of Change
        In the order of the file, then the settings that it did not give.
    """

    config: SequenceConfig
    changes: tuple[Change, ...]

    @property
    def is_old(self) -> bool:
        """Whether anything had to be changed, beyond settings left to their defaults."""
        return any(one.kind != "default" for one in self.changes)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values: `config` and `changes`."""
        changes = [asdict(one) | {"before": _told(one.before)} for one in self.changes]
        return {"config": asdict(self.config), "changes": changes}


def migrate_config(values: Mapping[str, Any]) -> Migration:
    """Turn old values, nested or flat, into the present configuration.

    Parameters
    ----------
    values : mapping
        As read from JSON or YAML.

    Raises
    ------
    ConfigError
        If a key is unknown, a setting is given twice with different values, or a value breaks its
        rule.

    Examples
    --------
    >>> made = migrate_config({"lr": 1e-4, "cnn_filters": [16, 32]})
    >>> made.config.trainer.learning_rate, made.config.model.cnn_channels
    (0.0001, (16, 32))
    >>> print(made.changes[0])
    lr is trainer.learning_rate now: 0.0001
    """
    given: dict[str, tuple[str, Any]] = {}
    changes: list[Change] = []
    for path, before in _leaves(values, ()):
        change = _understood(path, before)
        if change.now is not None:
            _refuse_twice(given, change.now, change)
            given[change.now] = (str(change.was), change.after)
        if change.was != change.now or _plain(change.before) != _plain(change.after):
            changes.append(change)
    config = SequenceConfig.from_dict(_nested({now: value for now, (_, value) in given.items()}))
    return Migration(config=config, changes=(*changes, *_defaults(config, given)))


def read_values(path: Path) -> dict[str, Any]:
    """Read a JSON or YAML file of settings; a key given twice is refused.

    Raises
    ------
    ConfigError
        If it cannot be read, is neither, or holds no settings.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"file {path}", "must be readable", error, "Check its name.") from error
    values = _read_json(path, text) if path.suffix == ".json" else _read_yaml(path, text)
    if not isinstance(values, dict) or not values:
        kind = type(values).__name__ if values else "nothing"
        raise ConfigError(f"file {path}", "must hold settings by name", kind, "Name each setting.")
    return values


def to_toml(config: SequenceConfig) -> str:
    """Return a configuration as the sections of `dexml.toml`; what has no value is left out.

    Examples
    --------
    >>> print(to_toml(SequenceConfig())[:59])
    [models.sequence]
    enabled = false
    <BLANKLINE>
    [models.sequence.model]
    """
    lines = ["[models.sequence]", f"enabled = {json.dumps(config.enabled)}"]
    for section in SECTIONS:
        lines += ["", f"[models.sequence.{section}]"]
        for name, value in asdict(getattr(config, section)).items():
            if value is not None:
                shown = list(value) if isinstance(value, tuple) else value
                lines.append(f"{name} = {json.dumps(shown)}")
    return "\n".join(lines) + "\n"


def _leaves(
    values: Mapping[str, Any], above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        name = str(key).lower()
        if isinstance(value, Mapping) and (name in GROUPS or name not in GONE):
            if name not in (*GROUPS, "models", "sequence"):
                raise _unknown((*above, str(key)))
            yield from _leaves(value, (*above, str(key)))
        else:
            yield (*above, str(key)), value


def _understood(path: tuple[str, ...], before: Any) -> Change:
    was, leaf = ".".join(path), path[-1].lower()
    if leaf == "enabled" and path[:-1] in ((), ("models", "sequence"), ("sequence",)):
        return Change(kind="moved", was="enabled", now="enabled", before=before, after=before)
    if leaf in CLASSES:
        return Change(kind="dropped", was=was, now=None, before=before, reason="it names a layout")
    if leaf in ("name", "type") and path[1:]:
        leaf = path[-2].lower()  # optimizer.name is the optimizer
    if leaf in GONE and not (leaf in NAMES and isinstance(before, int | float | list)):
        return Change(kind="dropped", was=was, now=None, before=before, reason=GONE[leaf])
    if leaf not in NAMES:
        raise _unknown(path)
    by_default, value = fallback(leaf, before)
    if by_default:
        reason = "the focal loss is the default"
        return Change(kind="dropped", was=was, now=None, before=before, reason=reason)
    return _change(was.removeprefix("models.sequence."), NAMES[leaf], before, value)


def _change(was: str, now: str, before: Any, value: Any) -> Change:
    after = _number(now, value)
    for conversion in VALUES.get(now, ()):
        if conversion.applies(after):
            after = conversion.now(after)
            break
    after = tuple(after) if isinstance(after, list) else after
    kind = "converted"
    if _plain(before) == _plain(after) and type(_plain(before)) is type(_plain(after)):
        kind = "moved" if was.split(".")[-1] == now.split(".")[-1] else "renamed"
    return Change(kind=kind, was=was, now=now, before=before, after=after)


# YAML 1.1 reads 5e-5 as text, JSON written by hand has numbers in quotes: both were meant.
def _number(now: str, value: Any) -> Any:
    section, name = now.split(".")
    setting = next(one for one in settings_of(SECTIONS[section]) if one.name == name)
    if isinstance(value, str) and not isinstance(setting.default, str):
        try:
            number = float(value)
        except ValueError:
            return value
        whole = isinstance(setting.default, int | None) and number.is_integer()
        return int(number) if whole else number
    if isinstance(value, float) and isinstance(setting.default, int) and value.is_integer():
        return int(value)
    return value


def _told(value: Any) -> Any:
    # YAML has dates and infinities, JSON has not
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _refuse_twice(given: Mapping[str, tuple[str, Any]], now: str, change: Change) -> None:
    if now in given and given[now][1] != change.after:
        first, value = given[now]
        raise ConfigError(
            now,
            "must be given once",
            f"{first} = {value} and {change.was} = {change.after}",
            "Remove one of them.",
        )


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for now, value in given.items():
        section, _, name = now.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    return nested


def _defaults(config: SequenceConfig, given: Mapping[str, Any]) -> Iterator[Change]:
    for section in SECTIONS:
        for name, value in asdict(getattr(config, section)).items():
            if f"{section}.{name}" not in given:
                yield Change(kind="default", was=None, now=f"{section}.{name}", after=value)


def _unknown(path: tuple[str, ...]) -> ConfigError:
    close = difflib.get_close_matches(path[-1].lower(), [*NAMES, *GONE, *GROUPS], n=1)
    return ConfigError(
        f"setting {'.'.join(path)}",
        "must be one that some version had",
        path[-1],
        f"Did you mean {close[0]}?" if close else "Remove it.",
    )


def _read_json(path: Path, text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_repeated(path, [name for name, _ in pairs])
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ConfigError(f"file {path}", "must be JSON", error, "Correct that line.") from error


def _read_yaml(path: Path, text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            _refuse_repeated(path, [key.value for key, _ in node.value])
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"file {path}", "must be YAML", error, "Correct that line.") from error


def _refuse_repeated(path: Path, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            fix = "Remove one of them."
            raise ConfigError(f"{name} in {path}", "must be given once", "given twice", fix)
