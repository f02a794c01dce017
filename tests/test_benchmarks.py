from __future__ import annotations

import re
from pathlib import Path

from benchmarks.__main__ import kernel, ledger
from benchmarks.coverage import ROOMS, TESTS, share_of

ROOT = Path(__file__).parents[1]
README = ROOT / "benchmarks" / "README.md"
ROW = re.compile(r"\| (?P<what>`.+`) \| (?P<figure>[^|]+) \| (?P<meaning>[^|]+) \|")


def rows() -> dict[str, str]:
    found = (ROW.fullmatch(line) for line in README.read_text().splitlines())
    return {one["what"]: one["figure"] for one in found if one}


def test_every_row_of_the_results_has_a_figure() -> None:
    assert len(rows()) >= 8
    assert [what for what, figure in rows().items() if not re.match(r"[\d.,]+", figure)] == []


def test_the_results_name_every_figure_of_kernel_and_ledger_and_all_are_positive() -> None:
    named = " ".join(rows())
    for figures in (kernel(), ledger()):
        for name, figure in figures.items():
            assert f"{name}`" in named
            assert figure > 0


def test_a_rooms_coverage_counts_lines_and_branches_and_names_what_is_missing() -> None:
    whole = {
        "summary": {
            "num_statements": 8,
            "covered_lines": 8,
            "num_branches": 2,
            "covered_branches": 2,
        },
        "missing_lines": [],
        "missing_branches": [],
    }
    holed = {
        "summary": whole["summary"] | {"covered_lines": 7, "covered_branches": 1},
        "missing_lines": [4],
        "missing_branches": [[3, 4]],
    }
    found = share_of({"a/one.py": whole, "a/two.py": holed, "b.py": holed}, ("a/*",))
    assert found == {
        "share": 0.9,
        "lines": 16,
        "branches": 4,
        "missing": ["a/two.py: lines 4; branches 3 to 4"],
    }


def test_coverage_is_measured_of_files_that_are_there_by_tests_that_are_there() -> None:
    rooms = [pattern for patterns in ROOMS.values() for pattern in patterns]
    assert [one for one in rooms if not [*ROOT.glob(one)]] == []
    assert [one for one in TESTS if not (ROOT / one).exists()] == []
