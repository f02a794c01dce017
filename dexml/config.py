"""The one configuration: `dexml.toml`, overruled by DEXML_SECTION__FIELD in the environment."""

from __future__ import annotations

import difflib
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from dexml.costs import CostConfig
from dexml.errors import ConfigError
from dexml.risk.exits import ExitConfig
from dexml.risk.limits import LimitConfig
from dexml.risk.orders import OrderLimits
from dexml.risk.policy import POLICIES, PolicyConfig
from dexml.risk.sizing import SizingConfig
from dexml.risk.trips import TripLimits
from dexml.sections import DataSettings, ModelSettings, ServeSettings, UniverseSettings
from dexml.state import KernelConfig

__all__ = [
    "COIN_FLIPS",
    "DataSettings",
    "ModelSettings",
    "ServeSettings",
    "Settings",
    "given_values",
    "inside",
    "load_settings",
    "variable_of",
]

FILE_NAME = "dexml.toml"
PREFIX = "DEXML_"
COIN_FLIPS = "a win of 2% against a loss of 1% sizes every coin flip at the cap"
NEEDED_IN_TESTS = "DEXML_REQUIRE_COMPONENTS"  # no setting of the product
_LOG = logging.getLogger(__name__)


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
    registry_uri: str | None = Field(
        default=None, description="Folder or bucket of model versions; by default in `home`."
    )
    extensions: tuple[str, ...] = Field(default=(), description="Modules of yours to import first.")
    data: DataSettings = Field(default_factory=DataSettings, description="What is collected.")
    universe: UniverseSettings = Field(
        default_factory=UniverseSettings, description="Who may be traded, and when."
    )
    models: ModelSettings = Field(default_factory=ModelSettings, description="How to fit.")
    serve: ServeSettings = Field(default_factory=ServeSettings, description="The endpoint.")
    costs: CostConfig = Field(default_factory=CostConfig, description="The pool that orders meet.")
    policy: PolicyConfig = Field(
        default_factory=PolicyConfig, description="When a forecast is worth a trade."
    )
    sizing: SizingConfig = Field(default_factory=SizingConfig, description="How much is traded.")
    exits: ExitConfig = Field(default_factory=ExitConfig, description="When a position is left.")
    limits: LimitConfig = Field(default_factory=LimitConfig, description="Where new risk ends.")
    orders: OrderLimits = Field(default_factory=OrderLimits, description="What an order may do.")
    trips: TripLimits = Field(
        default_factory=TripLimits, description="What ends trading by itself."
    )

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
        return self.database_url or f"sqlite:///{self.home.absolute() / 'ledger.sqlite'}"

    @property
    def storage_path(self) -> str:
        """Where the store is."""
        return self.storage_uri or str(self.home / "store")

    def kernel(self) -> KernelConfig:
        """Return everything that can change a decision, as the kernel takes it.

        Examples
        --------
        >>> load_settings(None, {"DEXML_COSTS__POOL_FEE_BPS": "30"}).kernel().costs.pool_fee_bps
        30
        """
        if self.policy.name not in POLICIES:
            known = ", ".join(sorted(POLICIES))
            raise ConfigError(
                "policy.name",
                f"must be one of {known}",
                self.policy.name,
                "Register yours with @policy before it is used.",
            )
        if self.sizing.odds == "seed":
            _LOG.warning("sizing.odds = seed: %s", COIN_FLIPS)
        return KernelConfig(
            timeframe=self.data.timeframe,
            costs=self.costs,
            policy=self.policy,
            sizing=self.sizing,
            exits=self.exits,
            limits=self.limits,
            orders=self.orders,
            trips=self.trips,
            universe=self.universe.config(),
        )


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
    given, variables = given_values(path, env)
    try:
        return Settings(**_overruled(given, variables))
    except ValidationError as error:
        raise _in_words(error, path, variables) from error
    except ConfigError as error:  # a component refused its section and cannot know where it is from
        where = _where(error.subject.split("."), path, variables)
        raise ConfigError(
            f"{error.subject} in {where}", error.rule, error.was, error.fix
        ) from error


def given_values(
    path: Path | None, env: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the file and the environment say, by section; unknown keys are refused."""
    given: dict[str, Any] = {} if path is None else _read(path)
    _refuse_unknown(given, Settings, "", str(path))
    variables = _variables(env)
    _refuse_unknown(variables, Settings, "", "the environment")
    return given, variables


def inside(values: Any, keys: list[str]) -> Any:
    """Return the value under nested keys; None if there is none."""
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def variable_of(keys: list[str]) -> str:
    """Return the name of the variable that gives a setting."""
    return PREFIX + "__".join(keys).upper()


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
    mine = {
        name: value
        for name, value in env.items()
        if name.upper().startswith(PREFIX) and name != NEEDED_IN_TESTS
    }
    for name in mine:
        section, _, _ = name[len(PREFIX) :].lower().partition("__")
        if section not in Settings.model_fields:
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
    return get_type_hints(kind) if is_dataclass(kind) else {}


def _in_words(
    error: ValidationError, path: Path | None, variables: Mapping[str, Any]
) -> ConfigError:
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"]]
    name, where = ".".join(keys), _where(keys, path, variables)
    rule = first["msg"][0].lower() + first["msg"][1:].replace("Input should", "must")
    return ConfigError(
        f"{name} in {where}",
        rule.replace("input should", "must"),
        repr(first["input"]),
        "Correct it, or remove it to take the default.",
    )


def _where(keys: list[str], path: Path | None, variables: Mapping[str, Any]) -> str:
    return str(path) if inside(variables, keys) is None else f"variable {variable_of(keys)}"
