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
    named = [f"tests/dexml/test_{name}.py" for name in KERNEL]
    more = ["tests/dexml/test_system_stateful.py", "tests/dexml/experiments/test_backtest.py"]
    return [name for name in [*named, *more] if (ROOT / name).is_file()]
