"""kill -9 while versions are published, signed, promoted and removed: nothing is half there."""

from __future__ import annotations

import os
import random
import signal
import time
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import pytest

from dexml.errors import ModelRefused
from dexml.models.registry import Registry
from dexml.models.retention import prune
from dexml.models.stages import SUITE
from dexml.promotions import promote
from tests.model_versions import NOON, signed, write_model

KILLS = 25


def _live(home: str, life: int) -> None:
    place, registry = Path(home), Registry.of(Path(home))
    for turn in count():
        folder = write_model(
            place / f"made-{life}-{turn}", a=f"{life} {turn}", inner__b="b" * 5_000
        )
        digest = signed(registry, place, folder, {"kind": "suite"}, life * 1_000 + turn)
        promote(registry, digest, at=NOON, by="ada", why="", ledger=None)
        prune(registry, (), 2, NOON)


def _faults(registry: Registry) -> set[str]:
    rules = set()
    for digest in registry.versions():
        try:
            registry.verify(digest)
        except ModelRefused as error:
            rules.add(error.rule)
    return rules


@pytest.mark.slow
def test_whenever_it_dies_what_is_there_is_whole_and_the_champion_opens(tmp_path: Path) -> None:
    dice, context, met = random.Random(0), get_context("fork"), set()
    registry = Registry.of(tmp_path)
    for life in range(KILLS):
        child = context.Process(target=_live, args=(str(tmp_path), life))
        child.start()
        seen = registry.stages.read().head
        while registry.stages.read().head == seen and child.is_alive():
            time.sleep(0.005)  # it has promoted once: from here on it may die at any instant
        time.sleep(dice.random() * 0.3)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        assert child.exitcode == -signal.SIGKILL
        met |= _faults(registry)
        champion = registry.stages.read().champion(SUITE)
        assert champion is not None
        registry.open(champion)
    assert met <= {"must be signed"}  # it died between publishing and signing
    assert met or registry.leftovers()  # it did die in the middle
