from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.recorded.imports import import_bars, read_bars
from dexml.data.storage.consolidation import BASIS_LIMIT, BASIS_WINDOW, closes_by_venue, consolidate
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe
from dexml.errors import DataError

START = np.datetime64("2024-01-01T01", "ns")
HOUR = np.timedelta64(1, "h")
Row = tuple[float, float, float, float, float]


def bars(rows: dict[int, Row], instrument: str = "BTC/USDT") -> Bars:
    table = np.array([rows[hour] for hour in sorted(rows)], dtype=float).reshape(-1, 5)
    stamps = START + np.array(sorted(rows), dtype=int) * HOUR
    columns = dict(zip(PRICE_COLUMNS, table.T, strict=True))
    return Bars(instrument=instrument, timeframe=Timeframe.H1, closed_at=stamps, **columns)


def flat(prices: list[float], volume: float = 1.0) -> Bars:
    return bars({hour: (price,) * 4 + (volume,) for hour, price in enumerate(prices)})


def same(left: Bars, right: Bars) -> bool:
    return left.frame().equals(right.frame())


prices = st.floats(min_value=1e-8, max_value=1e7, allow_nan=False)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    low, inner, outer, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
    open_, close = draw(st.permutations([inner, outer]))
    volume = draw(st.sampled_from([0.0, 0.1, 0.2, 0.3, 1.0, 1e9]) | st.floats(0, 1e6))
    return open_, high, low, close, volume


series = st.dictionaries(st.integers(0, 5), rows(), min_size=1).map(bars)
markets = st.dictionaries(st.sampled_from("abcdef"), series, min_size=1)


@given(markets)
def test_what_exchanges_agree_on_is_a_bar_wherever_any_of_them_has_one(
    parts: dict[str, Bars],
) -> None:
    together = consolidate(parts)  # Bars refuses what is no bar
    stamps = {stamp for one in parts.values() for stamp in one.closed_at.tolist()}
    assert together.closed_at.tolist() == sorted(stamps)


@given(markets, st.randoms())
def test_the_order_of_the_exchanges_changes_no_bit(parts: dict[str, Bars], chance: Random) -> None:
    shuffled = list(parts.items())
    chance.shuffle(shuffled)
    assert same(consolidate(parts), consolidate(dict(shuffled)))


@given(series, st.integers(1, 6))
def test_exchanges_that_show_the_same_bars_give_those_very_bars(one: Bars, n_venues: int) -> None:
    parts = {f"v{number}": one for number in range(n_venues)}
    assert same(consolidate(parts), one)
    quotes = {f"v{number}": "USD" for number in range(1, n_venues)}
    assert same(consolidate(parts, quotes), one)


@given(markets, st.integers(0, 5))
def test_no_bar_depends_on_a_later_one(parts: dict[str, Bars], hour: int) -> None:
    cut = START + hour * HOUR
    quotes = {"b": "USD", "c": "USD"} if set(parts) & {"a", "d", "e", "f"} else {}
    early = {name: one.until(cut) for name, one in parts.items()}
    whole = consolidate(parts, quotes).until(cut)
    assert same(consolidate(early, quotes), whole)


def brute_median(values: list[float], weights: list[Fraction]) -> float:
    def reached(strictly: bool) -> float:
        total = Fraction(0)
        for value, weight in sorted(zip(values, weights, strict=True)):
            total += weight
            if 2 * total > sum(weights) or (not strictly and 2 * total == sum(weights)):
                return value
        raise AssertionError

    return 0.5 * reached(strictly=False) + 0.5 * reached(strictly=True)


@given(st.lists(st.tuples(prices, st.integers(1, 1_000)), min_size=1, max_size=6))
def test_the_close_is_the_weighted_median_with_the_largest_weight_capped(
    votes: list[tuple[float, int]],
) -> None:
    parts = {f"v{n}": flat([price], volume) for n, (price, volume) in enumerate(votes)}
    volumes = [volume for _, volume in votes]
    top = max(volumes)
    cap = sorted(volumes)[-2] if len(volumes) > 2 else top
    # weights are kept to 2**-40 of the largest
    weights = [Fraction(round(Fraction(min(volume, cap), top) * 2**40)) for volume in volumes]
    assert consolidate(parts).close[0] == brute_median([price for price, _ in votes], weights)


@given(
    st.lists(st.tuples(prices, st.floats(0.01, 1e6)), min_size=2, max_size=5),
    st.floats(1e-12, 1e12),
    st.floats(0.01, 1e12),
)
def test_one_wild_exchange_among_three_cannot_leave_the_range_of_the_others(
    votes: list[tuple[float, float]], wild: float, volume: float
) -> None:
    parts = {f"v{n}": flat([price], traded) for n, (price, traded) in enumerate(votes)}
    close = consolidate({**parts, "wild": flat([wild], volume)}).close[0]
    if min(traded for _, traded in votes) / max(volume, *(t for _, t in votes)) < 2**-40:
        return  # next to nothing was traded there
    assert min(price for price, _ in votes) <= close <= max(price for price, _ in votes)


