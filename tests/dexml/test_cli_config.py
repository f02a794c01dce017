from __future__ import annotations

import json
from pathlib import Path

from dexml.config_files import hyperparameters_page
from tests.dexml.conftest import Dexml

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hyperparameters.md"
OLD = {"lr": 0.01, "hidden_size": 64, "num_epochs": 5}


def test_the_page_of_hyperparameters_is_up_to_date() -> None:
    # When it fails: dexml config docs --out docs/hyperparameters.md
    assert PAGE.read_text() == hyperparameters_page()


def test_the_page_names_every_setting_with_its_default(dexml: Dexml, empty: Path) -> None:
    said = dexml("config", "docs")
    assert said.out == PAGE.read_text()
    assert "| `learning_rate` | `5e-05` |" in said.out
    assert dexml("config", "docs", "--out", "page.md").code == 0
    assert (empty / "page.md").read_text() == said.out


def test_an_old_file_is_migrated_in_memory_and_judged(dexml: Dexml, empty: Path) -> None:
    (empty / "old.json").write_text(json.dumps(OLD))
    said = dexml("config", "validate", "old.json", "--json")
    assert said.code == 0
    assert "old.json is of an old version. It was migrated in memory" in said.err
    told = said.last_line()
    assert told["layout"] == "old"
    assert "lr is trainer.learning_rate now: 0.01" in told["changes"]
    better = {one["setting"]: one["better"] for one in told["findings"]}
    assert better == {
        "trainer.learning_rate": 0.001,
        "trainer.epochs": 150,
        "trainer.patience": 1,
    }
    assert [one for one in told["findings"] if not one["reason"]] == []
    assert (empty / "old.json").read_text() == json.dumps(OLD)


def test_what_migrate_writes_is_the_configuration_in_force(dexml: Dexml, empty: Path) -> None:
    (empty / "old.yaml").write_text("training:\n  optimizer: {name: adamw, lr: 2e-4}\n")
    said = dexml("config", "migrate", "old.yaml", "--out", "dexml.toml", "--json")
    told = said.last_line()
    assert told["config"]["trainer"]["learning_rate"] == 2e-4
    assert {one["kind"] for one in told["changes"]} == {"converted", "dropped", "default"}
    shown = dexml("config", "show", "--json").last_line()
    assert shown["settings"]["models.sequence.trainer.learning_rate"] == 2e-4
    assert shown["sources"]["models.sequence.trainer.learning_rate"] == "dexml.toml"
    judged = dexml("config", "validate", "dexml.toml", "--json").last_line()
    assert (judged["layout"], judged["changes"]) == ("dexml.toml", [])
    assert [one["setting"] for one in judged["findings"]] == ["trainer.learning_rate"]


def test_without_a_file_what_is_in_force_is_judged(dexml: Dexml) -> None:
    env = {"DEXML_MODELS__SEQUENCE__MODEL__DROPOUT": "0.05", "DEXML_MODELS__PROFILE": "best"}
    said = dexml("config", "validate", "--json", **env)
    assert [one["setting"] for one in said.last_line()["findings"]] == ["model.dropout"]
    sound = dexml("config", "validate")
    assert sound.out.strip() == "The configuration is valid. No advice."
    asked = dexml("config", "validate", DEXML_MODELS__SEQUENCE__ENABLED="true")
    assert asked.out.startswith("trainer.learning_rate = 5e-05: 130 steps of it cannot move")
    seed = dexml("config", "validate", DEXML_SIZING__ODDS="seed")
    assert seed.out.startswith("sizing.odds = seed: a win of 2% against a loss of 1%")
    assert seed.out.strip().endswith("Better: measured.")


def test_what_is_invalid_is_refused_in_one_sentence(dexml: Dexml, empty: Path) -> None:
    for name, text, word in (
        ("a.json", '{"learning_rte": 1}', "Did you mean learning_rate?"),
        ("b.yaml", "dropout: 3", "models.sequence.model.dropout must lie in 0..0.95"),
        ("c.toml", "[models.sequence.model]\ndropout = 3\n", "model.dropout"),
        ("d.toml", "[models]\nsequence = 3\n", "models.sequence"),
    ):
        (empty / name).write_text(text)
        said = dexml("config", "validate", name)
        assert (said.code, said.out) == (2, ""), said
        assert word in said.err
        assert "Traceback" not in said.err
    assert dexml("config", "migrate", "c.toml").code == 2
    assert dexml("config", "migrate", "none.json").code == 2
    assert dexml("config", "docs", "--out", "no/such/folder.md").code == 2
