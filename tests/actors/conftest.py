from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.rig import Rig, begin_run


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A loop whose run has just begun."""
    made = Rig(begin_run(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    yield made
    made.ledger.close()
