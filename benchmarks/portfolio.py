"""The book's risk on recorded bars: coverage of the tails, moves of the episodes, time of a close.

python -m benchmarks.portfolio [coverage | episodes | speed]
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.errors import DataError
from dexml.risk.coverage import Coverage, TailRecord, holm, tail_record
from dexml.risk.episodes import EPISODES, Episode
from dexml.risk.garch import Garch, fit_garch
from dexml.risk.recurrence import Floats
from dexml.risk.tail import Tail, tail_risk
from dexml.risk.tail_methods import cornish_fisher_tail, garch_tail, historical_tail

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
HOURS = 24
KERNEL_WINDOW, LONG_WINDOW = 240, 2_000
REFIT_DAYS = 30


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


PARTS: dict[str, Callable[[], dict[str, object]]] = {"coverage": coverage, "episodes": episodes}


def main(names: list[str]) -> None:
    """Print the parts that were asked for, or all."""
    json.dump({name: PARTS[name]() for name in names or PARTS}, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
