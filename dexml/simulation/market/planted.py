"""The planted market: a history as an exchange would publish it, and the truth behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from scipy import special

from dexml.domain import Bars, Floats, History, Target
from dexml.simulation.market.config import MarketConfig
from dexml.simulation.market.drivers import (
    PRICE_DRIVERS,
    Context,
    all_terms,
    build_context,
    walk,
)
from dexml.simulation.market.headlines import draw_news
from dexml.simulation.market.macro import draw_macro
from dexml.simulation.market.shocks import (
    Shocks,
    draw_shocks,
    draw_thresholds,
    draw_wicks,
    next_volatility,
)
from dexml.simulation.market.truth import volatility_rises
from dexml.simulation.market.volume import draw_log_volume, volume_rises

__all__ = ["PlantedMarket", "plant"]

_LEVELS = {  # first price in quote currency, typical hourly volume in base currency
    "BTC": (20_000.0, 1_500.0),
    "ETH": (1_500.0, 15_000.0),
    "SOL": (20.0, 400_000.0),
    "BNB": (250.0, 20_000.0),
    "LINK": (6.0, 600_000.0),
    "DOGE": (0.07, 40_000_000.0),
}
_SCALES = np.geomspace(0.1, 12.0, 20)
_N_PILOTS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlantedMarket:
    """A market with a known probability of everything that is predicted.

    Attributes
    ----------
    history : History
        All that is published by the close of the last bar.
    truth : DataFrame
        Index (closed_at, instrument), columns the target values: the probability that the label
        of the row is 1 given what was published up to closed_at. `volatility` is NaN in the
        first 19 bars.
    terms : DataFrame
        Same index: the drivers of the direction; for judging features, never for making them.
    scale : float
        Factor from the weighted drivers to log-odds; 0 on the null market.
    """

    config: MarketConfig
    history: History
    truth: pd.DataFrame
    terms: pd.DataFrame
    scale: float

    def bayes_accuracy(self, target: str) -> float:
        """Accuracy of the best possible rule for `target`, mean over the rows."""
        p = self.truth[target].dropna().to_numpy()
        return float(np.maximum(p, 1.0 - p).mean())

    def bayes_log_loss(self, target: str) -> float:
        """Log-loss of the true probabilities of `target` in nats, mean over the rows."""
        p = self.truth[target].dropna().to_numpy()
        return float((special.entr(p) + special.entr(1.0 - p)).mean())

    def price_only_accuracy(self) -> float:
        """Accuracy of the best rule for the direction that sees the price drivers of the bar only.

        Notes
        -----
        What the rule cannot see is integrated out by regressing the true probability on the
        price drivers, their squares, products and cubes. A model with a longer memory reaches
        more at high settings (about 0.73 at 0.86), because past moves betray the news.
        """
        p = self.truth[Target.DIRECTION].to_numpy()
        seen = [self.terms[name].to_numpy() for name in PRICE_DRIVERS]
        columns = [np.ones_like(p), *seen, *(values**3 for values in seen)]
        columns += [a * b for a, b in combinations_with_replacement(seen, 2)]
        basis = np.column_stack(columns)
        guess = basis @ np.linalg.lstsq(basis, p, rcond=None)[0]
        return float(np.where(guess > 0.5, p, 1.0 - p).mean())


def plant(config: MarketConfig) -> PlantedMarket:
    """Make the market that `config` describes.

    Examples
    --------
    >>> market = plant(MarketConfig(n_bars=300, bayes_accuracy=0.5))
    >>> market.bayes_accuracy("direction"), len(market.truth)
    (0.5, 1800)
    """
    news, macro, shocks = draw_news(config), draw_macro(config), draw_shocks(config)
    context = build_context(config, news, macro, shocks)
    scale = _find_scale(config, context, shocks)
    walked, logit = walk(context, shocks, shocks.threshold[:, None], np.array([scale]))
    log_price, log_volume = walked[:, 0, 0], draw_log_volume(config, shocks)
    bars = _bars(config, shocks, log_price, log_volume)
    up = np.asarray(special.expit(logit[:, 0, 0]))
    return PlantedMarket(
        config=config,
        history=History(bars=bars, news=news, macro=macro),
        truth=_rows(config, _truth(config, shocks, bars, log_volume, up)),
        terms=_rows(config, all_terms(context, log_price)),
        scale=scale,
    )


def _find_scale(config: MarketConfig, context: Context, shocks: Shocks) -> float:
    # Pilot directions come from a stream of their own: a scale found on the published directions
    # would know a little of the future, and the probabilities would no longer be exact.
    if config.bayes_accuracy == 0.5:
        return 0.0
    shape = (config.n_bars, _N_PILOTS, len(config.instruments))
    pilots = draw_thresholds(config.generator(7), shape)
    _, logit = walk(context, shocks, pilots, _SCALES)
    by_scale = special.expit(np.abs(logit)).mean(axis=(0, 2, 3))
    return float(np.exp(np.interp(config.bayes_accuracy, by_scale, np.log(_SCALES))))


def _bars(
    config: MarketConfig, shocks: Shocks, log_price: Floats, log_volume: Floats
) -> dict[str, Bars]:
    above, below = draw_wicks(config, np.diff(log_price, axis=0), shocks.volatility)
    bars = {}
    for column, name in enumerate(config.instruments):
        first, typical = _LEVELS.get(name.split("/")[0], (10.0, 100_000.0))
        price = first * np.exp(log_price[:, column])
        opened, close = price[:-1], price[1:]
        bars[name] = Bars(
            instrument=name,
            timeframe=config.timeframe,
            closed_at=config.closed_at,
            open=opened,
            high=np.maximum(opened * np.exp(above[:, column]), np.maximum(opened, close)),
            low=np.minimum(opened * np.exp(below[:, column]), np.minimum(opened, close)),
            close=close,
            volume=typical * np.exp(log_volume[:, column]),
        )
    return bars


def _truth(
    config: MarketConfig, shocks: Shocks, bars: Mapping[str, Bars], log_volume: Floats, up: Floats
) -> dict[str, Floats]:
    ahead = next_volatility(config, shocks)
    close = np.column_stack([bars[name].close for name in config.instruments])
    return {
        Target.DIRECTION: up,
        Target.VOLATILITY: volatility_rises(close, up, ahead),
        Target.VOLUME: volume_rises(config, shocks, log_volume, ahead),
        Target.SENTIMENT: up,
        Target.MACRO: up,
    }


def _rows(config: MarketConfig, columns: Mapping[str, Floats]) -> pd.DataFrame:
    stamps = pd.DatetimeIndex(config.closed_at, tz="UTC")
    index = pd.MultiIndex.from_product(
        [stamps, config.instruments], names=["closed_at", "instrument"]
    )
    flat = {str(name): np.ravel(values) for name, values in columns.items()}
    return pd.DataFrame(flat, index=index).sort_index()
