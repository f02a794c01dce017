"""Trade a file of signals with vectorbt and backtesting.py, in an environment of their own."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd
import vectorbt as vbt
from backtesting import Backtest, Strategy

REPEATS = 5
FEE, CASH = 0.001, 100.0


def with_vectorbt(data: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
    close = pd.Series(data["close"])
    entries, exits = pd.DataFrame(data["entries"].T), pd.DataFrame(data["exits"].T)
    times, value = [], np.empty(0)
    for _ in range(REPEATS + 1):  # the first compiles
        began = time.process_time()
        book = vbt.Portfolio.from_signals(
            close, entries, exits, price=pd.Series(data["fill"]), fees=FEE, init_cash=CASH, freq="h"
        )
        value = book.value().to_numpy()
        times.append(time.process_time() - began)
    return min(times[1:]), value.T


def with_backtesting(data: dict[str, np.ndarray]) -> float:
    """Return the seconds of one configuration."""
    close = data["close"]
    index = pd.date_range("2024-01-01", periods=len(close), freq="h")
    names = {"Open": "open", "High": "high", "Low": "low", "Close": "close"}
    frame = pd.DataFrame({name: data[key] for name, key in names.items()}, index)
    entries, exits = data["entries"][0], data["exits"][0]

    class Signals(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            t = len(self.data) - 1
            if self.position:
                if exits[t] and not entries[t]:
                    self.position.close()
            elif entries[t] and not exits[t]:
                self.buy()

    times = []
    for _ in range(2):
        test = Backtest(frame, Signals, cash=1e6, commission=FEE)
        began = time.process_time()
        test.run()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Print the seconds of CPU, and leave the equity of vectorbt beside the signals."""
    source, equity = sys.argv[1:3]
    loaded = np.load(source)
    data = {name: loaded[name] for name in loaded.files}
    seconds, value = with_vectorbt(data)
    np.save(equity, value)
    found = {
        "vectorbt_s": seconds,
        "vectorbt": vbt.__version__,
        "backtesting_s_each": with_backtesting(data),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
