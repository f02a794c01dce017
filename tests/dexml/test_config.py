from __future__ import annotations

from pathlib import Path

import pytest

from dexml.config import Settings, load_settings
from dexml.errors import ConfigError


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dexml.toml"
    path.write_text(text)
    return path


def test_defaults_need_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEXML_MODELS__SEED", "5")
    settings = load_settings(None, {})
    assert settings.models.seed == 0
    assert settings.ledger_url.endswith("/.dexml/ledger.sqlite")
    assert settings.storage_path == ".dexml/store"


def test_the_environment_overrules_the_file_which_overrules_defaults(tmp_path: Path) -> None:
    path = _file(tmp_path, '[models]\nseed = 3\nprofile = "best"\n[data]\nexchanges = ["kraken"]')
    env = {"DEXML_MODELS__SEED": "9", "DEXML_HOME": "/data/x", "PATH": "/bin"}
    settings = load_settings(path, env | {"DEXML_DATA__TIMEFRAME": "4h"})
    assert (settings.models.seed, settings.models.profile) == (9, "best")
    assert settings.data.exchanges == ("kraken",)
    assert settings.data.timeframe == "4h"
    assert settings.ledger_url == "sqlite:////data/x/ledger.sqlite"


def test_a_list_in_the_environment_is_json() -> None:
    env = {"DEXML_DATA__EXCHANGES": '["kraken"]'}
    assert load_settings(None, env).data.exchanges == ("kraken",)
    with pytest.raises(ConfigError):
        load_settings(None, {"DEXML_DATA__EXCHANGES": "kraken"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[models]\nsede = 3", r"models\.sede in .*dexml\.toml must be one of .*mean models\.seed"),
        ("[model]\nseed = 3", r"model in .*dexml\.toml must be one of .*Did you mean models"),
        ("[serve]\nport = 70000", r"serve\.port in .*dexml\.toml must be less than .*was 70000"),
        ('[models]\nprofile = "slow"', r"models\.profile in .* must be 'fast'.*was 'slow'"),
        ('models = "x"', r"models in .*dexml\.toml"),
        ("models = ", r"must be TOML"),
    ],
)
def test_a_wrong_file_is_named_with_the_key_and_the_fix(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_settings(_file(tmp_path, text), {})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DEXML_SERVE__PORT", "many", r"serve\.port in variable DEXML_SERVE__PORT must be"),
        ("DEXML_MODELS__SEDE", "1", r"Did you mean models\.seed"),
        ("DEXML_SERVER__PORT", "1", r"variable DEXML_SERVER__PORT must .*Did you mean serve"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_settings(None, {name: value})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be readable"):
        load_settings(tmp_path / "none.toml", {})


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
