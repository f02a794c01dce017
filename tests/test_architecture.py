"""What the layout promises and import contracts cannot say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [*ROOT.glob("dexml/**/*.py"), *ROOT.glob("actors/*.py"), ROOT / "serve_app.py"]
HEAVY = ("ray", "autogluon", "lightgbm", "catboost", "ccxt", "sqlalchemy", "pandas", "torch")


@pytest.mark.parametrize("module", ["dexml", "dexml.cli"])
def test_the_front_door_opens_without_heavy_imports(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    seen = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert seen.stdout.strip() == "[]"


def test_every_wait_for_ray_has_a_time_out() -> None:
    waits = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "ray.get(" in line and "timeout=" not in line
    ]
    assert waits == []


def test_nobody_but_the_clock_reads_the_wall_clock_in_the_library() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("dexml/**/*.py")
        if "datetime.now(" in path.read_text() or "time.time(" in path.read_text()
    }
    assert readers <= {"dexml/clock.py"}


def test_no_file_is_longer_than_300_lines() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}
