"""Features against the bare TA-Lib calls, against pandas-ta-classic, and one close at a time."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import talib

from dexml.domain import Bar, Bars, History
from dexml.experiments.sources import plant_market
from dexml.features.audit import audit
from dexml.features.indicators import compute_columns
from dexml.features.live import LivePanel
from dexml.features.panel import build_panel
from dexml.features.technical import SEED_COLUMNS
from dexml.targets import labels

PEER = Path(".venv/peers/bin/python")
N_INSTRUMENTS, N_CLOSES = 100, 150


def cpu_s(work: Callable[[], object], repeats: int) -> float:
    """Return the least CPU time of `work`: other jobs of the machine can only add to it."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def bare_talib(bars: Bars) -> None:
    """Call what the seed's columns need of TA-Lib, and nothing else."""
    close, volume = bars.close, bars.volume
    bar = (bars.high, bars.low, close)
    for period in (20, 50, 200):
        talib.SMA(close, period)
    talib.RSI(close, 14)
    for study in (talib.WILLR, talib.ADX, talib.ATR, talib.NATR):
        study(*bar, 14)
    talib.STOCH(*bar)
    talib.MACD(close, 12, 26, 9)
    talib.AROON(bars.high, bars.low, 14)
    talib.OBV(close, volume)
    talib.AD(*bar, volume)
    talib.ADOSC(*bar, volume, 3, 10)
    talib.TRANGE(*bar)
    talib.BBANDS(close, 20, 2.0, 2.0)
    talib.MOM(close, 10)
    talib.ROC(close, 10)
    talib.PPO(close, 12, 26)
    for candle in (talib.CDLDOJI, talib.CDLHAMMER, talib.CDLENGULFING):
        candle(bars.open, *bar)


def batch(bars: Bars) -> dict[str, float | str]:
    """Time the seed's columns three ways on one year of hours."""
    # In turn, so that what else runs on the machine weighs on both.
    rounds = [
        (
            cpu_s(lambda: compute_columns(bars, only=SEED_COLUMNS), 1),
            cpu_s(lambda: bare_talib(bars), 1),
        )
        for _ in range(150)
    ]
    ours, bare = (min(times) for times in zip(*rounds, strict=True))
    figures: dict[str, float | str] = {
        "seed_columns_ms": 1e3 * ours,
        "bare_talib_ms": 1e3 * bare,
        "seed_columns_to_bare_talib": ours / bare,
    }
    peer = _peer_s(bars)
    if isinstance(peer, str):
        return figures | {"pandas_ta_classic": peer}
    return figures | {"pandas_ta_classic_to_seed_columns": peer / ours}


def _peer_s(bars: Bars) -> float | str:
    if not PEER.exists():
        return f"not measured: {PEER} is missing; `make bench` makes it where the index has it"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.npz")
        names = ("open", "high", "low", "close", "volume")
        np.savez(path, **{name: getattr(bars, name) for name in names})
        script = str(Path(__file__).with_name("peer_features.py"))
        said = subprocess.run([PEER, script, path], capture_output=True, text=True, check=True)
    found = json.loads(said.stdout)
    if found["n_missing"]:
        return f"not measured: {found['n_missing']} columns are missing"
    return float(found["seconds"])


def _wide(n_bars: int) -> History:
    """Return a planted market of many instruments, each quoted by three exchanges."""
    symbols = tuple(f"C{k:02d}/USDT" for k in range(N_INSTRUMENTS))
    history = plant_market(symbols, n_bars=n_bars, seed=0, bayes_accuracy=0.7).history
    generator = np.random.default_rng(0)
    return History(
        bars=history.bars,
        news=history.news,
        macro=history.macro,
        venue_closes={name: _quotes(bars, generator) for name, bars in history.bars.items()},
    )


def _quotes(bars: Bars, generator: np.random.Generator) -> pd.DataFrame:
    noise = generator.normal(0.0, 3e-4, (len(bars), 3))
    index = pd.DatetimeIndex(bars.closed_at, tz="UTC")
    names = ["binance", "coinbase", "kraken"]
    return pd.DataFrame(bars.close[:, None] * (1.0 + noise), index=index, columns=names)


def live() -> dict[str, float]:
    """Time every registered feature of one new bar of many instruments, after two histories."""
    short, figures = _closes_ms(600), {}
    figures = {f"live_{name}": value for name, value in short.items()}
    return figures | {"live_p50_ms_after_a_history_5_times_longer": _closes_ms(3_000)["p50_ms"]}


def _closes_ms(n_history: int) -> dict[str, float]:
    history = _wide(n_history + N_CLOSES)
    closes = next(iter(history.bars.values())).closed_at
    panel = LivePanel(history.until(closes[n_history - 1]))
    times = []
    for k in range(n_history, n_history + N_CLOSES):
        heard = _heard(history, closes, k)
        began = time.process_time()
        rows = panel.append(heard[0], news=heard[1], macro=heard[2], venue_closes=heard[3])
        times.append(1e3 * (time.process_time() - began))
    return {
        "p50_ms": float(np.median(times)),
        "min_ms": min(times),
        "p99_ms": float(np.quantile(times, 0.99)),
        "n_columns": float(rows.shape[1]),
    }


def _heard(
    history: History, closes: np.ndarray, k: int
) -> tuple[list[Bar], pd.DataFrame, pd.DataFrame, dict[str, dict[str, float]]]:
    before, at = (pd.Timestamp(closes[row], tz="UTC") for row in (k - 1, k))
    facts = [
        frame[(frame["known_at"] > before) & (frame["known_at"] <= at)]
        for frame in (history.news, history.macro)
    ]
    venues = {name: frame.loc[at].to_dict() for name, frame in history.venue_closes.items()}
    return [bars.bar(k) for bars in history.bars.values()], facts[0], facts[1], venues


def features() -> dict[str, float | str]:
    """Return the figures of the feature layer; CPU time, one core."""
    market = plant_market((), n_bars=3_000, seed=0, bayes_accuracy=0.7)
    history = market.history
    year = plant_market(("BTC/USDT",), n_bars=8_760, seed=0, bayes_accuracy=0.7).history
    panel = cpu_s(lambda: build_panel(history), 5)
    checked = cpu_s(lambda: audit(history, labels=labels), 1)
    return {
        **batch(year.bars["BTC/USDT"]),
        **live(),
        "panel_s": panel,
        "audit_to_panel": checked / panel,
    }
