"""From the hand-over of new bars to the rows of features: three feeds, one store, one reader."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from dexml.data.feeds.keeping import Keeper
from dexml.data.feeds.rows import FeedUpdate
from dexml.data.storage.folders import write_durably
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe
from dexml.experiments.sources import plant_market
from dexml.features.current import CurrentPanel
from dexml.features.panel import build_panel

VENUES = ("binance", "coinbaseexchange", "kraken")
N_INSTRUMENTS, N_HISTORY, N_CLOSES = 50, 3_000, 120
OVERLAP = 3  # a feed that polls reads its last bars again
PAYLOAD = 8 * 8 * N_INSTRUMENTS  # bytes of one close of one exchange: eight numbers a bar

Market = Mapping[str, Bars]


def markets(
    timeframe: Timeframe, n_bars: int, n_instruments: int = N_INSTRUMENTS
) -> dict[str, Market]:
    """Return a planted market as three exchanges quote it."""
    names = tuple(f"C{k:02d}/USDT" for k in range(n_instruments))
    planted = plant_market(names, n_bars=n_bars, seed=0, bayes_accuracy=0.7).history.bars
    step = np.arange(n_bars) * np.timedelta64(timeframe.seconds, "s")
    generator = np.random.default_rng(0)
    found: dict[str, Market] = {}
    for venue in VENUES:
        found[venue] = {
            name: _quoted(bars, timeframe, bars.closed_at[0] + step, generator)
            for name, bars in planted.items()
        }
    return found


def _quoted(
    bars: Bars, timeframe: Timeframe, closed_at: np.ndarray, generator: np.random.Generator
) -> Bars:
    noise = 1.0 + generator.normal(0.0, 3e-4, len(bars))
    columns = {name: getattr(bars, name) * noise for name in PRICE_COLUMNS}
    return replace(bars, timeframe=timeframe, closed_at=closed_at, **columns)


def feed(told: Connection, folder: str, venue: str, market: Market) -> None:
    """Keep the bars of each close as it is told of: what a FeedActor does."""
    timeframe = next(iter(market.values())).timeframe
    keeper = Keeper(Store(folder), venue, tuple(market), timeframe)
    told.send("ready")
    while (row := told.recv()) is not None:
        closed = {
            name: bars.take(slice(row + 1 - OVERLAP, row + 1)) for name, bars in market.items()
        }
        update = replace(FeedUpdate.empty(), closed=closed)
        told.send("at hand")
        told.recv()
        told.send(keeper.keep(update))


def forecaster(told: Connection, folder: str, names: tuple[str, ...], timeframe: str) -> None:
    """Make the rows of each close as it is asked for them: what a ForecastActor does."""
    store, panel = Store(folder), CurrentPanel()
    told.send("ready")
    while (closed_at := told.recv()) is not None:
        history = store.history(VENUES, names, Timeframe(timeframe)).until(closed_at)
        rows = panel.rows(history, closed_at)
        told.send(rows)
    same = rows.equals(build_panel(history).loc[[rows.index[0][0]]])
    told.send({"same": same, "n_opened": panel.n_opened})


@contextmanager
def process(
    work: Callable[..., None], *arguments: object
) -> Iterator[tuple[Connection, psutil.Process]]:
    """Run `work` in a process of its own, and talk to it."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    child = spawn.Process(target=work, args=(there, *arguments), daemon=True)
    child.start()
    assert here.recv() == "ready"
    try:
        yield here, psutil.Process(child.pid)
    finally:
        here.send(None)
        child.join()


