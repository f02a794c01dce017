"""The book's risk on recorded bars: coverage of the tails, moves of the episodes, time of a close.

python -m benchmarks.portfolio [coverage | episodes | speed]
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.costs import CostConfig
from dexml.errors import DataError
from dexml.risk.covariance import ledoit_wolf
from dexml.risk.coverage import Coverage, TailRecord, holm, tail_record
from dexml.risk.episodes import EPISODES, Episode
from dexml.risk.gaps import tail_with_gaps
from dexml.risk.garch import Garch, fit_garch
from dexml.risk.portfolio import Allocation, expected_returns, max_sharpe
from dexml.risk.recurrence import Floats
from dexml.risk.score import parts_shown
from dexml.risk.stress import library, stress_table
from dexml.risk.tail import Tail, tail_risk
from dexml.risk.tail_methods import cornish_fisher_tail, garch_tail, historical_tail
from dexml.risk.trips import TripLimits, Vitals, tripped
from dexml.risk.turnover import rebalanced
from dexml.state import KernelConfig

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
HOURS = 24
KERNEL_WINDOW, LONG_WINDOW = KernelConfig().window_bars, 2_000
REFIT_DAYS, N_CLOSES = 30, 20


@cache
def recorded_closes() -> dict[str, pd.Series]:
    """Return the closes of every coin by their time of closing: its longest record on Binance."""
    closes: dict[str, pd.Series] = {}
    for venue in ("binance_usdm_perp", "binance_spot"):
        for path in sorted((DATA / "ohlcv_1h" / venue).glob("*.parquet")):
            closes.setdefault(path.stem.removesuffix("USDT"), _closes(path))
    return closes


def _closes(path: Path) -> pd.Series:
    frame = pd.read_parquet(path).iloc[:-1]  # the last bar may have been open when captured
    name = "close" if "close" in frame else "Close"
    index = pd.DatetimeIndex(frame["timestamp_utc"]) + pd.Timedelta("1h")
    return pd.Series(frame[name].to_numpy(float), index=index)


def returns_of(closes: pd.Series) -> Floats:
    values = closes.to_numpy()
    return values[1:] / values[:-1] - 1


class Refitted:
    """GARCH-filtered history whose parameters are fitted anew every thirty days."""

    def __init__(self) -> None:
        self.n_asked, self.model = 0, None

    def __call__(self, past: Floats) -> Tail:
        if self.n_asked % REFIT_DAYS == 0:
            self.model: Garch | None = fit_garch(past)
        self.n_asked += 1
        return garch_tail(past, HOURS, model=self.model)


@cache
def early_closes() -> dict[str, pd.Series]:
    """Return what no method was chosen on: Kraken before 2020, hours without a trade unmoved."""
    closes = {}
    for coin, name, since in (("BTC", "XBTUSD", "2014-10"), ("ETH", "ETHUSD", "2016-03")):
        whole = _closes(DATA / "ohlcv_1h" / "kraken_spot" / f"{name}.parquet")
        closes[f"{coin} on Kraken"] = whole.loc[since:"2019-12"].asfreq("1h").ffill()
    return closes


def record(coin: str, forecast: Callable[[Floats], Tail], window: int) -> TailRecord:
    """Return one coin's record; every method is asked of the same days."""
    closes = recorded_closes() | early_closes()
    returns = returns_of(closes[coin])[LONG_WINDOW - window :]
    return tail_record(returns, forecast, window, HOURS)


def methods() -> Iterator[tuple[str, Callable[[], Callable[[Floats], Tail]], int]]:
    yield "ewma", lambda: lambda past: tail_risk(past, HOURS), KERNEL_WINDOW
    yield "ewma", lambda: lambda past: tail_risk(past, HOURS), LONG_WINDOW
    yield "garch", Refitted, LONG_WINDOW
    yield "historical", lambda: lambda past: historical_tail(past, HOURS), LONG_WINDOW


def coverage() -> dict[str, object]:
    """Return every method's tests on every coin, corrected over the coins."""
    figures: dict[str, object] = {}
    for name, maker, window in methods():
        found = {coin: Coverage.of(record(coin, maker(), window)) for coin in recorded_closes()}
        early = {coin: Coverage.of(record(coin, maker(), window)) for coin in early_closes()}
        figures[f"{name} ({window} bars)"] = summary(found)
        figures[f"{name} ({window} bars), before 2020"] = summary(early)
    figures[f"cornish_fisher ({LONG_WINDOW} bars)"] = domain()
    return figures


def summary(found: dict[str, Coverage]) -> dict[str, object]:
    """Return the table of one method: least corrected p-values over all coins, and each coin."""
    tests = {
        name: holm([getattr(one, name).p_value for one in found.values()])
        for name in ("kupiec", "independence", "conditional", "shortfall")
    }
    return {
        "least_corrected_p": {name: round(min(values), 4) for name, values in tests.items()},
        "share_beyond": {coin: round(one.share_beyond, 4) for coin, one in found.items()},
        "kupiec_p": {coin: round(one.kupiec.p_value, 4) for coin, one in found.items()},
        "independence_p": {c: round(one.independence.p_value, 4) for c, one in found.items()},
        "z2": {coin: round(one.shortfall.statistic, 3) for coin, one in found.items()},
        "n_days": {coin: one.n_days for coin, one in found.items()},
    }


