"""Modules of the user's own, named in the configuration of a real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dexml.config import load_settings
from tests.dexml.conftest import ROOT, Dexml

OWN = '''
import os
import sys
from pathlib import Path

import numpy as np

from dexml.data.sources.scorers import scorer
from dexml.features.indicators import Group, indicator



@indicator(Group.PRICE, "gap_mean_10", warm_up=10, unit="log ratio")
def opening_gaps(bars):
    """Mean opening gap of the last ten bars."""
    gaps = np.log(bars.open / np.concatenate([[np.nan], bars.close[:-1]]))
    means = np.array([gaps[max(k - 9, 0) : k + 1].mean() for k in range(len(gaps))])
    return {"gap_mean_10": means}


@scorer("shouting")
class Shouting:
    def score(self, title):
        return 1.0 if title.isupper() else 0.0


if "SEEN" in os.environ:
    with Path(os.environ["SEEN"]).open("a") as seen:
        seen.write(" ".join(sys.orig_argv) + "\\n")
'''


@pytest.fixture
def own(empty: Path) -> Path:
    (empty / "own_parts.py").write_text(OWN)
    (empty / "dexml.toml").write_text('extensions = ["own_parts"]\n')
    return empty


def test_the_configuration_says_what_is_imported(dexml: Dexml, own: Path) -> None:
    shown = dexml("config", "show", "--json").last_line()
    assert shown["settings"]["extensions"] == ["own_parts"]
    assert shown["sources"]["extensions"] == "dexml.toml"
    assert load_settings(None, {"DEXML_EXTENSIONS": '["a.b"]'}).extensions == ("a.b",)


def test_the_audit_checks_an_indicator_of_ones_own(dexml: Dexml, own: Path) -> None:
    extended = dexml("audit", "--symbols", "BTC/USDT", "--json")
    plain = dexml("audit", "--symbols", "BTC/USDT", "--json", DEXML_EXTENSIONS="[]")
    assert (extended.code, plain.code) == (0, 0), extended.err
    assert extended.last_line()["checked"] == plain.last_line()["checked"] + 1


def test_an_import_takes_a_tone_of_ones_own(dexml: Dexml, own: Path) -> None:
    (own / "headlines.csv").write_text("date,title\n2024-01-05 10:00:00,BITCOIN RISES\n")
    assert dexml("import", "headlines.csv", "--scorer", "shouting").code == 0
    refused = dexml("import", "headlines.csv", "--scorer", "shouting", DEXML_EXTENSIONS="[]")
    assert refused.code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("demo",),
        ("audit",),
        ("validate", "backtest"),
        ("validate", "walk-forward"),
        ("import", "x.csv"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "ModuleNotFoundError: No module named 'own_parts'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError"),
        (OWN + OWN, "ConfigError: indicator opening_gaps must have"),
    ],
    ids=["missing", "failing", "no Python", "registering twice"],
)
def test_a_module_that_cannot_be_imported_is_one_sentence(
    dexml: Dexml, empty: Path, command: tuple[str, ...], content: str | None, said: str
) -> None:
    (empty / "dexml.toml").write_text('extensions = ["own_parts"]\n')
    if content is not None:
        (empty / "own_parts.py").write_text(content)
    ended = dexml(*command)
    words = " ".join(ended.err.split())
    assert ended.code == 2
    assert "extension own_parts must be a module that can be imported" in words
    assert said in words
    assert "Correct it, or put its folder on PYTHONPATH" in words
    assert "Traceback" not in ended.err
    assert not (empty / ".dexml").exists()


def test_a_broken_module_does_not_stand_in_the_way_of_a_halt(dexml: Dexml, empty: Path) -> None:
    (empty / "dexml.toml").write_text('extensions = ["gone"]\n')
    assert "extension" not in dexml("halt").err
    assert dexml("status").code != 2


@pytest.mark.ray
@pytest.mark.whole
def test_a_feature_of_ones_own_reaches_actors_and_the_fits_in_the_trainers_children(
    own: Path,
) -> None:
    seen = own / "seen"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEXML_")}
    small = ("--symbols", "BTC/USDT", "--history", "1200", "--cycles", "2", "--port", "0")
    ended = subprocess.run(
        [sys.executable, "-m", "dexml.cli", "demo", *small],
        cwd=own,
        env=kept | {"PYTHONPATH": str(ROOT), "SEEN": str(seen)},
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    manifests = [json.loads(path.read_text()) for path in own.rglob("manifest.json")]
    specs = [one["spec"] for one in manifests if "spec" in one]
    saw = sorted(one["target"] for one in specs if "gap_mean_10" in one["columns"])
    assert saw == ["direction", "direction"]  # its own model, and the joint one
    importers = seen.read_text()
    assert importers.count("-m dexml.models.fits") == len(specs)
    assert "default_worker.py" in importers  # Ray's
    assert "-m dexml.cli" in importers
