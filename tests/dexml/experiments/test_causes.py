"""What most likely made a rebuilt run differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexml.domain import Timeframe
from dexml.experiments.causes import NOTHING, Differences, Kind, warnings
from dexml.experiments.origin import Origin, code_files, libraries

SAME = Origin(
    store="runs/a/store",
    venues=("binance",),
    instruments=("BTC/USDT",),
    timeframe=Timeframe.H1,
    months={},
    code=code_files(),
    versions=libraries(),
)


def changed(*files: str) -> Origin:
    return replace(SAME, code={**SAME.code, **dict.fromkeys(files, "other")})


def cause(origin: Origin, *kinds: Kind, subject: str = "it", recorded: str = "a") -> str:
    """Return the cause of the last of `kinds`, all of which differ."""
    found = Differences()
    for kind in kinds:
        found.compare(kind, subject, recorded, "b")
    return found.explained(origin)[-1].cause


def test_the_first_of_a_kind_is_kept_and_the_others_are_counted() -> None:
    found = Differences()
    for number, now in enumerate(("a", "b", "c")):
        found.compare("bar", f"bar {number}", "a", now)
    (only,) = found.explained(SAME)
    assert (only.subject, only.recorded, only.now, only.n) == ("bar 1", "a", "b", 2)
    assert only.line() == ("bar of bar 1 (2 such): recorded a, now b. Likely cause: bar changed.")


def test_a_changed_bar_explains_what_is_made_from_it() -> None:
    for kind in ("start", "features", "forecast", "signal", "prices", "health"):
        assert cause(SAME, "bar", kind) == "bar changed"
    assert cause(SAME, "stored", "features", subject="news 2024-01") == "headline changed"
    assert cause(SAME, "stored", subject="macro 2024-01") == "macro value changed"


def test_a_bar_that_the_run_did_not_have_came_late() -> None:
    assert cause(SAME, "bar", recorded=NOTHING).startswith("bar came after")


def test_changed_code_is_named_by_what_it_makes() -> None:
    origin = changed("dexml/features/price.py", "dexml/cli.py", "dexml/models/flat.py")
    assert cause(origin, "features") == "code changed: dexml/features/price.py"
    assert cause(origin, "forecast") == "code changed: dexml/models/flat.py"
    assert cause(origin, "features", "signal") == "code changed: dexml/models/flat.py"
    assert "dexml/cli.py" in cause(origin, "decision")


def test_forecasts_of_changed_features_have_the_cause_of_the_features() -> None:
    unseen = "bar of one exchange, headline or macro value changed"
    assert cause(SAME, "features", "forecast") == unseen
    origin = changed("dexml/data/storage/consolidation.py")
    said = f"{unseen} or code changed: dexml/data/storage/consolidation.py"
    assert cause(origin, "features", "forecast") == said


def test_without_a_change_of_its_own_the_processor_is_left() -> None:
    for kind in ("forecast", "decision"):
        assert cause(SAME, kind) == "processor or library changed"
    assert cause(SAME, "model", "forecast") == "model changed"


@pytest.mark.parametrize("name", ["ta-lib", "numpy"])
def test_another_library_is_named_and_warned_of(name: str) -> None:
    origin = replace(SAME, versions={**SAME.versions, name: "0.1"})
    said = f"{name} {SAME.versions[name]}, was 0.1"
    assert cause(origin, "features").endswith(f"library changed: {said}")
    assert warnings(origin) == (f"libraries are not the run's: {said}",)
    assert warnings(SAME) == ()
