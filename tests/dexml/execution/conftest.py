from __future__ import annotations

from pathlib import Path

import pytest

from dexml.simulation.chain import LocalChain
from tests.dexml.execution.swap_rig import Rig


@pytest.fixture
def rig(chain: LocalChain, tmp_path: Path) -> Rig:
    """A funded account; blocks are mined only when the engine waits."""
    return Rig(chain=chain, path=tmp_path / "journal.log")
