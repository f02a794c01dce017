"""The decision kernel: a close with signals for many instruments, in CPU time of one core.

OPENBLAS_NUM_THREADS=1 python -m benchmarks.kernel
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from dexml.domain import Bar, Signal
from dexml.events import BarsClosed, Decision, Filled, Trade
from dexml.execution.paper import PaperBroker
from dexml.experiments.sources import bar_sets, plant_market
from dexml.risk.limits import LimitConfig
from dexml.risk.orders import OrderLimits
from dexml.state import KernelConfig, State
from dexml.system import initial_state, step, warm_up

START, HOUR = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1)
N_CLOSES = 30
# limits that let every instrument be bought, so that nothing is decided by being full
CONFIG = KernelConfig(
    orders=OrderLimits(orders_per_minute=1_000, orders_per_day=100_000, open_intents=1_000),
    limits=LimitConfig(value_at_risk=0.2),
)


def kernel() -> dict[str, float]:
    """Return the milliseconds of a decision step by the number of instruments."""
    took = {f"decision_ms_{n}_instruments": _decision_ms(n) for n in (1, 6, 20, 100)}
    return {
        **took,
        "decision_us_an_instrument": 10 * took["decision_ms_100_instruments"],
        "warm_up_sets_per_s": _warm_up_rate(),
    }


def _decision_ms(n: int) -> float:
    generator = np.random.default_rng(n)
    closes = _closes(generator, n, CONFIG.window_bars + N_CLOSES + 1)
    names = [f"C{k:02}/USDT" for k in range(n)]
    state = initial_state("bench", CONFIG, names, Decimal(1_000_000))
    warm = closes[: CONFIG.window_bars + 1]
    state = warm_up(state, (_bars(names, hour, row) for hour, row in enumerate(warm)))
    times = []
    for hour in range(len(warm), len(closes)):
        bars = _bars(names, hour, closes[hour])
        said = np.clip(generator.normal(0.62, 0.1, n), 0.05, 0.95)
        signals = tuple(
            Signal(instrument=name, closed_at=bars[0].closed_at, probability=float(p))
            for name, p in zip(names, said, strict=True)
        )
        close = BarsClosed(at=bars[0].closed_at, bars=bars, signals=signals)
        began = time.process_time()
        state, commands = step(state, close)
        times.append(1e3 * (time.process_time() - began))
        assert sum(isinstance(command, Decision) for command in commands) == n
        state = _filled(state, [one for one in commands if isinstance(one, Trade)])
    return statistics.median(times)


def _closes(generator: np.random.Generator, n: int, n_bars: int) -> np.ndarray:
    market = generator.standard_t(4, (n_bars, 1)) * 0.004
    own = generator.standard_t(4, (n_bars, n)) * 0.006
    return 100 * np.exp(np.cumsum(market + own, axis=0))


def _bars(names: list[str], hour: int, closes: np.ndarray) -> tuple[Bar, ...]:
    at = START + hour * HOUR
    return tuple(
        Bar(
            instrument=name,
            closed_at=at,
            open=close,
            high=close * 1.01,
            low=close * 0.99,
            close=close,
            volume=1.0,
        )
        for name, close in zip(names, closes.tolist(), strict=True)
    )


def _filled(state: State, trades: list[Trade]) -> State:
    broker = PaperBroker(state.config.costs)
    for trade in trades:
        fill = broker.execute(
            trade.intent, trade.intent.reference_price, trade.intent.decided_at + HOUR / 300
        )
        assert not isinstance(fill, str)
        state, _ = step(state, Filled(at=fill.filled_at, fill=fill))
    return state


def _warm_up_rate() -> float:
    market = plant_market((), n_bars=600, seed=0, bayes_accuracy=0.7)
    state = initial_state("bench", KernelConfig(), market.history.bars, Decimal(10_000))
    sets = bar_sets(market.history.bars, 500)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        warm_up(replace(state), sets)
        times.append(time.perf_counter() - began)
    return len(sets) / statistics.median(times)


if __name__ == "__main__":
    json.dump(kernel(), sys.stdout, indent=1)
