from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dexml.data.health import reasons, unwell
from dexml.data.storage.store import Store
from dexml.domain import REFUSED_COLUMNS, Bars, History, to_datetime, to_datetime64
from tests.file_events import asked_of
from tests.random_walk import some_bars

VENUES = ("binance", "kraken")


def wild(bars: Bars) -> Bars:
    """The bars with a last price a thousand times too high."""
    columns = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[-1] *= 1_000.0
    return replace(bars, **columns)


def filled(folder: Path, n_instruments: int) -> tuple[str, ...]:
    store, names = Store(folder), tuple(f"C{k}/USDT" for k in range(n_instruments))
    for name in names:
        for venue in VENUES:
            store.append_bars(venue, some_bars(name, 30))
    store.append_bars("kraken", wild(some_bars(names[0], 31)))
    return names


def test_a_close_costs_nothing_for_series_that_were_never_refused(tmp_path: Path) -> None:
    costs = []
    for n_instruments in (2, 40):
        folder = tmp_path / str(n_instruments)
        names = filled(folder, n_instruments)
        store = Store(folder)
        store.history(VENUES, names, "1h")
        with asked_of(folder / "quarantine") as asked:
            refused = store.history(VENUES, names, "1h").refused
        assert refused["instrument"].tolist() == [names[0]]
        costs.append(asked)
    assert costs[0] == costs[1]
    assert len(costs[0]) > 0


def test_a_history_tells_what_was_refused_from_when_it_was_seen(tmp_path: Path) -> None:
    name = filled(tmp_path, 2)[0]
    seen_at = some_bars(name, 31).closed_at[-1]
    history = Store(tmp_path).history(VENUES, (name,), "1h")
    assert tuple(history.refused.columns) == REFUSED_COLUMNS
    row = history.refused.iloc[0]
    assert (row["exchange"], row["reason"]) == ("kraken", "price jump")
    assert to_datetime64(row["known_at"].to_pydatetime()) == seen_at
    assert history.until(seen_at - 1).refused.empty
    assert len(history.until(seen_at).refused) == 1
    early = to_datetime(seen_at - 1)
    assert Store(tmp_path).history(VENUES, (name,), "1h", as_of=early).refused.empty
    assert unwell(history, seen_at) == {name: "price jump"}
    assert reasons(history.refused, "C1/USDT") == {}


def test_a_history_of_clean_bars_has_refused_nothing(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 30)
    store.append_bars("binance", bars)
    refused = store.history(VENUES, ("BTC/USDT",), "1h").refused
    assert refused.empty
    assert refused.dtypes.equals(History(bars={"BTC/USDT": bars}).refused.dtypes)


@pytest.mark.parametrize("folded", [False, True])
def test_a_bar_refused_again_and_again_counts_once(tmp_path: Path, folded: bool) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 31)
    for n_bars in (31, 31, 31):
        store.append_bars("binance", wild(bars.take(slice(0, n_bars))))
    if folded:
        store.compact()
    assert len(Store(tmp_path).refused(["binance"], ["BTC/USDT"], "1h")) == 1
    assert store.refused(["kraken"], ["BTC/USDT"], "1h").empty
    assert store.refused(["binance"], ["BTC/USDT"], "4h").empty
