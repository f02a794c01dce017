"""The mutation score of risk, validation and the kernel: what share of mutants a test notices.

python -m benchmarks.mutation --sample 300 --least 0.85
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.mutation.mutants import mutants
from benchmarks.mutation.trial import is_noticed, load_libraries
from benchmarks.rooms import KERNEL, PACKAGES, ROOT, kernel_tests


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant by its place: trees are made where they are tried."""

    path: str
    number: int


def main() -> int:
    """Try a random sample of all mutants and print one JSON object."""
    options = _options()
    trials = [Trial(path, k) for path in _modules(options.only) for k in range(_count(path))]
    chosen = random.Random(options.seed).sample(trials, min(options.sample, len(trials)))
    load_libraries()
    began = time.monotonic()
    survivors = []
    with get_context("fork").Pool(options.jobs) as pool:
        for number, said in enumerate(pool.imap(_survivor, chosen), 1):
            sys.stderr.write(f"{number} of {len(chosen)}: {said or 'noticed'}\n")
            survivors += [said] if said else []
    score = 1 - len(survivors) / len(chosen)
    result = {
        "mutants": len(trials),
        "tried": len(chosen),
        "noticed": len(chosen) - len(survivors),
        "score": round(score, 4),
        "seconds": round(time.monotonic() - began),
        "survivors": survivors,
    }
    json.dump(result, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0 if score >= options.least else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=300, help="How many, drawn at random.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--least", type=float, default=0.0, help="Fail below this score.")
    parser.add_argument("--only", default="", help="Modules whose path holds this.")
    return parser.parse_args()


def _modules(only: str) -> list[str]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).glob("*.py"))]
    found += [ROOT / "dexml" / f"{name}.py" for name in KERNEL]
    names = [str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py"]
    return [name for name in names if only in name]


def _count(path: str) -> int:
    return len(mutants((ROOT / path).read_text()))


def _survivor(trial: Trial) -> str | None:
    """Say what no test noticed: first those of the module itself, then all of its room."""
    path = ROOT / trial.path
    mutant = mutants(path.read_text())[trial.number]
    module = trial.path.removesuffix(".py").replace("/", ".")
    code = compile(mutant.tree, str(path), "exec")
    for tests in _tests(trial.path):
        if is_noticed(module, path, code, tests):
            return None
    return f"{trial.path}:{mutant.line} {mutant.change}"


def _tests(module: str) -> list[list[str]]:
    mirror = Path("tests", module)
    own = mirror.with_name(f"test_{mirror.name}")
    room = [str(mirror.parent)] if str(mirror.parent) != "tests/dexml" else kernel_tests()
    first = [str(ROOT / own)] if (ROOT / own).is_file() else []
    return [tests for tests in (first, [str(ROOT / one) for one in room]) if tests]


if __name__ == "__main__":
    sys.exit(main())
