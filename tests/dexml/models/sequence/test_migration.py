from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dexml.config import load_settings
from dexml.errors import ConfigError
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.migration import Migration, migrate_config, read_values, to_toml

FLAT = {
    "lr": 0.001,
    "hidden_size": 64,
    "cnn_filters": [16, 32],
    "gamma": 2.0,
    "num_epochs": 50,
    "batch_size": 128,
    "seq_len": 48,
    "dropout_rate": 0.3,
    "val_split": 0.2,
    "use_class_weights": True,
    "use_amp": False,
    "random_seed": 42,
}
NESTED = {
    "model": {
        "cnn": {"filters": [16, 32], "kernel_size": 5},
        "lstm": {"hidden_size": 64, "num_layers": 2},
        "dropout": 0.3,
    },
    "training": {
        "optimizer": {"type": "adamw", "lr": 0.001, "weight_decay": 0.0001},
        "loss": {"name": "focal", "gamma": 2.0},
        "num_epochs": 50,
        "early_stopping": {"patience": 7},
        "scheduler": {"T_max": 50, "gamma": 0.9},
    },
    "data": {"sequence_length": 48, "num_workers": 4},
}
V2 = {
    "ModelConfigV2": {"cnn_channels": [32, 64, 128], "lstm_hidden": 128, "dropout": 0.4},
    "TrainerConfigV2": {
        "epochs": 150,
        "learning_rate": 5e-5,
        "batch_size": 256,
        "weight_decay": 0.01,
        "focal_gamma": 2.5,
        "early_stopping_patience": 20,
        "label_smoothing": 0.1,
    },
}


def reported(made: Migration) -> dict[str | None, tuple[str, str | None]]:
    return {one.was: (one.kind, one.now) for one in made.changes if one.kind != "default"}


def test_a_flat_file_of_the_first_version() -> None:
    made = migrate_config(FLAT)
    config = made.config
    assert config.trainer.learning_rate == 0.001
    assert (config.model.lstm_hidden, config.model.cnn_channels) == (64, (16, 32))
    assert (config.balancing.focal_gamma, config.balancing.method) == (2.0, "balanced")
    assert (config.trainer.epochs, config.trainer.batch_size) == (50, 128)
    assert (config.data.sequence_length, config.data.validation_share) == (48, 0.2)
    assert (config.model.dropout, config.trainer.precision) == (0.3, "float32")
    assert reported(made) == {
        "lr": ("renamed", "trainer.learning_rate"),
        "hidden_size": ("renamed", "model.lstm_hidden"),
        "cnn_filters": ("renamed", "model.cnn_channels"),
        "gamma": ("renamed", "balancing.focal_gamma"),
        "num_epochs": ("renamed", "trainer.epochs"),
        "batch_size": ("moved", "trainer.batch_size"),
        "seq_len": ("renamed", "data.sequence_length"),
        "dropout_rate": ("renamed", "model.dropout"),
        "val_split": ("renamed", "data.validation_share"),
        "use_class_weights": ("converted", "balancing.method"),
        "use_amp": ("converted", "trainer.precision"),
        "random_seed": ("dropped", None),
    }


def test_a_nested_file_of_the_first_version() -> None:
    made = migrate_config(NESTED)
    config = made.config
    assert (config.model.cnn_channels, config.model.kernel_size) == ((16, 32), 5)
    assert (config.model.lstm_hidden, config.model.lstm_layers) == (64, 2)
    assert (config.trainer.learning_rate, config.trainer.weight_decay) == (0.001, 0.0001)
    assert (config.trainer.epochs, config.trainer.patience) == (50, 7)
    assert config.balancing.focal_gamma == 2.0  # of the loss, not of the scheduler
    told = reported(made)
    assert told["training.scheduler"] == ("dropped", None)
    assert told["training.optimizer.type"] == ("dropped", None)
    assert told["data.num_workers"] == ("dropped", None)
    assert "model.dropout" not in told  # stands where it stood


def test_the_classes_of_the_second_version() -> None:
    made = migrate_config(V2)
    assert made.config.trainer.patience == 20
    assert made.config.balancing == SequenceConfig().balancing
    assert reported(made)["TrainerConfigV2.focal_gamma"] == ("moved", "balancing.focal_gamma")
    assert reported(made)["TrainerConfigV2.label_smoothing"] == ("dropped", None)
    assert made.is_old


