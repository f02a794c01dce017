"""The episodes' table against the bars it was measured on."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.portfolio import measured
from dexml.risk.episodes import EPISODES, Episode

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("episode", EPISODES, ids=lambda one: one.name)
def test_every_move_is_the_one_of_the_recorded_bars(shared: Path, episode: Episode) -> None:
    assert dict(episode.moves) == measured(episode)
