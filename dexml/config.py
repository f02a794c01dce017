"""The one configuration: `dexml.toml`, overruled by DEXML_SECTION__FIELD in the environment."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from dexml.domain import Timeframe
from dexml.errors import ConfigError

__all__ = ["DataSettings", "ModelSettings", "ServeSettings", "Settings", "load_settings"]

FILE_NAME = "dexml.toml"
PREFIX = "DEXML_"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Section):
    """What is collected."""

    exchanges: tuple[str, ...] = Field(
        default=("binance", "kraken", "coinbaseexchange"),
        min_length=1,
        description="ccxt names of the exchanges, the preferred one first.",
    )
    instruments: tuple[str, ...] = Field(
        default=("BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT", "LINK/USDT", "DOGE/USDT"),
        min_length=1,
        description="What is traded, as BASE/QUOTE.",
    )
    timeframe: Timeframe = Field(default=Timeframe.H1, description="Length of a bar.")


class ModelSettings(_Section):
    """How models are fitted."""

    profile: Literal["fast", "standard", "best"] = Field(
        default="fast", description="How much work a fit may be."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of everything random.")


class ServeSettings(_Section):
    """Where the HTTP endpoint listens."""

    host: str = Field(default="127.0.0.1", description="Address to bind; loopback by default.")
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port; 0 takes a free one.")


class Settings(BaseSettings):
    """All settings; each section belongs to the component of its name.

    Examples
    --------
    >>> load_settings(None, {"DEXML_MODELS__SEED": "7"}).models.seed
    7
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__"
    )

    home: Path = Field(default=Path(".dexml"), description="Folder of all state.")
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL of the ledger; by default SQLite in `home`."
    )
    storage_uri: str | None = Field(
        default=None, description="Folder of bars, news and macro values; by default in `home`."
    )
    data: DataSettings = Field(default_factory=DataSettings, description="What is collected.")
    models: ModelSettings = Field(default_factory=ModelSettings, description="How to fit.")
    serve: ServeSettings = Field(default_factory=ServeSettings, description="The endpoint.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing behind the caller's back: `load_settings` gives the values."""
        return (init_settings,)

    @property
    def ledger_url(self) -> str:
        """Where the ledger is."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'ledger.db'}"

    @property
    def storage_path(self) -> str:
        """Where the store is."""
        return self.storage_uri or str(self.home / "store")


def load_settings(path: Path | None, env: Mapping[str, str]) -> Settings:
    """Read the settings: defaults, overruled by the file, overruled by the environment.

    Parameters
    ----------
    path : Path, optional
        A TOML file; None means that there is none.
    env : mapping
        The environment, given by the door (`os.environ`).

    Raises
    ------
    ConfigError
        Naming the file or variable, the setting, the rule, and the fix.
    """
    given: dict[str, Any] = {} if path is None else _read(path)
    _refuse_unknown(given, Settings, "", str(path))
    variables = _variables(env)
    _refuse_unknown(variables, Settings, "", "the environment")
    merged = _overruled(given, variables)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise _in_words(error, path, variables) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"file {path}", "must be readable", error.strerror, "Check its name and mode."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"file {path}", "must be TOML", error, "Correct that line.") from error


class _Given(EnvSettingsSource):
    """The environment that was passed in, read as pydantic reads the process's own."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {name.lower(): value for name, value in env.items()}
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._env


def _variables(env: Mapping[str, str]) -> dict[str, Any]:
    mine = {name: value for name, value in env.items() if name.upper().startswith(PREFIX)}
    for name in mine:
        section, nested, _ = name[len(PREFIX) :].lower().partition("__")
        if nested and section not in Settings.model_fields:
            _refuse_unknown({section: {}}, Settings, "", f"variable {name}")
    try:
        return _Given(mine)()
    except SettingsError as error:
        raise ConfigError(
            "environment",
            "must hold lists as JSON",
            error,
            "Write DEXML_DATA__EXCHANGES='[\"binance\"]'.",
        ) from error


def _overruled(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overruled(merged[key], value) if both else value
    return merged


def _refuse_unknown(given: Mapping[str, Any], kind: Any, prefix: str, where: str) -> None:
    fields = _fields_of(kind)
    for key, value in given.items():
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            fix = f"Did you mean {prefix}{close[0]}?" if close else "Remove it."
            raise ConfigError(
                f"{prefix}{key} in {where}", f"must be one of {', '.join(fields)}", key, fix
            )
        if isinstance(value, Mapping) and _fields_of(fields[key]):
            _refuse_unknown(value, fields[key], f"{prefix}{key}.", where)


def _fields_of(kind: Any) -> dict[str, Any]:
    # sections are pydantic models, or the frozen dataclasses of their components
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    return {name: field.type for name, field in getattr(kind, "__dataclass_fields__", {}).items()}


def _in_words(
    error: ValidationError, path: Path | None, variables: Mapping[str, Any]
) -> ConfigError:
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"]]
    name = ".".join(keys)
    inside: Any = variables
    for key in keys:
        inside = inside.get(key) if isinstance(inside, Mapping) else None
    variable = PREFIX + "__".join(keys[:2]).upper()
    where = str(path) if inside is None else f"variable {variable}"
    rule = first["msg"][0].lower() + first["msg"][1:].replace("Input should", "must")
    return ConfigError(
        f"{name} in {where}",
        rule.replace("input should", "must"),
        repr(first["input"]),
        "Correct it, or remove it to take the default.",
    )