def arrival(
    timeframe: str = "1h", n_history: int = N_HISTORY, n_closes: int = N_CLOSES
) -> dict[str, Any]:
    """Return how long a close takes from the feeds' hands to rows of features, and what it leaves.

    Returns
    -------
    dict
        Milliseconds of wall time over `n_closes`: for the whole, for storing (until the slowest
        feed has kept its bars) and for a bare durable write of as many bytes by each feed in turn;
        CPU time of all four processes for a close, which other jobs of the machine do not stretch;
        megabytes of all four processes; files; whether the last rows have `build_panel`'s bits.
    """
    step = Timeframe(timeframe)
    quoted = markets(step, n_history + n_closes)
    names = tuple(quoted[VENUES[0]])
    with tempfile.TemporaryDirectory() as folder:
        fill(Store(folder), quoted, n_history)
        began = time.perf_counter()
        with (
            process(forecaster, folder, names, timeframe) as (reader, reading),
            process(feed, folder, VENUES[0], quoted[VENUES[0]]) as (first, one),
            process(feed, folder, VENUES[1], quoted[VENUES[1]]) as (second, two),
            process(feed, folder, VENUES[2], quoted[VENUES[2]]) as (third, three),
        ):
            feeds, held = (first, second, third), (reading, one, two, three)
            stamps = next(iter(quoted[VENUES[0]].values())).closed_at
            times, bare, memory = [], [], []
            cpu = 0.0
            for row in range(n_history, n_history + n_closes):
                times.append(_close(feeds, reader, row, stamps[row]))
                cpu = cpu or _cpu_s(held)  # from the second close on
                bare.append(_bare_s(Path(folder)))
                memory.append(sum(process.memory_full_info().uss for process in held) / 1e6)
            cpu = _cpu_s(held) - cpu
            reader.send(None)
            checked = reader.recv()
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
    took, stored = 1e3 * np.array(times).T
    return {
        "timeframe": timeframe,
        "n_history": n_history,
        "n_closes": n_closes,
        **_figures("close", took[1:]),
        "first_close_ms": float(took[0]),
        **_figures("stored", stored[1:]),
        **_figures("bare_write", 1e3 * np.array(bare)),
        "cpu_ms_a_close": 1e3 * cpu / (n_closes - 1),
        "uss_start_mb": memory[1],
        "uss_end_mb": memory[-1],
        # what arrived is held until it is folded, so that only the most of a while can be compared
        "uss_middle_third_max_mb": max(memory[n_closes // 3 : 2 * n_closes // 3]),
        "uss_last_third_max_mb": max(memory[2 * n_closes // 3 :]),
        "n_files": len(files),
        "wall_s": time.perf_counter() - began,
        **checked,
    }


def fill(store: Store, quoted: Mapping[str, Market], n_history: int) -> None:
    """Keep the first bars of every exchange, folded."""
    for venue, market in quoted.items():
        for bars in market.values():
            store.append_bars(venue, bars.take(slice(0, n_history)))
    store.compact()


def _close(
    feeds: tuple[Connection, ...], reader: Connection, row: int, closed_at: np.datetime64
) -> tuple[float, float]:
    for one in feeds:
        one.send(row)
    assert {one.recv() for one in feeds} == {"at hand"}
    began = time.perf_counter()
    for one in feeds:
        one.send("keep")
    assert [one.recv() for one in feeds] == [N_INSTRUMENTS] * len(feeds)
    stored = time.perf_counter()
    reader.send(closed_at)
    assert len(reader.recv()) == N_INSTRUMENTS
    return time.perf_counter() - began, stored - began


def _bare_s(folder: Path) -> float:
    began = time.perf_counter()
    for venue in VENUES:
        write_durably(folder / f".bare-{venue}", bytes(PAYLOAD))
    return time.perf_counter() - began


def _cpu_s(held: tuple[psutil.Process, ...]) -> float:
    times = [process.cpu_times() for process in held]
    return sum(one.user + one.system for one in times)


def _figures(name: str, ms: np.ndarray) -> dict[str, float]:
    return {
        f"{name}_p50_ms": float(np.median(ms)),
        f"{name}_p95_ms": float(np.quantile(ms, 0.95)),
        f"{name}_max_ms": float(ms.max()),
    }


def main() -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeframe", default="1h")
    parser.add_argument("--history", type=int, default=N_HISTORY)
    parser.add_argument("--closes", type=int, default=N_CLOSES)
    said = parser.parse_args()
    print(json.dumps(arrival(said.timeframe, said.history, said.closes), indent=1))


if __name__ == "__main__":
    main()
