"""The fast kernels: signals against vectorbt, backtesting.py and a bare loop; decisions against
the decision kernel.

NUMBA_NUM_THREADS=1 python -m benchmarks.fast_kernel
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pandas as pd

from dexml.domain import Bars
from dexml.experiments.backtest import backtest
from dexml.experiments.fast import fast_backtest, market_of, rules_of
from dexml.experiments.sources import plant_market
from dexml.state import KernelConfig
from dexml.validation.fast.decision import decide_all
from dexml.validation.fast.signals import Prices, signal_equity
from dexml.validation.fast.tape import empty_tape

PEER = Path(".venv/peers/bin/python")
FEE, CASH = 0.001, 100.0
N_CONFIGURATIONS, N_EXACT = 100, 500
REPEATS = 7


def cpu_s(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the least CPU time of `work`: other jobs of the machine can only add to it."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


@numba.njit(cache=True)
def bare_pass(fill, close, entries, exits, fee, cash, equity):  # noqa: ANN001, ANN201
    """Do what any loop must: read two signals, hold or not, write the worth."""
    held = 0.0
    for t in range(close.shape[0]):
        if entries[t] and not exits[t] and held == 0.0:
            held, cash = cash / (fill[t] * (1 + fee)), 0.0
        elif exits[t] and not entries[t] and held > 0.0:
            held, cash = 0.0, held * fill[t] * (1 - fee)
        equity[t] = cash + held * close[t]


def signals() -> dict[str, float | str]:
    """Time many configurations of one year of hours; equal equity is asked for, not assumed."""
    bars = plant_market(("BTC/USDT",), n_bars=8_760, seed=0, bayes_accuracy=0.7).history.bars
    data = _signals(bars["BTC/USDT"])
    prices = Prices(data["fill"], data["low"], data["high"], data["close"])
    buys, sells = data["entries"], data["exits"]
    equity = signal_equity(prices, buys, sells, FEE, cash=CASH)
    bare = np.empty_like(equity)

    def loop() -> None:
        for row in range(len(buys)):
            bare_pass(data["fill"], data["close"], buys[row], sells[row], FEE, CASH, bare[row])

    loop()
    np.testing.assert_allclose(equity, bare, rtol=1e-12)
    ours = cpu_s(lambda: signal_equity(prices, buys, sells, FEE, cash=CASH))
    figures: dict[str, float | str] = {
        "signals_ns_a_bar": 1e9 * ours / equity.size,
        "signals_to_bare_numba": ours / cpu_s(loop),
    }
    return figures | _peers(data, equity, ours)


def _signals(bars: Bars) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shape = (N_CONFIGURATIONS, len(bars))
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close")}
    return {
        **columns,
        "fill": np.append(bars.open[1:], bars.close[-1]),  # the next opening
        "entries": generator.random(shape) < 0.05,
        "exits": generator.random(shape) < 0.05,
    }


def _peers(data: dict[str, np.ndarray], equity: np.ndarray, ours: float) -> dict[str, float | str]:
    if not PEER.exists():
        why = f"not measured: {PEER} is missing; `make bench` makes it where the index has it"
        return {"vectorbt": why}
    with tempfile.TemporaryDirectory() as folder:
        source, theirs = Path(folder, "signals.npz"), Path(folder, "equity.npy")
        np.savez(source, **data)
        script = str(Path(__file__).with_name("peer_signals.py"))
        command = [PEER, script, source, theirs]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        apart = float(np.max(np.abs(np.load(theirs) / equity - 1)))
    found = json.loads(said.stdout)
    return {
        "vectorbt": found["vectorbt"],
        "vectorbt_equity_apart": apart,
        "vectorbt_to_signals": found["vectorbt_s"] / ours,
        "backtesting_to_signals": found["backtesting_s_each"] * N_CONFIGURATIONS / ours,
    }


def decisions() -> dict[str, float]:
    """Time the decision kernel's own step beside its machine code, on the same bars."""
    bars = plant_market(("BTC/USDT",), n_bars=8_760, seed=0, bayes_accuracy=0.7).history.bars
    one, config = bars["BTC/USDT"], KernelConfig()
    said = np.clip(np.random.default_rng(0).normal(0.55, 0.1, len(one)), 0.01, 0.99)
    rules = rules_of(config)
    market = market_of(one, said, rules)
    first = one.take(slice(0, N_EXACT))
    index = pd.MultiIndex.from_product([pd.DatetimeIndex(first.closed_at, tz="UTC"), bars])
    frame = pd.DataFrame({"probability": said[:N_EXACT]}, index)
    exact = cpu_s(lambda: backtest({"BTC/USDT": first}, frame, config), 1) / N_EXACT
    whole = cpu_s(lambda: fast_backtest(one, said, config)) / len(one)
    alone = cpu_s(lambda: decide_all(market, rules, empty_tape(len(one), rules))) / len(one)
    return {
        "decisions_us_a_bar": 1e6 * whole,
        "decisions_us_a_bar_of_a_prepared_market": 1e6 * alone,
        "decision_kernel_to_decisions": exact / whole,
    }


def fast_kernel() -> dict[str, float | str]:
    """Return all figures; CPU time, one core."""
    return signals() | decisions()


if __name__ == "__main__":
    json.dump(fast_kernel(), sys.stdout, indent=1)