def domain() -> dict[str, object]:
    """Return how often Cornish-Fisher has an answer at all, and how often days were beyond it."""
    figures: dict[str, object] = {}
    for coin, closes in recorded_closes().items():
        returns, seen = returns_of(closes), Counter[str]()
        for start in range(LONG_WINDOW, returns.size - HOURS + 1, HOURS):
            try:
                tail = cornish_fisher_tail(returns[start - LONG_WINDOW : start], HOURS)
            except DataError:
                seen["refused"] += 1
                continue
            lost = 1 - float(np.prod(1 + returns[start : start + HOURS]))
            seen["beyond" if lost > tail.value_at_risk else "within"] += 1
        answered = seen["beyond"] + seen["within"]
        figures[coin] = {
            "answered": round(answered / seen.total(), 3),
            "share_beyond": round(seen["beyond"] / max(1, answered), 4),
        }
    return figures


def episodes() -> dict[str, object]:
    """Return every episode's moves as `dexml.risk.episodes` holds them, measured anew."""
    return {episode.name: measured(episode) for episode in EPISODES}


def measured(episode: Episode) -> dict[str, float]:
    """Return each coin's lowest close of the episode over its close at the start, minus one."""
    moves = {}
    for coin, closes in recorded_closes().items():
        inside = closes.loc[episode.since : episode.until]
        if closes.index[0] <= pd.Timestamp(episode.since):
            moves[coin] = round(float(inside.min() / inside.iloc[0]) - 1, 3)
    return moves


def speed() -> dict[str, object]:
    """Return the CPU time of what a close asks of the book's risk; set OPENBLAS_NUM_THREADS=1."""
    figures: dict[str, object] = {}
    for n in (10, 100):
        times = [_close_ms(n, seed) for seed in range(N_CLOSES)]
        names = times[0].keys()
        median = {name: float(np.median([one[name] for one in times])) for name in names}
        figures[f"{n} instruments"] = {
            **{f"{name}_ms": round(value, 3) for name, value in median.items()},
            "all_ms": round(sum(median.values()), 2),
            "all_us_an_instrument": round(1e3 * sum(median.values()) / n, 1),
        }
    return figures


def _close_ms(n: int, seed: int) -> dict[str, float]:
    """Time each part once, in the order of a close, warm-started from the close before."""
    generator, took = np.random.default_rng(seed), {}
    moves = generator.standard_t(5, (LONG_WINDOW + 1, 1)) + generator.standard_t(
        5, (LONG_WINDOW + 1, n)
    )
    moves *= generator.uniform(0.5, 2.0, n) * 0.005
    names = [f"C{k}/USDT" for k in range(n)]
    held = generator.uniform(0, 1 / n, n)
    chances = np.clip(generator.normal(0.5, 0.05, n), 0.01, 0.99)
    before = _target(moves[:-1], chances)
    _, start = rebalanced(before, held, ledoit_wolf(moves[:-1]).covariance, 0.001)
    began = time.process_time()

    def lap(name: str) -> None:
        nonlocal began
        now = time.process_time()
        took[name], began = 1e3 * (now - began), now

    window = moves[1:]
    tail_with_gaps(window, held, HOURS)
    lap("tail_with_gaps")
    table = ledoit_wolf(window).covariance
    lap("ledoit_wolf")
    target = _target(window, chances, table, before.weights)
    lap("max_sharpe")
    rebalanced(target, held, table, 0.001, start=start)
    lap("rebalanced")
    positions = dict(zip(names, (1e4 * held).tolist(), strict=True))
    stress_table(library(dict.fromkeys(names, 0.04)), positions, 1e3, CostConfig())
    lap("stress_table")
    tripped(Vitals(), TripLimits())
    parts_shown({"drawdown": 0.1, "volatility": 0.02}, {"drawdown": 0.15, "volatility": 0.2})
    lap("trips_and_score")
    return took


def _target(
    window: Floats, chances: Floats, table: Floats | None = None, start: Floats | None = None
) -> Allocation:
    known = ledoit_wolf(window).covariance if table is None else table
    size = np.sqrt(np.diag(known))
    views = expected_returns(chances, size, size, 1e-4)
    return max_sharpe(
        views,
        known,
        lambda weights: tail_risk(window @ weights, HOURS).value_at_risk,
        limit=0.05,
        start=start,
    )


PARTS: dict[str, Callable[[], dict[str, object]]] = {
    "coverage": coverage,
    "episodes": episodes,
    "speed": speed,
}


def main(names: list[str]) -> None:
    """Print the parts that were asked for, or all."""
    json.dump({name: PARTS[name]() for name in names or PARTS}, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
