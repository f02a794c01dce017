"""The program of docs/python.md runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dexml.models.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text()


@pytest.mark.slow
def test_the_program_of_the_page_runs(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "first.py").write_text(program)
    ended = subprocess.run(
        [sys.executable, "first.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "edge" in ended.stdout.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir() if path.name != "first.py"] == [".dexml"]


def test_the_page_names_every_profile() -> None:
    assert all(f"| `{name}` |" in PAGE for name in PROFILES)
