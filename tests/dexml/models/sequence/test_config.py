from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from dexml.config import load_settings
from dexml.errors import ConfigError
from dexml.models.profiles import FitSpec
from dexml.models.sequence.advice import validate_config
from dexml.models.sequence.config import SECTIONS, SequenceConfig, budget, settings_of


def test_the_defaults_are_those_of_the_specification() -> None:
    config = SequenceConfig()
    assert config.data.sequence_length == 64
    assert config.model.cnn_channels == (32, 64, 128)
    assert (config.model.lstm_hidden, config.model.dropout) == (128, 0.4)
    assert config.balancing.focal_gamma == 2.5
    trainer = config.trainer
    assert (trainer.learning_rate, trainer.weight_decay) == (5e-5, 0.01)
    assert (trainer.batch_size, trainer.epochs) == (256, 150)
    assert not config.enabled
    assert [budget(config, name) for name in ("fast", "standard", "best")] == [
        200_000,
        2_000_000,
        None,
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model.cnn_channels", []),
        ("model.cnn_channels", 32),
        ("model.cnn_channels", [32, 0]),
        ("model.kernel_size", 4),
        ("model.lstm_hidden", True),
        ("model.dropout", float("nan")),
        ("model.dropout", 1),
        ("trainer.epochs", 0),
        ("trainer.epochs", 2.0),
        ("trainer.learning_rate", "fast"),
        ("trainer.learning_rate", -1e-4),
        ("trainer.device", "tpu"),
        ("trainer.precision", "fp8"),
        ("trainer.compile", 1),
        ("trainer.max_samples", 0),
        ("data.sequence_length", 1),
        ("data.validation_share", 0.9),
        ("balancing.method", "oversample"),
        ("balancing.beta", 1.0),
    ],
)
def test_an_invalid_value_is_an_error_that_names_the_setting(setting: str, value: Any) -> None:
    section, name = setting.split(".")
    with pytest.raises(ConfigError, match=rf"models\.sequence\.{section}\.{name} must"):
        SequenceConfig.from_dict({section: {name: value}})


@pytest.mark.parametrize("values", [{"models": {}}, {"model": {"hidden": 3}}, {"model": 3}])
def test_an_unknown_setting_is_an_error(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must"):
        SequenceConfig.from_dict(values)


def test_every_setting_says_what_it_means_and_is_within_its_own_bounds() -> None:
    for kind in SECTIONS.values():
        for setting in settings_of(kind):
            assert setting.metadata["doc"].endswith(".")
            default, least = setting.default, setting.metadata["least"]
            if isinstance(default, int | float) and not isinstance(default, bool):
                assert least is not None
                assert default >= least


def test_a_configuration_survives_json_also_inside_a_fit() -> None:
    config = SequenceConfig.from_dict({"model": {"cnn_channels": [4]}, "enabled": True})
    assert SequenceConfig.from_dict(json.loads(json.dumps(asdict(config)))) == config
    spec = FitSpec(target="direction", columns=("return_1",), sequence=config)
    assert FitSpec(**json.loads(json.dumps(asdict(spec)))) == spec


def test_settings_come_from_the_file_and_the_environment(tmp_path: Any) -> None:
    path = tmp_path / "dexml.toml"
    path.write_text(
        "[models.sequence]\nenabled = true\n[models.sequence.model]\ncnn_channels = [8, 16]\n"
    )
    env = {"DEXML_MODELS__SEQUENCE__TRAINER__EPOCHS": "7"}
    found = load_settings(path, env).models.sequence
    assert found.enabled
    assert (found.model.cnn_channels, found.trainer.epochs) == ((8, 16), 7)
    with pytest.raises(ConfigError, match=r"models\.sequence\.trainer\.epochs in variable DEXML_"):
        load_settings(path, {"DEXML_MODELS__SEQUENCE__TRAINER__EPOCHS": "0"})
    path.write_text("[models.sequence.trainer]\nlr = 1e-4\n")
    with pytest.raises(ConfigError, match=r"models\.sequence\.trainer\.lr in .* must be one of"):
        load_settings(path, {})


def test_the_defaults_get_no_advice_where_they_have_the_time_that_they_need() -> None:
    assert validate_config(SequenceConfig(), "best") == []


@pytest.mark.parametrize(
    ("setting", "value", "better"),
    [
        ("trainer.learning_rate", 1e-1, 1e-3),
        ("trainer.learning_rate", 0.003, 1e-3),
        ("trainer.batch_size", 8, 256),
        ("trainer.batch_size", 8_192, 256),
        ("trainer.weight_decay", 0.0, 0.01),
        ("trainer.weight_decay", 1.0, 0.01),
        ("trainer.epochs", 5, 150),
        ("trainer.patience", 150, 15),
        ("model.dropout", 0.1, 0.4),
        ("model.dropout", 0.8, 0.4),
        ("model.lstm_hidden", 512, 128),
        ("model.cnn_channels", (128, 64), (64, 128)),
        ("data.sequence_length", 8, 64),
        ("data.sequence_length", 512, 64),
        ("data.validation_share", 0.02, 0.15),
        ("data.clip", 1.0, 5.0),
        ("balancing.focal_gamma", 5.0, 2.5),
        ("balancing.beta", 0.9, 0.999),
    ],
)
def test_a_poor_value_gets_advice_that_removes_itself(
    setting: str, value: Any, better: Any
) -> None:
    section, name = setting.split(".")
    config = SequenceConfig.from_dict({section: {name: value}})
    (finding,) = [one for one in validate_config(config) if one.setting == setting]
    assert (finding.value, finding.better) == (value, better)
    assert len(finding.reason) > 20
    mended = replace(config, **{section: replace(getattr(config, section), **{name: better})})
    assert setting not in [one.setting for one in validate_config(mended)]


def test_a_profile_that_stops_early_asks_for_longer_steps() -> None:
    (finding,) = validate_config(SequenceConfig(), "fast")
    assert (finding.setting, finding.better) == ("trainer.learning_rate", 1e-3)
    assert "130 steps of it cannot move a weight by more than 0.0065" in str(finding)
    faster = SequenceConfig.from_dict({"trainer": {"learning_rate": finding.better}})
    assert validate_config(faster, "fast") == []