def test_every_key_of_a_file_and_every_setting_left_out_is_reported_once() -> None:
    made = migrate_config(FLAT)
    assert {one.was for one in made.changes if one.was} == set(FLAT)
    settings = {
        f"{section}.{name}"
        for section, values in asdict(made.config).items()
        if section != "enabled"
        for name in values
    }
    assert sorted(one.now for one in made.changes if one.now) == sorted(settings)
    assert all(str(one) for one in made.changes)


def test_the_present_layout_stays_as_it_is() -> None:
    config = SequenceConfig.from_dict({"enabled": True, "trainer": {"epochs": 9}})
    values = json.loads(json.dumps(asdict(config)))
    for given in (values, {"models": {"sequence": values}}):
        made = migrate_config(given)
        assert made.config == config
        assert not made.is_old
        assert made.changes == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": 1e-3, "lerning_rate": 1e-3}, "Did you mean learning_rate"),
        ({"model": {"transformer_heads": 4}}, r"setting model\.transformer_heads must be one that"),
        ({"execution": {"lr": 1e-3}}, "setting execution must be one that some version had"),
        ({"lr": 1e-3, "learning_rate": 1e-4}, "trainer.learning_rate must be given once"),
        ({"use_focal_loss": False, "gamma": 2.0}, "focal_gamma must be given once"),
        ({"lr": "quick"}, r"models\.sequence\.trainer\.learning_rate must be a number"),
        ({"num_epochs": 1.5}, r"trainer\.epochs must be a whole number, was 1\.5"),
        ({"dropout": 2}, r"model\.dropout must lie in 0\.\.0\.95"),
        ({"kernel_sizes": [3, 5]}, r"model\.kernel_size must be a whole number"),
    ],
)
def test_what_cannot_be_understood_is_an_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        migrate_config(values)


@pytest.mark.parametrize(
    ("values", "setting", "wanted"),
    [
        ({"lr": "5e-5"}, "trainer.learning_rate", 5e-5),
        ({"num_epochs": "50"}, "trainer.epochs", 50),
        ({"epochs": 50.0}, "trainer.epochs", 50),
        ({"use_amp": True}, "trainer.precision", "auto"),
        ({"mixed_precision": "fp16"}, "trainer.precision", "bf16"),
        ({"use_class_weights": False}, "balancing.method", "none"),
        ({"class_weights": None}, "balancing.method", "none"),
        ({"class_weights": "inverse"}, "balancing.method", "balanced"),
        ({"kernel_sizes": [5, 5, 5]}, "model.kernel_size", 5),
        ({"use_focal_loss": False}, "balancing.focal_gamma", 0.0),
        ({"use_focal_loss": True}, "balancing.focal_gamma", 2.5),
        ({"device": "cuda:0"}, "trainer.device", "cuda"),
    ],
)
def test_values_that_were_said_otherwise(
    values: dict[str, Any], setting: str, wanted: object
) -> None:
    made = migrate_config(values)
    section, name = setting.split(".")
    assert getattr(getattr(made.config, section), name) == wanted
    assert reported(made)


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_files_are_read_and_become_sections_that_dexml_reads(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"old.{suffix}"
    path.write_text(json.dumps(NESTED))  # JSON is YAML
    made = migrate_config(read_values(path))
    toml = tmp_path / "dexml.toml"
    toml.write_text(to_toml(made.config))
    assert tomllib.loads(toml.read_text())
    assert load_settings(toml, {}).models.sequence == made.config


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "must be JSON"),
        ("a.yaml", "a: [", "must be YAML"),
        ("a.yaml", "- 1\n- 2", "must hold settings by name, was list"),
        ("a.json", "{}", "must hold settings by name, was nothing"),
        ("a.yaml", "", "must hold settings by name"),
        ("a.json", '{"lr": 1, "lr": 2}', "lr in .* must be given once"),
        ("a.yaml", "lr: 1\nlr: 2\n", "lr in .* must be given once"),
        ("a.yaml", "!!python/object/apply:os.getpid []", "must be YAML"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_values(tmp_path / name)


def test_the_numbers_of_yaml_are_what_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("lr: 5e-5\nnum_epochs: 20\ncnn_filters: [8, 16]\nseed: 2024-01-01\n")
    made = migrate_config(read_values(path))
    assert made.config.trainer.learning_rate == 5e-5
    assert reported(made)["lr"] == ("converted", "trainer.learning_rate")
    assert json.loads(json.dumps(made.to_dict()))["config"]["trainer"]["epochs"] == 20
