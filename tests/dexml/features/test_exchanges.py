from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Bars, Target
from dexml.features.exchanges import EXCHANGE_COLUMNS, cross_exchange
from dexml.features.panel import build_panel, view
from tests.dexml.features.histories import some_history, some_venues, walk

BARS = walk(n=500, seed=4)
INDEX = pd.DatetimeIndex(BARS.closed_at, tz="UTC")


def _found(closes: pd.DataFrame, bars: Bars = BARS) -> pd.DataFrame:
    columns = cross_exchange({bars.instrument: bars}, {bars.instrument: closes})[bars.instrument]
    return pd.DataFrame(columns, index=pd.DatetimeIndex(bars.closed_at, tz="UTC"))


def test_spread_agreement_and_count_match_brute_force() -> None:
    closes = some_venues(BARS)
    found = _found(closes)
    for t in range(30, 500, 7):
        now, before = closes.iloc[t].dropna(), closes.iloc[t - 1]
        assert found["venue_count"].iloc[t] == len(now)
        if len(now):
            apart = np.log(now / now.median())
            assert found["venue_spread"].iloc[t] == pytest.approx(np.sqrt((apart**2).mean()))
            skew = np.log(BARS.close[t] / now.median())
            assert found["venue_deviation"].iloc[t] == pytest.approx(skew, abs=1e-15)
        moves = np.log(closes.iloc[t] / before).dropna()
        same = (np.sign(moves) == np.sign(moves.median())).mean() if len(moves) else 0.5
        assert found["venue_agreement"].iloc[t] == pytest.approx(same)


def test_lead_and_pull_are_the_regressions_of_the_next_return_on_each_deviation() -> None:
    closes = some_venues(BARS)
    found = _found(closes)
    apart = np.log(closes.div(closes.median(axis=1), axis=0))
    moved = pd.Series(np.log(BARS.close), index=INDEX).diff()
    for t in range(60, 500, 23):
        slopes, pulls = [], []
        for name in closes:
            x, r = apart[name].shift(1).iloc[t - 23 : t + 1], moved.iloc[t - 23 : t + 1]
            known = x.notna() & apart[name].iloc[t - 23 : t + 1].notna()
            centred = x[known] - x[known].mean()
            slope = (centred * r[known]).sum() / ((centred**2).sum() + 24e-10)
            slopes.append(slope)
            pulls.append(slope * (apart[name].iloc[t] - x[known].mean()))
        assert found["venue_lead_24"].iloc[t] == pytest.approx(max(slopes) - min(slopes), rel=1e-6)
        n = max(closes.iloc[t].count(), 1)
        assert found["venue_pull_24"].iloc[t] == pytest.approx(np.nansum(pulls) / n, rel=1e-6)


# One exchange is an hour ahead of the two that follow: its deviation tells the next return.
def test_an_exchange_that_leads_is_seen_to_pull_the_price_after_it() -> None:
    log_price = np.cumsum(np.random.default_rng(1).normal(0, 0.01, 501))
    leader, follower = np.exp(log_price[1:]), np.exp(log_price[:-1])
    bars = replace(BARS, open=follower, close=follower, high=follower * 1.01, low=follower * 0.99)
    closes = pd.DataFrame({"a": follower, "b": leader, "c": follower}, index=INDEX)
    pull = _found(closes, bars)["venue_pull_24"].to_numpy()[30:-1]
    following = np.diff(np.log(follower))[30:]
    assert np.corrcoef(pull, following)[0, 1] > 0.9
    still = _found(closes[["a", "c"]], bars)["venue_pull_24"].to_numpy()[30:-1]
    assert np.abs(still).max() == 0.0


def test_a_deviation_that_the_next_bar_undoes_is_a_reversion_of_one() -> None:
    noise = np.random.default_rng(2).normal(0, 1e-3, (500, 3))
    closes = pd.DataFrame(BARS.close[:, None] * np.exp(noise), index=INDEX, columns=list("abc"))
    steady = pd.DataFrame(
        BARS.close[:, None] * np.exp([0.0, 1e-3, -1e-3]), index=INDEX, columns=list("abc")
    )
    assert _found(closes)["venue_reversion_24"].iloc[40:].mean() == pytest.approx(1.0, abs=0.1)
    assert _found(steady)["venue_reversion_24"].iloc[40:].abs().max() < 1e-6


# The dollar of one exchange is worth ten basis points less: that tells nothing of the next return.
def test_a_basis_between_quote_currencies_pulls_nowhere() -> None:
    closes = pd.DataFrame(
        {"usdt": BARS.close, "usd": BARS.close * 0.999, "eur": BARS.close}, index=INDEX
    )
    found = _found(closes).iloc[40:]
    assert found["venue_pull_24"].abs().max() < 1e-9
    assert found["venue_spread"].min() > 5e-4


def test_nothing_is_missing_where_exchanges_are() -> None:
    closes = some_venues(BARS)
    closes.iloc[100:200] = np.nan
    found = _found(closes.drop(closes.index[300:310]))
    assert list(found.columns) == list(EXCHANGE_COLUMNS)
    assert np.isfinite(found.iloc[26:].to_numpy()).all()
    assert (found["venue_count"].iloc[100:200] == 0).all()
    assert (found["venue_count"].iloc[300:310] == 0).all()


def test_two_exchanges_of_one_instrument_are_enough() -> None:
    closes = some_venues(BARS)[["kraken", "binance"]]
    assert _found(closes)["venue_count"].max() == 2


def test_one_source_for_every_instrument_means_no_columns() -> None:
    history = some_history(420)
    alone = some_venues(history.bars["BTC/USDT"])[["kraken"]]
    panel = build_panel(replace(history, venue_closes={"BTC/USDT": alone}))
    assert not [name for name in panel if name.startswith("venue_")]


def test_only_the_direction_model_sees_exchanges() -> None:
    history = some_history(420)
    closes = {"BTC/USDT": some_venues(history.bars["BTC/USDT"])}
    panel = build_panel(replace(history, venue_closes=closes))
    assert set(EXCHANGE_COLUMNS) <= set(view(Target.DIRECTION, panel.columns))
    for target in set(Target) - {Target.DIRECTION}:
        assert not set(EXCHANGE_COLUMNS) & set(view(target, panel.columns))
    others = panel.drop("BTC/USDT", level="instrument")
    assert (others["venue_count"] == 0).all()
