from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest

from dexml.errors import ModelError
from dexml.models.fits import FitLimits, FitRequest, run_fit, write_rows
from dexml.models.profiles import FitSpec

Rows = tuple[pd.DataFrame, pd.Series]


@pytest.fixture
def request_(rows: Rows, spec: FitSpec, tmp_path: Path) -> FitRequest:
    path = write_rows(*rows, tmp_path / "rows.parquet")
    return FitRequest(rows=str(path), spec=spec)


def fits_running() -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process().children(recursive=True)
        if "dexml.models.fits" in " ".join(one.cmdline())
    ]


def test_a_child_makes_the_same_files_as_a_fit_here(
    request_: FitRequest, fitted: Path, tmp_path: Path
) -> None:
    report = run_fit(request_, tmp_path / "model", FitLimits(wall_s=300))
    for path in fitted.iterdir():
        assert path.read_bytes() == (tmp_path / "model" / path.name).read_bytes(), path.name
    assert report.seconds > 0
    assert 100 < report.peak_rss_mb < 4_096
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model", "rows.parquet"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (FitLimits(wall_s=1.0), "must end within 1 s, was killed after"),
        (FitLimits(memory_mb=60.0), "must hold at most 60 MiB, was killed at"),
    ],
)
def test_a_fit_over_its_limit_is_killed_and_leaves_nothing(
    request_: FitRequest, tmp_path: Path, limits: FitLimits, message: str
) -> None:
    started = time.monotonic()
    with pytest.raises(ModelError, match=message):
        run_fit(request_, tmp_path / "model", limits)
    assert time.monotonic() - started < 10
    assert [one.name for one in tmp_path.iterdir()] == ["rows.parquet"]
    assert not fits_running()


def test_the_reason_of_a_refusal_comes_back_as_it_was(
    request_: FitRequest, spec: FitSpec, tmp_path: Path
) -> None:
    wrong = replace(request_, spec=replace(spec, columns=("absent",)))
    with pytest.raises(ModelError, match="must have the columns absent, was 5 other columns"):
        run_fit(wrong, tmp_path / "model")
    with pytest.raises(ModelError, match=r"status 1: FileNotFoundError.*none\.parquet"):
        run_fit(replace(request_, rows=str(tmp_path / "none.parquet")), tmp_path / "model")
    assert [one.name for one in tmp_path.iterdir()] == ["rows.parquet"]


def test_an_existing_folder_is_never_overwritten(request_: FitRequest, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match="must not exist"):
        run_fit(request_, tmp_path / "model")


def fit_of(parent: psutil.Process) -> psutil.Process | None:
    return next(iter(parent.children()), None)


def reads_its_rows(fit: psutil.Process) -> bool:
    # pandas loads this library when it is asked for the rows, after the child asked to be told
    return any("/_parquet." in one.path for one in fit.memory_maps())


def is_gone(fit: psutil.Process) -> bool:
    try:
        return fit.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def comes_true(holds: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 120  # only a failure waits so long
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told on Linux only")
@pytest.mark.parametrize("reading", [False, True])
def test_a_fit_dies_with_the_process_that_asked_for_it(
    request_: FitRequest, tmp_path: Path, reading: bool
) -> None:
    code = (
        "import json, sys; from pathlib import Path\n"
        "from dexml.models.fits import FitRequest, run_fit\n"
        "run_fit(FitRequest.from_dict(json.loads(sys.argv[1])), Path(sys.argv[2]))"
    )
    os.mkfifo(tmp_path / "never")  # nobody writes to it, so the fit never ends by itself
    request = json.dumps(replace(request_, rows=str(tmp_path / "never")).to_dict())
    parent = psutil.Popen(
        [sys.executable, "-c", code, request, str(tmp_path / "model")],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "RAY_ADDRESS": "nowhere"},
    )
    try:
        assert comes_true(lambda: fit_of(parent))
        fit = fit_of(parent)
        assert fit is not None
        assert not reading or comes_true(lambda: reads_its_rows(fit))
    finally:
        parent.kill()
        parent.wait()
    died = comes_true(lambda: is_gone(fit))
    if not died:
        fit.kill()
    assert died
