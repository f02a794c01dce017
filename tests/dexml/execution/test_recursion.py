from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
assert "py_ecc" in sys.modules, "nothing is shown"
try:
    json.loads("[" * 100_000)
except RecursionError:
    print("refused at", sys.getrecursionlimit())
"""


@pytest.mark.parametrize(
    "module",
    ["execution.rpc", "execution.signing", "execution.engine", "simulation.chain.keys"],
)
def test_a_nested_document_is_refused_where_the_ethereum_libraries_are_loaded(module: str) -> None:
    command = [sys.executable, "-c", ASKED, f"dexml.{module}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["refused", "at", "1000"], ran.stderr[-300:]
