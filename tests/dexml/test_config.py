from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest

from dexml.config import Settings, load_settings
from dexml.config_show import in_force
from dexml.errors import ConfigError
from dexml.state import KernelConfig


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
        ('[models]\nprofile = "slow"', r"models\.profile in .* must be 'light', .*was 'slow'"),
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
        ("DEXML_HOMEE", "x", r"variable DEXML_HOMEE must .*Did you mean home"),
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


def test_the_kernel_takes_every_section_that_can_change_a_decision(tmp_path: Path) -> None:
    path = _file(tmp_path, "[costs]\ngas_per_swap_usd = 0.07\n[trips]\ndrawdown = 0.2")
    env = {"DEXML_EXITS__STOP_ATR": "3", "DEXML_SIZING__KELLY_CAP": "0.1"}
    kernel = load_settings(path, env | {"DEXML_POLICY__MIN_EDGE": "0.002"}).kernel()
    assert kernel.costs.gas_per_swap_usd == Decimal("0.07")
    assert (kernel.trips.drawdown, kernel.exits.stop_atr) == (0.2, 3.0)
    assert (kernel.sizing.kelly_cap, kernel.policy.min_edge) == (0.1, 0.002)


def test_without_a_file_the_kernel_is_the_default_kernel() -> None:
    assert load_settings(None, {}).kernel() == KernelConfig()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[costs]\npool_fee_bps = -1", r"costs\.pool_fee_bps in .*dexml\.toml must be 0\.\.9999"),
        ("[sizing]\nkelly_cap = nan", r"sizing\.kelly_cap in .*dexml\.toml must be in \(0, 1\]"),
        ("[exits]\nstop_atr = 0", r"exits\.stop_atr in .*dexml\.toml must be positive, was 0"),
        ("[exits]\nstop = 2", r"Did you mean exits\.stop_atr"),
        ("[limits]\nweight = 'x'", r"limits\.weight in .*dexml\.toml must be a valid number"),
    ],
)
def test_a_wrong_value_of_a_component_is_named_with_its_file(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_settings(_file(tmp_path, text), {})


def test_an_order_that_would_outlive_its_bar_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, "[costs]\nlatency_s = 3600")
    with pytest.raises(ConfigError, match=r"costs\.latency_s must be below the 3600 s"):
        load_settings(path, {}).kernel()


def test_a_policy_that_nobody_registered_is_refused() -> None:
    settings = load_settings(None, {"DEXML_POLICY__NAME": "mine"})
    with pytest.raises(ConfigError, match=r"policy\.name must be one of net_edge, was mine"):
        settings.kernel()


def test_the_seeds_payoff_is_warned_about_and_the_measured_one_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert load_settings(None, {}).kernel().sizing.odds == "measured"
    assert caplog.messages == []
    assert load_settings(None, {"DEXML_SIZING__ODDS": "seed"}).kernel().sizing.odds == "seed"
    (said,) = caplog.messages
    assert said.endswith("a win of 2% against a loss of 1% sizes every coin flip at the cap")


def test_what_is_in_force_covers_every_field_of_every_section() -> None:
    names = {one.name for one in in_force(None, {})}
    for section in ("costs", "policy", "sizing", "exits", "limits"):
        fields = dataclasses.fields(Settings.model_fields[section].annotation)  # type: ignore[arg-type]
        assert {f"{section}.{field.name}" for field in fields} <= names


def test_a_home_on_the_command_line_overrules_file_and_environment(tmp_path: Path) -> None:
    path = _file(tmp_path, 'home = "/from/file"')
    given = in_force(path, {"DEXML_HOME": "/from/environment"}, tmp_path / "mine")
    home = next(one for one in given if one.name == "home")
    assert (home.value, home.source) == (str(tmp_path / "mine"), "--home")
    home = next(one for one in in_force(path, {}) if one.name == "home")
    assert (home.value, home.source) == ("/from/file", str(path))


def test_how_members_are_combined_may_be_asked_for() -> None:
    assert load_settings(None, {}).models.recipe().ensemble is None
    assert load_settings(None, {"DEXML_MODELS__ENSEMBLE": "bagging"}).models.recipe().ensemble == (
        "bagging"
    )
