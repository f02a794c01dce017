"""Owners of book and account die, kill -9, at every call of their database: not a byte differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.actors.lives import (
    Call,
    Databases,
    Files,
    Life,
    Store,
    begin_run,
    die_at,
    lived,
    numbered,
    points_of,
    recorded_calls,
)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "postgres":
        yield Databases(request.getfixturevalue("postgres"))
        return
    memory = Path("/dev/shm")  # a process dies here, not the machine: no disk need be waited for
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Files(Path(folder))


def _die_everywhere(
    store: Store, calls: Sequence[Call], numbers: Sequence[int], *, all_of_them: bool
) -> int:
    begun = store.new()
    begin_run(begun)
    n_deaths = 0
    for number in numbers:
        made = store.copy(begun)
        with closing(Life(made)) as life:
            for call in calls[:number]:
                life.make(call)
        # whoever dies has taken over before the call, and whoever repeats it after its death
        whole = [
            lived(store.copy(begun), calls, restarts)
            for restarts in ([number, number], [number, number + 1])
        ]
        points = points_of(store.copy(made), calls[number])
        for point, committed in numbered(points, all_of_them=all_of_them):
            url = store.copy(made)
            die_at(url, point, calls[number])
            told = f"{calls[number]}: {points[point]}"
            assert lived(url, calls[number:]) == whole[committed], told
            n_deaths += 1
    return n_deaths


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    return recorded_calls(Files(tmp_path_factory.mktemp("calls")))


def test_death_at_any_database_call_loses_nothing_and_does_nothing_twice(
    store: Store, calls: list[Call]
) -> None:
    calls = calls[:5]
    assert [str(call) for call in calls][2:] == ["bars_closed", "work", "filled"]
    numbers = [2, 3] if isinstance(store, Files) else [2]
    assert _die_everywhere(store, calls, numbers, all_of_them=False) >= 20 * len(numbers)


@pytest.mark.soak
def test_death_before_and_after_every_database_call_of_a_whole_life(
    store: Store, calls: list[Call]
) -> None:
    assert _die_everywhere(store, calls, range(len(calls)), all_of_them=True) > 300
