from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier

import pytest

from dexml.errors import ModelError
from dexml.folders import LocalFolder, open_folder
from dexml.models.stages import Change, Stage, Stages

AT = "2024-01-01T12:00:00+00:00"


def change(model: str, kind: str = "promotion", slot: str = "suite") -> Change:
    return Change(kind=kind, slot=slot, model=model, was=None, at=AT, by="ada")  # type: ignore[arg-type]


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    return Stages(LocalFolder(tmp_path / "stages"))


def write(stages: Stages, *changes: Change) -> None:
    for one in changes:
        stages.append(stages.read(), one)


def test_each_slot_has_a_champion_of_its_own(stages: Stages) -> None:
    write(stages, change("a"), change("v", slot="volume"), change("b"))
    now = stages.read()
    assert (now.champion("suite"), now.champion("volume"), now.champion("macro")) == (
        "b",
        "v",
        None,
    )
    assert now.slots() == ("suite", "volume")
    assert [now.stage("suite", one) for one in "abc"] == [
        Stage.RETIRED,
        Stage.CHAMPION,
        Stage.CHALLENGER,
    ]


def test_rollbacks_go_further_back_and_never_to_what_was_rolled_back(stages: Stages) -> None:
    write(stages, change("a"), change("b"), change("c"))
    for earlier, before in (("b", "a"), ("a", None)):
        assert stages.read().earlier("suite") == earlier
        write(stages, change(earlier, "rollback"))
        assert stages.read().champion("suite") == earlier
        assert stages.read().earlier("suite") == before
    write(stages, change("d"))
    assert (stages.read().champion("suite"), stages.read().earlier("suite")) == ("d", "a")


def test_who_decided_on_what_is_past_is_told_who_was_faster(stages: Stages) -> None:
    seen = stages.read()
    stages.append(seen, change("a"))
    with pytest.raises(ModelError, match=r"changed meanwhile: a became champion of suite by ada"):
        stages.append(seen, change("b"))
    assert [one.model for one in stages.read().changes] == ["a"]


def _race(place: str, model: str) -> bool:
    stages = Stages(LocalFolder(Path(place)))
    seen = stages.read()
    _BARRIER.wait()
    try:
        stages.append(seen, change(model))
    except ModelError:
        return False
    return True


_BARRIER = Barrier(1)


def _ready(barrier: object) -> None:
    globals()["_BARRIER"] = barrier


def test_of_processes_that_race_one_wins_and_the_others_are_told(tmp_path: Path) -> None:
    n, context = 4, get_context("fork")
    barrier = context.Barrier(n)
    with context.Pool(n, _ready, (barrier,)) as pool:
        for turn in range(10):
            place = tmp_path / str(turn)
            won = pool.starmap(_race, [(str(place), str(k)) for k in range(n)], chunksize=1)
            assert sum(won) == 1
            assert [one.model for one in Stages(LocalFolder(place)).read().changes] == [
                str(won.index(True))
            ]


@pytest.mark.parametrize("harm", ["changed", "renamed", "removed", "swapped"])
def test_a_change_that_was_touched_is_named(stages: Stages, tmp_path: Path, harm: str) -> None:
    write(stages, change("a"), change("b"), change("c"))
    first, second, _ = sorted((tmp_path / "stages").glob("*.json"))
    if harm == "changed":
        values = json.loads(second.read_text())
        second.write_text(json.dumps({**values, "model": "x"}, sort_keys=True, indent=1))
    elif harm == "renamed":
        second.rename(second.with_name(f"00000002-{'0' * 16}.json"))
    elif harm == "removed":
        second.unlink()
    else:
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
    with pytest.raises(ModelError, match=r"stage change 0000000\d-.* must be as it was written"):
        stages.read()


def test_what_a_crash_left_of_a_write_is_no_change(stages: Stages, tmp_path: Path) -> None:
    write(stages, change("a"))
    (tmp_path / "stages" / ".00000002-0123456789abcdef.json.77.tmp").write_text("{")
    write(stages, change("b"))
    assert stages.read().champion("suite") == "b"


def test_in_a_bucket_of_two_that_write_at_once_one_is_told(bucket: str) -> None:
    barrier = Barrier(2)

    def race(model: str) -> bool:
        mine = Stages(open_folder(bucket))
        seen = mine.read()
        barrier.wait()
        try:
            mine.append(seen, change(model))
        except ModelError:
            return False
        return True

    write(Stages(open_folder(bucket)), change("first"))
    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(race, "ab"))
    kept = [one.model for one in Stages(open_folder(bucket)).read().changes]
    assert kept[0] == "first"
    assert len(kept) == 2  # every reader takes the same one
    assert any(model == kept[1] for model, told in zip("ab", won, strict=True) if told)


def test_of_two_files_of_one_number_every_reader_takes_the_first(
    stages: Stages, tmp_path: Path
) -> None:
    write(stages, change("a"))
    other = Stages(LocalFolder(tmp_path / "other"))
    write(other, change("b"))
    (theirs,) = (tmp_path / "other").glob("*.json")
    (mine,) = (tmp_path / "stages").glob("*.json")
    (tmp_path / "stages" / theirs.name).write_bytes(theirs.read_bytes())
    first = "a" if mine.name < theirs.name else "b"
    assert stages.read().champion("suite") == first
