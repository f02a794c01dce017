"""Line and branch coverage of what decides, by its own tests: `python -m benchmarks.coverage`.

Each room is held to the least share by itself, so that a well tested one hides no other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.rooms import KERNEL, PACKAGES, ROOT, kernel_tests

LEAST = 0.95
ROOMS = {
    **{Path(package).name: (f"{package}/*",) for package in PACKAGES},
    "system": tuple(f"dexml/{name}.py" for name in KERNEL),
}
TESTS = (*(f"tests/{package}" for package in PACKAGES), *kernel_tests())


def main(arguments: list[str] | None = None) -> int:
    """Run the tests, print one JSON object; 1 if a room is covered less than asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--least", type=float, default=LEAST, help="Fail below this share.")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = _measured(Path(folder))
    found = {name: share_of(measured["files"], patterns) for name, patterns in ROOMS.items()}
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0 if all(room["share"] >= asked.least for room in found.values()) else 1


def share_of(files: dict[str, Any], patterns: tuple[str, ...]) -> dict[str, Any]:
    """Return the share of lines and branches together, and what no test went through."""
    rows = {name: one for name, one in sorted(files.items()) if _fits(name, patterns)}
    totals = {
        key: sum(one["summary"][key] for one in rows.values())
        for key in ("num_statements", "covered_lines", "num_branches", "covered_branches")
    }
    n_all = totals["num_statements"] + totals["num_branches"]
    n_covered = totals["covered_lines"] + totals["covered_branches"]
    return {
        "share": round(n_covered / n_all, 4),
        "lines": totals["num_statements"],
        "branches": totals["num_branches"],
        "missing": [f"{name}: {_missing(one)}" for name, one in rows.items() if _missing(one)],
    }


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(Path(name).match(pattern) for pattern in patterns)


def _missing(one: dict[str, Any]) -> str:
    lines = ", ".join(map(str, one["missing_lines"]))
    arcs = ", ".join(f"{a} to {b}" for a, b in one["missing_branches"])
    said = [f"lines {lines}" if lines else "", f"branches {arcs}" if arcs else ""]
    return "; ".join(text for text in said if text)


def _measured(folder: Path) -> dict[str, Any]:
    data, result = folder / "coverage", folder / "coverage.json"
    run = [sys.executable, "-m", "coverage"]
    tests = [name for name in TESTS if (ROOT / name).exists()]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder / 'tests'}"]
    pytest = ["run", "--branch", "--source=dexml", f"--data-file={data}", "-m", "pytest"]
    subprocess.run([*run, *pytest, *options, *tests], cwd=ROOT, check=True, stdout=sys.stderr)
    report = ["json", "-q", f"--data-file={data}", "-o", str(result)]
    subprocess.run([*run, *report], cwd=ROOT, check=True)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