def test_an_exchange_that_misses_a_bar_leaves_it_to_the_others() -> None:
    whole, holed = flat([10, 11, 12], volume=1), bars({0: (20,) * 4 + (9,), 2: (22,) * 4 + (9,)})
    assert consolidate({"a": whole, "b": holed}).close.tolist() == [20, 11, 22]


def test_volume_is_that_of_the_market_and_not_a_sum_over_exchanges() -> None:
    parts = {"a": flat([10.0], 1000.0), "b": flat([10.0], 100.0), "c": flat([10.0], 50.0)}
    assert consolidate(parts).volume.tolist() == [1000.0]
    parts.pop("c")
    assert consolidate(parts).volume.tolist() == [1000.0]


def test_without_any_volume_all_exchanges_weigh_the_same() -> None:
    parts = {name: flat([price], 0.0) for name, price in (("a", 1.0), ("b", 2.0), ("c", 9.0))}
    assert consolidate(parts).close.tolist() == [2.0]


def test_another_quote_currency_is_converted_by_what_it_was_worth_lately() -> None:
    usdt = flat([100.0] * 60, 1.0)
    usd = flat([99.0] * 60, 5.0)  # one USD is worth 100/99 USDT
    together = consolidate({"binance": usdt, "kraken": usd}, {"kraken": "USD"})
    np.testing.assert_allclose(together.close, 100.0, rtol=1e-15)
    assert consolidate({"binance": usdt, "kraken": usd}).close.tolist() == [99.0] * 60


def test_the_basis_outlives_the_exchange_it_was_measured_on() -> None:
    usdt, usd = flat([100.0] * 5), flat([99.0] * (5 + BASIS_WINDOW + 3), 5.0)
    together = consolidate({"binance": usdt, "kraken": usd}, {"kraken": "USD"})
    np.testing.assert_allclose(together.close, 100.0, rtol=1e-15)


def test_a_currency_that_lost_its_worth_is_left_out() -> None:
    usdt = flat([100.0] * 40, 1.0)
    usd = flat([100.0 * (1 - 2 * BASIS_LIMIT)] * 40, 50.0)
    assert same(consolidate({"binance": usdt, "kraken": usd}, {"kraken": "USD"}), usdt)


def test_exchanges_that_all_quote_one_other_currency_are_taken_at_par() -> None:
    one, two = flat([10.0]), flat([11.0], 5.0)
    quotes = {"kraken": "USD", "coinbase": "USD"}
    assert consolidate({"kraken": one, "coinbase": two}, quotes).close.tolist() == [11.0]
    with pytest.raises(DataError, match="needs an exchange that quotes USDT"):
        consolidate({"kraken": one, "coinbase": two}, {"kraken": "USD", "coinbase": "EUR"})


def test_two_instruments_are_never_mixed() -> None:
    other = bars({0: (1.0,) * 5}, "ETH/USDT")
    with pytest.raises(DataError, match="one instrument and timeframe"):
        consolidate({"a": flat([1.0]), "b": other})
    with pytest.raises(DataError, match="was none"):
        consolidate({})


def test_closes_by_venue_are_as_each_exchange_said_them() -> None:
    closes = closes_by_venue({"b": flat([1.0, 2.0]), "a": bars({1: (3.0,) * 5})})
    assert list(closes) == ["b", "a"]
    expected = pd.DataFrame({"b": [1.0, 2.0], "a": [np.nan, 3.0]}, index=closes.index)
    pd.testing.assert_frame_equal(closes, expected, check_exact=True)


@pytest.mark.shared
def test_recorded_exchanges_of_two_currencies_agree_within_a_percent(shared: Path) -> None:
    folder = shared / "data" / "ohlcv_1h"
    spot = read_bars(folder / "binance_spot" / "ETHUSDT.parquet")["ETH/USDT"]
    perp = read_bars(folder / "binance_usdm_perp" / "ETHUSDT.parquet")["ETH/USDT"]
    usd = import_bars(folder / "bitfinex_spot" / "ETHUSD.parquet").bars["ETH/USD"]
    named = {name: getattr(usd, name) for name in ("closed_at", *PRICE_COLUMNS)}
    usd = Bars(instrument="ETH/USDT", timeframe=Timeframe.H1, **named)
    parts = {"spot": spot, "perp": perp, "bitfinex": usd}
    together = consolidate(parts, {"bitfinex": "USD"}).frame()
    common = spot.frame().index.intersection(usd.frame().index)
    away = (together["close"].loc[common] / spot.frame()["close"].loc[common] - 1).abs()
    assert len(common) > 15_000
    assert away.quantile(0.99) < 0.005
    assert away.max() < 0.02
