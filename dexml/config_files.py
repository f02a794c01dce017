"""Files of settings, present and old: understood and judged; and the page of all settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from dexml.config import COIN_FLIPS, Settings, load_settings
from dexml.errors import UsageError
from dexml.models.sequence.advice import Finding, validate_config
from dexml.models.sequence.config import SAMPLES_SEEN, SECTIONS, SequenceConfig, settings_of
from dexml.models.sequence.migration import Change, Migration, migrate_config, read_values

__all__ = ["Understood", "hyperparameters_page", "migrated", "understood"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a file says, and what is to be said about it.

    Attributes
    ----------
    layout : str
        "dexml.toml", "present" or "old".
    changes : tuple of Change
        What had to be changed in memory; settings that were not given are left out.
    """

    file: str
    layout: str
    findings: tuple[Finding, ...]
    changes: tuple[Change, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {
            "file": self.file,
            "layout": self.layout,
            "findings": [asdict(one) for one in self.findings],
            "changes": [str(one) for one in self.changes],
        }


def understood(path: Path | None, env: Mapping[str, str]) -> Understood:
    """Check a file and judge what it says; None judges what is in force without one.

    Raises
    ------
    ConfigError
        If a setting is unknown or a value breaks its rule.
    """
    if path is None or path.suffix == ".toml":
        settings = load_settings(path, env)
        models = settings.models
        findings = validate_config(models.sequence, models.profile)
        if not models.sequence.enabled:  # nobody asks about defaults of what is off
            usual = validate_config(SequenceConfig(), models.profile)
            findings = [one for one in findings if one not in usual]
        findings += _advice_on_trading(settings)
        return Understood(file=str(path), layout="dexml.toml", findings=tuple(findings))
    made = migrated(path)
    return Understood(
        file=str(path),
        layout="old" if made.is_old else "present",
        findings=tuple(validate_config(made.config)),
        changes=tuple(one for one in made.changes if one.kind != "default"),
    )


def _advice_on_trading(settings: Settings) -> list[Finding]:
    odds = settings.sizing.odds
    if odds == "measured":
        return []
    return [Finding(setting="sizing.odds", value=odds, better="measured", reason=COIN_FLIPS)]


def migrated(path: Path) -> Migration:
    """Read the CNN-LSTM's settings from a JSON or YAML file of any version.

    Raises
    ------
    UsageError
        If it is a TOML file, which no old version had.
    ConfigError
        If a key is unknown or a value breaks its rule.
    """
    if path.suffix == ".toml":
        raise UsageError("file", "must be JSON or YAML", path, "TOML is the present layout.")
    return migrate_config(read_values(path))


def hyperparameters_page() -> str:
    """Return the page of all settings of the CNN-LSTM, in Markdown.

    Examples
    --------
    >>> print(hyperparameters_page().splitlines()[0])
    # Hyperparameters of the CNN-LSTM
    """
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Hyperparameters of the CNN-LSTM"
    yield ""
    yield "Made by `dexml config docs` from the classes that hold them; do not edit."
    yield ""
    yield "They stand in `dexml.toml`, each in the section named below. `dexml config validate`"
    yield "gives advice on them, `dexml config migrate` makes them of an old JSON or YAML file."
    yield "`[models.sequence] enabled = true` makes the CNN-LSTM a member of the ensemble."
    for name, kind in SECTIONS.items():
        yield from ("", f"## [models.sequence.{name}]", "", _first_line(kind), "")
        yield from ("| setting | default | allowed | meaning |", "| --- | --- | --- | --- |")
        hints = get_type_hints(kind)
        yield from (_row(one, hints[one.name]) for one in settings_of(kind))
    yield from (
        "",
        "## Profiles",
        "",
        "Windows that all networks of a fit see together at most:",
        "",
    )
    yield from ("| profile | windows |", "| --- | --- |")
    for profile, most in SAMPLES_SEEN.items():
        yield f"| `{profile}` | {'the full schedule' if most is None else f'{most:,}'} |"


def _first_line(kind: type) -> str:
    return str(kind.__doc__).strip().splitlines()[0]


def _row(setting: Field[Any], hint: Any) -> str:
    doc = setting.metadata["doc"]
    return f"| `{setting.name}` | {_value(setting.default)} | {_allowed(setting, hint)} | {doc} |"


def _value(default: Any) -> str:
    if default is None:
        return "none"
    shown = list(default) if isinstance(default, tuple) else default
    return f"`{str(shown).lower() if isinstance(shown, bool) else shown}`"


def _allowed(setting: Field[Any], hint: Any) -> str:
    if isinstance(setting.default, str):
        return ", ".join(f"`{one}`" for one in get_args(hint))
    if isinstance(setting.default, bool):
        return "`true`, `false`"
    least, most = setting.metadata["least"], setting.metadata["most"]
    number = f"at least {least}" if most is None else f"{least} to {most}"
    return f"a list, each {number}" if isinstance(setting.default, tuple) else number
