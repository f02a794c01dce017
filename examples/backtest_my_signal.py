"""Trade your own probabilities through the same decision step as live, costs included.

The signal here cheats to show what an edge looks like: it leans towards the next move and is right
`accuracy` of the time. Put yours in the column `probability`. Run
`python examples/backtest_my_signal.py`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dexml.domain import Bars
from dexml.experiments.backtest import backtest
from dexml.experiments.sources import load_history
from dexml.state import KernelConfig


def signal(bars: dict[str, Bars], accuracy: float) -> pd.DataFrame:
    """Return a probability for every bar that is right `accuracy` of the time."""
    rng = np.random.default_rng(0)
    columns = {}
    for name, series in bars.items():
        close = series.frame()["close"]
        rises = close.shift(-1) > close
        said = np.where(rng.random(len(close)) < accuracy, rises, ~rises)
        columns[name] = pd.Series(np.where(said, accuracy, 1 - accuracy), index=close.index)
    table = pd.DataFrame(columns).stack().rename_axis(["closed_at", "instrument"])
    return table.to_frame("probability")


def main() -> None:
    """Backtest a coin flip and an edge on the same bars."""
    bars = dict(load_history((), ("BTC/USDT", "ETH/USDT"), n_bars=1_000, seed=0).bars)
    for accuracy in (0.5, 0.7):
        report = backtest(bars, signal(bars, accuracy), KernelConfig())
        print(
            f"right {accuracy:.0%} of the time: {len(report.fills)} fills, "
            f"return {report.metrics['total_return']:+.1%} after costs"
        )


if __name__ == "__main__":
    main()
