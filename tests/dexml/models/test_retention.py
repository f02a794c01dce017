from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from dexml.errors import UsageError
from dexml.models.registry import Registry
from dexml.models.retention import expendable, prune
from dexml.promotions import promote, roll_back
from tests.model_versions import NOON, signed, write_model


class House:
    """A home with versions made one minute after another."""

    def __init__(self, home: Path) -> None:
        self.home, self.registry, self._n = home, Registry.of(home), 0

    def version(self, **manifest: object) -> str:
        self._n += 1
        folder = write_model(self.home / f"made{self._n}", a=str(self._n))
        return signed(self.registry, self.home, folder, dict(manifest), 60 * self._n)

    def suite(self, *members: str) -> str:
        return self.version(kind="suite", members={f"m{k}": one for k, one in enumerate(members)})

    def promote(self, digest: str) -> None:
        promote(self.registry, digest, at=NOON, by="ada", why="", ledger=None)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_champion_the_one_before_it_and_the_newest_stay(house: House) -> None:
    made = [house.suite() for _ in range(7)]
    for one in made[:4]:
        house.promote(one)
    assert set(expendable(house.registry, (), 2)) == {made[0], made[1], made[4]}
    roll_back(house.registry, "suite", at=NOON, by="ada", why="", ledger=None)
    assert set(expendable(house.registry, (), 2)) == {made[0], made[3], made[4]}


def test_what_a_recorded_run_refers_to_stays(house: House) -> None:
    made = [house.suite() for _ in range(3)]
    assert expendable(house.registry, {made[0]}, 1) == (made[1],)


def test_each_slot_keeps_its_own(house: House) -> None:
    suite, *volumes = house.suite(), house.version(target="volume"), house.version(target="volume")
    assert expendable(house.registry, (), 1) == (volumes[0],)
    assert suite in house.registry.versions()


def test_models_go_with_the_last_suite_that_was_made_from_them(house: House) -> None:
    parts = [house.version(target="volume") for _ in range(4)]
    old, new = house.suite(parts[0], parts[1]), house.suite(parts[1], parts[2])
    gone = expendable(house.registry, (), 1)
    assert set(gone) == {old, parts[0]}
    assert expendable(house.registry, {old}, 1) == ()
    assert {new, parts[3]} <= set(house.registry.versions()) - set(gone)


def test_what_cannot_be_read_stays_for_somebody_to_look_at(house: House) -> None:
    bad, _, _ = house.suite(), house.suite(), house.suite()
    (house.home / "models" / bad / "manifest.json").write_text("{}")
    assert bad not in expendable(house.registry, (), 1)


def test_pruning_removes_them_and_what_crashes_left_but_nothing_that_runs(house: House) -> None:
    made = [house.suite() for _ in range(3)]
    old, young = (house.home / "models" / f".publish-{age}" for age in ("old", "young"))
    for folder, at in ((old, NOON - timedelta(days=2)), (young, NOON - timedelta(hours=1))):
        folder.mkdir()
        os.utime(folder, (at.timestamp(), at.timestamp()))
    assert set(prune(house.registry, (), 1, NOON)) == {made[0], made[1]}
    assert house.registry.versions() == (made[2],)
    assert not old.exists()
    assert young.exists()


def test_the_newest_cannot_be_given_up(house: House) -> None:
    with pytest.raises(UsageError, match="must be at least 1"):
        expendable(house.registry, (), 0)
