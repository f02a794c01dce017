"""The committed bytecode is what the committed source compiles to."""

from __future__ import annotations

import json
import os

import pytest

from dexml.errors import EnvironmentRefused
from dexml.simulation.chain.compiling import COMPILED, compile_tokens
from dexml.simulation.chain.packages import COMPILER, cache_folder, fetched


def test_the_source_compiles_to_the_committed_bytes() -> None:
    try:
        fetched(cache_folder(), [COMPILER])
    except EnvironmentRefused as missing:
        if os.environ.get("DEXML_REQUIRE_COMPONENTS"):
            pytest.fail(f"{missing} (dexml chain fetch --compiler)")
        pytest.skip(str(missing))
    # When it fails: python -m dexml.simulation.chain.compiling
    assert compile_tokens(cache_folder()) == json.loads(COMPILED.read_text())
