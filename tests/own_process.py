"""Scenes that need a process of their own: Ray reads its token once, and actors change classes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["said_by"]

ROOT = Path(__file__).resolve().parents[1]


def said_by(module: str, *arguments: str, timeout_s: float = 300.0) -> Any:
    """Run a module of this checkout and return the JSON of its last line."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4_000:]
    return json.loads(ended.stdout.splitlines()[-1])
