"""What an indicator kept of earlier calls, or looks up, was not known at its close."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dexml.domain import Bars, History
from dexml.features.audit import audit
from dexml.features.panel import build_panel
from dexml.features.registry import INDICATORS, Group, indicator
from tests.dexml.features import planted_memories as memories
from tests.dexml.features.histories import some_history, walk

BARS = {name: walk(name, 640, seed) for seed, name in enumerate(("BTC/USDT", "ETH/USDT"))}
HISTORY = History(bars=BARS)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = set(INDICATORS)
    yield
    for name in set(INDICATORS) - before:
        del INDICATORS[name]


def _plant(name: str, formula: memories.Formula) -> None:
    def planted(bars: Bars) -> dict[str, memories.Floats]:
        return {name: formula(bars)}

    planted.__name__ = f"makes_{name}"
    indicator(Group.PRICE, name, warm_up=memories.WARM_UP, unit="planted")(planted)


@cache
def _found() -> dict[str, set[str]]:
    for name, formula in (memories.LEAKS | memories.TWINS).items():
        _plant(name, formula)
    build_panel(HISTORY)  # it has been shown everything before the audit begins
    found: dict[str, set[str]] = {}
    for leak in audit(HISTORY).leaks:
        found.setdefault(leak.feature, set()).add(leak.check)
    return found


@pytest.mark.parametrize("name", memories.LEAKS)
def test_what_was_kept_of_an_earlier_call_is_named(name: str) -> None:
    assert "memory" in _found()[name]


@pytest.mark.parametrize("name", memories.TWINS)
def test_what_only_saves_work_is_not_accused(name: str) -> None:
    assert name not in _found()


HEAD = """
import numpy as np
from dexml.features.registry import Group, indicator
"""
FIRST_KEPT = (
    HEAD
    + """
class Kept:
    first = {}

@indicator(Group.PRICE, "kept_ahead", warm_up=5, unit="x")
def kept_ahead(bars):
    "Next return, from the first bars it was called with."
    now = (bars.closed_at.copy(), bars.close.copy())
    stamps, closes = Kept.first.setdefault(bars.instrument, now)
    at = np.searchsorted(stamps, bars.closed_at)
    return {"kept_ahead": closes[np.minimum(at + 1, len(closes) - 1)] / bars.close - 1}
"""
)
IN_ANOTHER_MODULE = FIRST_KEPT.replace("Kept.first", "np.__dict__.setdefault('_kept', {})")
SHARED = (
    HEAD
    + """
from dexml.features.rolling import log_ratio, now
KEPT = {}

@indicator(Group.PRICE, "kept_ahead", warm_up=5, window=1, shared=True, unit="x")
def kept_ahead(bars):
    "Next return, for closes that were seen in an earlier call."
    stamps, closes = np.ravel(bars.closed_at[-1:]), np.ravel(bars.close[-1:])
    if bars.close.ndim == 1:
        KEPT.update(zip(zip(bars.closed_at[:-1].tolist(), bars.close[:-1]), bars.close[1:]))
        stamps, closes = bars.closed_at, bars.close
    ahead = [KEPT.get(key, key[1]) for key in zip(stamps.tolist(), closes)]
    return {"kept_ahead": log_ratio(np.array(ahead), closes).reshape(now(bars.close).shape)}
"""
)
FILE = (
    HEAD
    + """
from pathlib import Path
PLACE = Path(__file__).with_name("kept.npy")

@indicator(Group.PRICE, "kept_ahead", warm_up=5, unit="x")
def kept_ahead(bars):
    "Next return, from a file that the first call left."
    if not PLACE.exists():
        np.save(PLACE, bars.close)
    closes = np.load(PLACE)
    at = np.searchsorted(closes, bars.close)
    return {"kept_ahead": closes[np.minimum(at + 1, len(closes) - 1)] / bars.close - 1}
"""
)
DATABASE = (
    HEAD
    + """
import sqlite3

@indicator(Group.PRICE, "kept_ahead", warm_up=5, unit="x")
def kept_ahead(bars):
    "A figure of a database."
    with sqlite3.connect(":memory:") as found:
        return {"kept_ahead": bars.close / bars.open * found.execute("select 2").fetchone()[0]}
"""
)
STORE = (
    HEAD
    + """
from dexml.data.storage.store import Store
HOME = __file__.replace("own_leak.py", "store")

@indicator(Group.PRICE, "kept_ahead", warm_up=5, unit="x")
def kept_ahead(bars):
    "Next return, from the bars behind the bars."
    stored = Store(HOME).bars("binance", bars.instrument, bars.timeframe)
    at = np.searchsorted(stored.closed_at, bars.closed_at)
    return {"kept_ahead": stored.close[np.minimum(at + 1, len(stored) - 1)] / bars.close - 1}
