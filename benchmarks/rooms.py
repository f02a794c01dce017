"""Where decisions are made, and the tests that are to notice if they are made otherwise."""

from __future__ import annotations

from pathlib import Path

__all__ = ["KERNEL", "PACKAGES", "ROOT", "kernel_tests"]

ROOT = Path(__file__).parents[1]
PACKAGES = ("dexml/risk", "dexml/validation")
KERNEL = (
    *("system", "deciding", "gate", "prospects", "assessment", "accounting"),
    *("intents", "vitals", "desk", "state", "cycle", "reservations"),
)


def kernel_tests() -> list[str]:
    """Return the tests of the decision kernel: of its modules, of whole lives, of histories."""
    found = [path for name in KERNEL for path in (ROOT / "tests/dexml").glob(f"test_{name}*.py")]
    named = sorted({str(path.relative_to(ROOT)) for path in found})
    return [*named, "tests/dexml/experiments/test_backtest.py"]
