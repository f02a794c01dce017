"""Small random-walk histories for tests of features."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dexml.domain import Bars, History, Timeframe

START = np.datetime64("2023-03-01T01:00", "ns")


def walk(
    instrument: str = "BTC/USDT",
    n: int = 600,
    seed: int = 0,
    *,
    timeframe: Timeframe = Timeframe.H1,
    tick: float | None = None,
) -> Bars:
    """Return a random walk with open = previous close; `tick` rounds prices, so that ties occur."""
    generator = np.random.default_rng(seed)
    edges = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.01, n + 1)))
    if tick:
        edges = np.maximum(np.round(edges / tick), 1.0) * tick
    spread = np.abs(generator.normal(0.0, 0.004, (2, n))) * edges[1:]
    high = np.maximum(edges[1:], edges[:-1]) + spread[0]
    low = np.maximum(np.minimum(edges[1:], edges[:-1]) - spread[1], 1e-3)
    return Bars(
        instrument=instrument,
        timeframe=timeframe,
        closed_at=START + np.arange(n) * np.timedelta64(timeframe.seconds, "s"),
        open=edges[:-1],
        high=high,
        low=low,
        close=edges[1:],
        volume=np.exp(generator.normal(3.0, 0.7, n)) * (generator.random(n) > 0.02),
    )


def some_news(bars: Bars, n: int = 400, seed: int = 1) -> pd.DataFrame:
    """Return headlines spread over the bars, known up to half an hour after they appeared."""
    generator = np.random.default_rng(seed)
    first, last = (pd.Timestamp(bars.closed_at[k], tz="UTC") for k in (0, -1))
    published = first + pd.to_timedelta(np.sort(generator.random(n)) * (last - first))
    delay = pd.to_timedelta(generator.integers(600, 1_800, n), unit="s")
    names = np.array(["BTC/USDT", "ETH/USDT", "BTC/USDT ETH/USDT", ""], dtype=object)
    named = names[generator.integers(0, 4, n)]
    named[::2] = np.where(named[::2] == "", "XMR/USDT", named[::2])  # of no history here
    frame = {
        "published_at": published.as_unit("ns"),
        "known_at": (published + delay).as_unit("ns"),
        "source": "wire",
        "title": [f"Headline {k}" for k in range(n)],
        "instruments": named,
        "score": np.round(generator.uniform(-1, 1, n), 4),
    }
    return pd.DataFrame(frame)


def some_macro(bars: Bars, seed: int = 2) -> pd.DataFrame:
    """Return two daily series, released 8 hours after their day, from 60 days before the bars."""
    generator = np.random.default_rng(seed)
    first, last = (pd.Timestamp(bars.closed_at[k], tz="UTC") for k in (0, -1))
    days = pd.date_range(first.floor("D") - pd.Timedelta(days=60), last, freq="D").as_unit("ns")
    frames = [
        pd.DataFrame(
            {
                "series": name,
                "period_at": days,
                "known_at": days + pd.Timedelta(hours=32),
                "value": np.round(20 + np.cumsum(generator.normal(0, 1, len(days))), 2),
            }
        )
        for name in ("vix", "dxy")
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame[frame["known_at"] <= last].reset_index(drop=True)


def some_social(bars: Bars, seed: int = 4) -> pd.DataFrame:
    """Return sentiment over each bar's time, with holes, known when it has ended."""
    generator = np.random.default_rng(seed)
    step = bars.timeframe.step
    periods = pd.DatetimeIndex(bars.closed_at, tz="UTC").as_unit("ns") - step
    periods = periods[generator.random(len(periods)) > 0.1]
    value = generator.uniform(-1, 1, len(periods)).round(3)
    frame = {"period_at": periods, "known_at": periods + step, "value": value}
    return pd.DataFrame({"series": "social_btc", **frame})


def some_venues(bars: Bars, seed: int = 3) -> pd.DataFrame:
    """Return the closes of three exchanges: one has a basis, and each misses some bars."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(0.0, 3e-4, (len(bars), 3))
    table = bars.close[:, None] * (1.0 + noise + [0.0, 0.0, 1e-3])
    table[generator.random(table.shape) < 0.1] = np.nan
    index = pd.DatetimeIndex(bars.closed_at, tz="UTC")
    return pd.DataFrame(table, index=index, columns=["kraken", "binance", "coinbase"])


def some_history(n: int = 600, seed: int = 0) -> History:
    """Return three instruments with news and macro."""
    names = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    bars = {name: walk(name, n, seed * 10 + k) for k, name in enumerate(names)}
    one = bars["BTC/USDT"]
    return History(bars=bars, news=some_news(one), macro=some_macro(one))