"""
)
TABLE = (
    HEAD
    + """
from dexml.data.storage.store import Store
STORED = {
    name: Store(__file__.replace("own_leak.py", "store")).bars("binance", name, "1h")
    for name in ("BTC/USDT", "ETH/USDT")
}

@indicator(Group.PRICE, "kept_ahead", warm_up=5, unit="x")
def kept_ahead(bars):
    "Next return mixed with the body, from a table that was read at the import."
    stored = STORED[bars.instrument]
    at = np.searchsorted(stored.closed_at, bars.closed_at)
    ahead = stored.close[np.minimum(at + 1, len(stored) - 1)] / bars.close - 1
    return {"kept_ahead": ahead + 0.5 * np.log(bars.close / bars.open)}
"""
)

OF_ONE = TABLE.replace(
    "    return {",
    "    ahead = ahead if bars.instrument == 'ETH/USDT' else 0.0\n    return {",
)
SIZE = TABLE.replace('"kept_ahead": ahead +', '"kept_ahead": 30 * abs(ahead) +')


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_leak", None)


def _import(folder: Path, source: str) -> None:
    folder.joinpath("own_leak.py").write_text(source)
    importlib.invalidate_caches()
    importlib.import_module("own_leak")


@pytest.mark.parametrize(
    ("source", "check"),
    [
        (FIRST_KEPT, "memory"),
        (IN_ANOTHER_MODULE, "memory"),
        (SHARED, "memory"),
        (FILE, "lookup"),
        (DATABASE, "lookup"),
        (STORE, "lookup"),
        (TABLE, "lookup"),
        (OF_ONE, "lookup"),
        (SIZE, "lookup"),
    ],
    ids=["class", "module", "shared", "file", "database", "store", "table", "of one", "size"],
)
def test_what_a_module_keeps_or_reads_is_named(imported: Path, source: str, check: str) -> None:
    from dexml.data.storage.store import Store

    for bars in BARS.values():
        Store(imported / "store").append_bars("binance", bars)
    _import(imported, source)
    if source == FIRST_KEPT:
        column = build_panel(HISTORY)["kept_ahead"].xs("BTC/USDT", level=1)
        assert np.isfinite(column).all()
    report = audit(HISTORY)
    assert report.names == ("kept_ahead",)
    assert check in {leak.check for leak in report.leaks}


HONEST = (
    HEAD
    + """
import json
from pathlib import Path
PARAMETERS = json.loads(Path(__file__).with_name("parameters.json").read_text())
CACHE = {}

@indicator(Group.PRICE, "honest", warm_up=PARAMETERS["window"], unit="x")
def honest(bars):
    "Mean of some bars, cached by what is in them, and a line in a log."
    key = bars.close.tobytes()
    if key not in CACHE:
        n = PARAMETERS["window"]
        closes = np.concatenate([np.repeat(bars.close[:1], n - 1), bars.close])
        CACHE[key] = np.array([closes[k : k + n].sum() for k in range(len(bars))]) / bars.close
        with Path(__file__).with_name("log.txt").open("a") as log:
            log.write(f"{bars.instrument} {len(CACHE)}\\n")
    return {"honest": CACHE[key]}
"""
)


def test_parameters_read_at_the_import_and_a_cache_by_content_are_not_accused(
    imported: Path,
) -> None:
    imported.joinpath("parameters.json").write_text('{"window": 7}')
    _import(imported, HONEST)
    assert audit(HISTORY).leaks == ()


def test_a_module_that_no_other_process_can_import_is_asked_as_a_copy(
    imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = "import os\nif 'REFUSED' in os.environ:\n    raise SystemExit(3)\n"
    kept = FIRST_KEPT.replace("Kept.first", "FIRST").replace("class Kept:\n    first", "FIRST")
    _import(imported, refusing + kept)
    monkeypatch.setenv("REFUSED", "1")
    assert audit(HISTORY).names == ("kept_ahead",)


def test_an_indicator_that_only_works_after_an_earlier_call_is_named() -> None:
    seen: dict[str, float] = {}

    @indicator(Group.PRICE, "needy", warm_up=5, unit="x")
    def needy(bars: Bars) -> dict[str, memories.Floats]:
        if len(bars) > 100:
            seen[bars.instrument] = float(bars.close[-1])
        return {"needy": bars.close / seen[bars.instrument]}

    found = [leak for leak in audit(some_history(600, 3)).leaks if leak.check == "memory"]
    assert {leak.feature for leak in found} == {"needy"}
    assert any("without an earlier call it fails: KeyError" in leak.detail for leak in found)


def test_the_built_in_indicators_are_not_asked_again() -> None:
    from dexml.features.pristine import of_a_user

    assert not any(of_a_user(one.compute) for one in INDICATORS.values())
