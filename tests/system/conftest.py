"""One tiny model for all tests of the running system, fitted once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Environment = dict[str, str]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return the environment of a user who never ran Ray, with this checkout on the path."""
    home = tmp_path_factory.mktemp("user")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {"PYTHONPATH": str(ROOT), "HOME": str(home)}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> tuple[Path, str]:
    """Return a home with one published suite, and the suite's digest."""
    home = tmp_path_factory.mktemp("trained")
    code = "import sys; from pathlib import Path; from tests.system import tiny; "
    code += "print(tiny.publish_suite(Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return home, done.stdout.split()[-1]


@pytest.fixture
def home(trained: tuple[Path, str], tmp_path: Path) -> Path:
    """Return a home of this test's own with the published suite in it."""
    shutil.copytree(trained[0], tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def start(environment: Environment) -> Callable[..., subprocess.Popen[str]]:
    """Start a Python module as a terminal would: in a process group of its own."""

    def begin(*arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=environment | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    return begin
