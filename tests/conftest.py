"""What all tests share: no Ray in unit tests, recorded data found beside the checkout."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from dexml.cli_options import guard_ray

pytest_plugins = ["tests.local_chain", "tests.object_store", "tests.postgres"]
SHARED = Path(__file__).resolve().parents[2] / "shared"
settings.register_profile("untimed", deadline=None)  # time is measured by benchmarks
settings.load_profile("untimed")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a suite in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests press Ctrl-C all the same
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup: who is started here hears it
    signal.signal(signal.SIGHUP, lambda *_heard: None)
guard_ray()  # before any test imports Ray, so that it runs here as it does in the product


@pytest.fixture
def shared() -> Path:
    """Return the folder of recorded market data; in CI its absence is a failure, not a skip."""
    if not (SHARED / "data").is_dir():
        missing = "the recorded market data (../shared/data) is not beside this checkout"
        if os.environ.get("DEXML_REQUIRE_COMPONENTS"):
            pytest.fail(missing)
        pytest.skip(missing)
    return SHARED


@pytest.fixture(autouse=True)
def _unit_tests_may_not_start_ray(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.node.get_closest_marker("ray") or "ray" not in sys.modules:
        return

    def refuse(*_args: object, **_kwargs: object) -> None:
        pytest.fail("a unit test started Ray; mark it with @pytest.mark.ray")

    monkeypatch.setattr("ray.init", refuse)
