"""Add an indicator of your own, and let the audit say whether it knows the future.

The first looks back one bar; the second is the same with its sign of time turned. Run
`python examples/audit_my_indicator.py`.
"""

from __future__ import annotations

import numpy as np

from dexml.domain import Bars
from dexml.experiments.sources import load_history
from dexml.features.audit import audit
from dexml.features.registry import INDICATORS, Group, indicator


@indicator(Group.PRICE, "my_gap", warm_up=1, unit="fraction")
def my_gap(bars: Bars) -> dict[str, np.ndarray]:
    """Opening over the last close."""
    return {"my_gap": bars.open / np.concatenate([[np.nan], bars.close[:-1]]) - 1}


@indicator(Group.PRICE, "my_mistake", warm_up=1, unit="fraction")
def my_mistake(bars: Bars) -> dict[str, np.ndarray]:
    """Next close over this one: nobody knows it yet."""
    return {"my_mistake": np.concatenate([bars.close[1:], bars.close[-1:]]) / bars.close - 1}


def main() -> None:
    """Audit with both, then without the mistake."""
    history = load_history((), ("BTC/USDT",), n_bars=1_500, seed=0)
    print("leaks:", ", ".join(audit(history).names) or "none")
    del INDICATORS["my_mistake"]
    print("leaks:", ", ".join(audit(history).names) or "none")


if __name__ == "__main__":
    main()
