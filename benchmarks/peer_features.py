"""Time pandas-ta-classic on the bars of a file; run by an environment of its own (`make bench`)."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd
import pandas_ta_classic as ta

REPEATS = 5


def seed_columns(b: pd.DataFrame) -> list[object]:
    """Compute the columns of the specification's list, without TA-Lib behind them."""
    bar = (b["high"], b["low"], b["close"])
    return [
        *(ta.sma(b["close"], length=n, talib=False) for n in (20, 50, 200)),
        ta.rsi(b["close"], length=14, talib=False),
        ta.stoch(*bar, k=5, d=3, smooth_k=3),
        ta.willr(*bar, length=14, talib=False),
        ta.macd(b["close"], fast=12, slow=26, signal=9, talib=False),
        ta.adx(*bar, length=14),
        ta.aroon(b["high"], b["low"], length=14, talib=False),
        ta.obv(b["close"], b["volume"], talib=False),
        ta.ad(*bar, b["volume"], talib=False),
        ta.adosc(*bar, b["volume"], fast=3, slow=10, talib=False),
        ta.atr(*bar, length=14, talib=False),
        ta.natr(*bar, length=14, talib=False),
        ta.true_range(*bar, talib=False),
        ta.bbands(b["close"], length=20, std=2.0, talib=False),
        ta.mom(b["close"], length=10, talib=False),
        ta.roc(b["close"], length=10, talib=False),
        ta.ppo(b["close"], fast=12, slow=26, talib=False),
        *(ta.cdl_pattern(b["open"], *bar, name=name) for name in ("doji", "hammer", "engulfing")),
    ]


def main() -> None:
    """Print the seconds of CPU and what was computed."""
    columns = np.load(sys.argv[1])
    bars = pd.DataFrame({name: columns[name] for name in columns.files})
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        found = seed_columns(bars)
        times.append(time.process_time() - began)
    missing = sum(one is None for one in found)
    json.dump({"seconds": min(times), "n_missing": missing}, sys.stdout)


if __name__ == "__main__":
    main()
