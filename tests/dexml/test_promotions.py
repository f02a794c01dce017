from __future__ import annotations

import json
from pathlib import Path

import pytest

from dexml.errors import ModelError, ModelRefused, UsageError
from dexml.ledger import Ledger
from dexml.models.registry import Registry
from dexml.promotions import promote, resolve, roll_back
from tests.model_versions import NOON, signed, write_model


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.of(tmp_path)


def suite(registry: Registry, home: Path, name: str, **manifest: object) -> str:
    return signed(registry, home, write_model(home / name, a=name), {"kind": "suite", **manifest})


def to_champion(registry: Registry, digest: str, ledger: Ledger | None = None) -> None:
    promote(registry, digest, at=NOON, by="ada", why="better", ledger=ledger)


def back(registry: Registry, ledger: Ledger | None = None) -> None:
    roll_back(registry, "suite", at=NOON, by="bob", why="worse", ledger=ledger)


def test_the_history_tells_when_who_why_from_and_to(registry: Registry, tmp_path: Path) -> None:
    one, other = (suite(registry, tmp_path, name) for name in "ab")
    to_champion(registry, one)
    to_champion(registry, other)
    back(registry)
    told = [
        (change.kind, change.model, change.was, change.by, change.why)
        for change in registry.stages.read().changes
    ]
    assert told == [
        ("promotion", one, None, "ada", "better"),
        ("promotion", other, one, "ada", "better"),
        ("rollback", one, other, "bob", "worse"),
    ]
    assert registry.stages.read().changes[0].at == NOON.isoformat()


def test_a_version_that_may_not_be_loaded_is_not_promoted(
    registry: Registry, tmp_path: Path
) -> None:
    good, bad = (suite(registry, tmp_path, name) for name in "ab")
    unsigned = registry.publish(write_model(tmp_path / "c", a="c"), {"kind": "suite"})
    to_champion(registry, good)
    (tmp_path / "models" / bad / "a.txt").write_text("B")
    for digest in (bad, unsigned):
        with pytest.raises(ModelRefused):
            to_champion(registry, digest)
    assert registry.stages.read().champion("suite") == good


def test_a_champion_is_not_promoted_again_and_the_first_has_nobody_before_it(
    registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="must have had a champion before the present one"):
        back(registry)
    digest = suite(registry, tmp_path, "a")
    to_champion(registry, digest)
    with pytest.raises(UsageError, match="must not be champion of suite already"):
        to_champion(registry, digest)
    with pytest.raises(UsageError, match=r"was the first\. Slots with a champion: suite;"):
        back(registry)


def test_a_damaged_earlier_champion_does_not_come_back(registry: Registry, tmp_path: Path) -> None:
    one, other = (suite(registry, tmp_path, name) for name in "ab")
    to_champion(registry, one)
    to_champion(registry, other)
    (tmp_path / "models" / one / "a.txt").unlink()
    with pytest.raises(ModelRefused, match=r"a\.txt that was published, was missing"):
        back(registry)
    assert registry.stages.read().champion("suite") == other


def test_who_is_slower_is_told_and_changes_nothing(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (suite(registry, tmp_path, name) for name in "ab")
    opened = registry.open

    def meanwhile(digest: str, *, compatible: bool = True) -> object:
        to_champion(Registry.of(tmp_path), other)  # while the slower one verifies
        return opened(digest, compatible=compatible)

    monkeypatch.setattr(registry, "open", meanwhile)
    with pytest.raises(ModelError, match="must be as they were when this was decided"):
        to_champion(registry, one)
    assert [change.model for change in registry.stages.read().changes] == [other]


def test_the_ledger_follows(registry: Registry, tmp_path: Path) -> None:
    old = suite(registry, tmp_path, "a", members={"volume": "v1", "macro": "m"})
    scores = {"volume": {"log_loss": 0.6, "base_rate_log_loss": 0.69}}
    new = suite(registry, tmp_path, "b", members={"volume": "v2", "macro": "m"}, scores=scores)
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        to_champion(registry, old, ledger)
        to_champion(registry, new, ledger)
        found = {(row["digest"], row["target"]): row for row in ledger.models()}
        assert {key: row["status"] for key, row in found.items()} == {
            (old, "ensemble"): "retired",
            ("v1", "volume"): "retired",
            ("m", "macro"): "champion",
            (new, "ensemble"): "champion",
            ("v2", "volume"): "champion",
        }
        assert json.loads(found[("v2", "volume")]["manifest"]) == {"scores": scores["volume"]}
        back(registry, ledger)
        again = {(row["digest"], row["target"]): row["status"] for row in ledger.models()}
        assert (again[(old, "ensemble")], again[(new, "ensemble")]) == ("champion", "retired")
        ledger.verify_chain("models")


def test_the_first_digits_of_a_digest_stand_for_it(registry: Registry, tmp_path: Path) -> None:
    one, other = (suite(registry, tmp_path, name) for name in "ab")
    assert resolve(registry, one[:6]) == resolve(registry, one) == one
    for name, said in (("", "must have at least 6"), (one[:5], "must have at least 6")):
        with pytest.raises(UsageError, match=said):
            resolve(registry, name)
    with pytest.raises(UsageError, match="which names none"):
        resolve(registry, "0" * 64)
    twin = tmp_path / "models" / (one[:8] + other[8:])
    twin.mkdir()
    with pytest.raises(UsageError, match="which names 2"):
        resolve(registry, one[:8])
