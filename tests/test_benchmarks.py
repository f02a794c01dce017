from __future__ import annotations

import re
from pathlib import Path

from benchmarks.__main__ import kernel, ledger

README = Path(__file__).parents[1] / "benchmarks" / "README.md"
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
