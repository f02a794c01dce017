"""The command line as a user runs it: a process of its own in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    def last_line(self) -> dict[str, Any]:
        """Return the last line of standard output as the JSON object that it must be."""
        parsed: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return parsed


Dexml = Callable[..., Said]


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def dexml(empty: Path) -> Dexml:
    """Return a function that runs `dexml ARGUMENTS` in the folder `empty`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEXML_")}
    kept |= {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}

    def run(*arguments: str | Path, **env: str) -> Said:
        ended = subprocess.run(
            [sys.executable, "-m", "dexml.cli", *map(str, arguments)],
            cwd=empty,
            env=kept | env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Said(code=ended.returncode, out=ended.stdout, err=ended.stderr)

    return run
