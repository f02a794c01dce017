from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dexml.models.listing import rows_of, verdicts
from dexml.models.registry import Registry
from dexml.promotions import promote
from tests.model_versions import NOON, signed, write_model

SCORES = {
    "forecaster": {"log_loss": 0.6, "accuracy": 0.7},
    "base_rate": {"log_loss": 0.69, "accuracy": 0.5},
}
SUITE_SCORES = {"volume": {"log_loss": 0.6, "base_rate_log_loss": 0.69, "accuracy": 0.7}}
DATA = {"from": "2023-01-01T00:00:00+00:00", "to": "2023-12-01T00:00:00+00:00"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def registry(home: Path) -> Registry:
    return Registry.of(home)


def version(registry: Registry, home: Path, name: str, after_s: float, **manifest: object) -> str:
    return signed(registry, home, write_model(home / name, a=name), manifest, after_s)


def rows(registry: Registry, *, everything: bool = False) -> list[dict[str, object]]:
    now = NOON + timedelta(days=2)
    return rows_of(registry, registry.stages.read(), now, everything=everything)


def test_a_version_is_shown_with_its_data_scores_signer_and_age(
    registry: Registry, home: Path
) -> None:
    digest = version(registry, home, "volume", 0, target="volume", data=DATA, scores=SCORES)
    (row,) = rows(registry)
    assert (row["digest"], row["slot"], row["stage"]) == (digest, "volume", "challenger")
    assert row["trained_on"] == [DATA["from"], DATA["to"]]
    assert row["targets"] == ["volume"]
    assert row["scores"] == {"volume": {"log_loss": 0.6, "base_rate_log_loss": 0.69}}
    assert (row["age"], row["fault"]) == ("2 d", "")
    assert str(row["signed_by"]).endswith("this home")


def test_champions_come_first_then_the_newest(registry: Registry, home: Path) -> None:
    old, champion, new = (
        version(registry, home, name, k * 60, kind="suite") for k, name in enumerate("abc")
    )
    for one in (old, champion):
        promote(registry, one, at=NOON, by="ada", why="", ledger=None)
    assert [(row["digest"], row["stage"]) for row in rows(registry)] == [
        (champion, "champion"),
        (new, "challenger"),
        (old, "retired"),
    ]


def test_the_models_of_a_suite_stand_where_it_stands(registry: Registry, home: Path) -> None:
    both, alone = (version(registry, home, name, 0, target="volume") for name in "ab")
    members = {"volume": both}
    first = version(registry, home, "c", 1, kind="suite", members=members, scores=SUITE_SCORES)
    second = version(registry, home, "d", 2, kind="suite", members=members)
    for one in (first, second):
        promote(registry, one, at=NOON, by="ada", why="", ledger=None)
    assert {row["digest"] for row in rows(registry)} == {first, second, alone}
    found = {row["digest"]: row for row in rows(registry, everything=True)}
    assert (found[both]["stage"], found[alone]["stage"]) == ("champion", "challenger")
    assert sorted(found[both]["part_of"]) == sorted([first, second])  # type: ignore[call-overload]
    assert found[first]["scores"] == {"volume": {"log_loss": 0.6, "base_rate_log_loss": 0.69}}


def test_a_version_that_nobody_vouches_for_or_that_is_damaged_is_shown_as_such(
    registry: Registry, home: Path
) -> None:
    unsigned = registry.publish(write_model(home / "a", a="a"), {})
    stranger = version(registry, home, "b", 0)
    damaged = version(registry, home, "c", 0)
    (home / "models" / damaged / "manifest.json").write_text("{}")
    for key in registry.trust.trusted():
        registry.trust.remove(key)
    faults = {row["digest"]: row["fault"] for row in rows(registry)}
    assert faults[unsigned] == "unsigned"
    assert str(faults[stranger]).startswith("unknown key ")
    assert "must have the manifest.json that was published" in str(faults[damaged])


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=61), "1 h"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=47), "1 d"),
    ],
)
def test_ages_are_told_in_one_unit(
    registry: Registry, home: Path, passed: timedelta, said: str
) -> None:
    version(registry, home, "a", 0)
    (row,) = rows_of(registry, registry.stages.read(), NOON + passed)
    assert row["age"] == said


def test_the_verdict_on_each_version_names_its_fault(registry: Registry, home: Path) -> None:
    sound, bad = (version(registry, home, name, 0) for name in "ab")
    (home / "models" / bad / "a.txt").write_text("B")
    first, second = verdicts(registry, (sound, bad))
    assert first == {"digest": sound, "sound": True, "fault": ""}
    assert not second["sound"]
    assert "a.txt that was published" in second["fault"]
