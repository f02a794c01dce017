"""The true log-odds of the next move: a fixed function of what has been published.

All drivers are centred near 0 with a spread near 1 and enter the log-odds with the weights of
`DRIVERS`, times one scale that sets the Bayes accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dexml.domain import Floats
from dexml.simulation.market.config import MarketConfig
from dexml.simulation.market.headlines import decayed_sentiment, market_sentiment
from dexml.simulation.market.macro import MACRO_DRIVERS, latest_change
from dexml.simulation.market.shocks import Shocks

__all__ = ["DRIVERS", "NUISANCE", "PRICE_DRIVERS", "Context", "all_terms", "build_context", "walk"]

DRIVERS = {
    "regime_momentum": 0.28,  # 3-bar return: goes on in calm hours, turns back in wild ones
    "band_position": -0.20,  # z-score of the close within its 20 closes
    "calendar": 0.20,  # hour of the day of the next bar, weaker on weekends
    "cross_section": -0.20,  # 6-bar return less that of all instruments
    "sentiment": 0.40,  # of the instrument's own headlines
    "sentiment_in_regime": 0.30,  # the same, counting more in wild hours than in calm ones
    "market_sentiment": 0.36,  # of all instruments' headlines, soon forgotten
    "vix_change": -0.28,
    "greed_momentum": 0.28,  # rising greed makes the 3-bar return go on
}
PRICE_DRIVERS = ("regime_momentum", "band_position", "calendar", "cross_section")
NUISANCE = (
    "dxy",
    "us10y",
    "gold",
    "hash_rate",
    "stablecoin_supply",
    "headlines that name no instrument",
    "number of headlines",
    "dispersion of headlines",
    "volume",
    "high and low",
)
_BAND, _DAY, _WEEK = 20, 24, 168
_SENTIMENT_SPREAD, _MARKET_SPREAD = 0.24, 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """What the log-odds need beside the closes, shape (n_bars, n_instruments) each.

    Attributes
    ----------
    terms : mapping of driver to ndarray
        Drivers that do not depend on the direction of past moves.
    outside : ndarray
        Their weighted sum.
    greed : ndarray
        Last change of the index of fear and greed, in typical changes.
    recent_volatility : ndarray
        Root mean square of the last 24 log returns.
    regime : ndarray
        In (-1, 1): below 0 calmer than in the last week, above 0 wilder.
    bar_volatility : float
        Long-run standard deviation of a log return.
    """

    terms: dict[str, Floats]
    outside: Floats
    greed: Floats
    recent_volatility: Floats
    regime: Floats
    bar_volatility: float


def build_context(
    config: MarketConfig, news: pd.DataFrame, macro: pd.DataFrame, shocks: Shocks
) -> Context:
    """Work out all drivers that do not depend on the direction of past moves."""
    shape = shocks.size.shape
    recent, usual = (np.sqrt(_trailing_mean(shocks.size**2, n)) for n in (_DAY, _WEEK))
    regime = np.tanh(4.0 * np.log(recent / usual))
    sentiment = decayed_sentiment(config, news) / _SENTIMENT_SPREAD
    market = market_sentiment(config, news) / _MARKET_SPREAD
    terms = {
        "calendar": np.broadcast_to(_calendar(config)[:, None], shape),
        "sentiment": sentiment,
        "sentiment_in_regime": 1.6 * sentiment * regime,
        "market_sentiment": np.broadcast_to(market[:, None], shape),
    }
    changes = {}
    for series, spread in MACRO_DRIVERS.items():
        change = bounded(latest_change(config, macro, series) / spread)
        changes[series] = np.broadcast_to(change[:, None], shape)
    terms["vix_change"] = changes["vix"]
    return Context(
        terms=terms,
        outside=weighted_sum(terms),
        greed=changes["fear_greed"],
        recent_volatility=recent,
        regime=regime,
        bar_volatility=config.bar_volatility,
    )


def bounded(value: Floats) -> Floats:
    """Leave small values as they are and keep large ones within 3."""
    return np.asarray(3.0 * np.tanh(value / 3.0))


def weighted_sum(terms: dict[str, Floats]) -> Floats:
    """Add up drivers with their weights, in the order given."""
    return np.asarray(sum(DRIVERS[name] * values for name, values in terms.items()))


def _trailing_mean(values: Floats, window: int) -> Floats:
    total = np.cumsum(values, axis=0)
    total[window:] -= total[:-window].copy()
    count = np.minimum(np.arange(1, len(values) + 1), window)
    return np.asarray(total / count[:, None])


def _calendar(config: MarketConfig) -> Floats:
    epoch_hours = (config.closed_at.astype("datetime64[h]")).astype(np.int64)
    weekday = (epoch_hours // 24 + 3) % 7  # the epoch was a Thursday; Monday is 0
    strength = np.where(weekday < 5, 1.5, 0.75)
    return np.asarray(strength * np.sin(2 * np.pi * (epoch_hours % 24 - 8) / 24))


def walk(
    context: Context, shocks: Shocks, threshold: Floats, scale: Floats
) -> tuple[Floats, Floats]:
    """Walk the log prices forward, each direction drawn from its true probability.

    Parameters
    ----------
    threshold : ndarray of shape (n_bars, n_paths, n_instruments)
        As in `Shocks`, for independent paths.
    scale : ndarray of shape (n_scales,)
        Factors on the weighted sum of the drivers; each walks all paths.

    Returns
    -------
    log_price : ndarray of shape (n_bars + 1, n_scales, n_paths, n_instruments)
        The first row is the opening of the first bar, 0.
    logit : ndarray of shape (n_bars, n_scales, n_paths, n_instruments)
        True log-odds that the next bar rises, known at each close.

    Notes
    -----
    The first bar's own direction is a coin flip: nothing was published before it.
    """
    n_bars, n_paths, n_instruments = threshold.shape
    price = np.zeros((n_bars + 1, len(scale), n_paths, n_instruments))
    logit = np.zeros(price[1:].shape)
    now = np.zeros(price[0].shape)
    for bar in range(n_bars):
        size = shocks.size[bar]
        price[bar + 1] = price[bar] + np.where(threshold[bar] < now, size, -size)
        inside = weighted_sum(_path_terms(context, price, bar))
        now = scale[:, None, None] * (context.outside[bar] + inside)
        logit[bar] = now
    return price, logit


def all_terms(context: Context, log_price: Floats) -> dict[str, Floats]:
    """Work out every driver along one path.

    Parameters
    ----------
    log_price : ndarray of shape (n_bars + 1, n_instruments)

    Returns
    -------
    dict of driver to ndarray of shape (n_bars, n_instruments)
        In the order of `DRIVERS`.
    """
    rows = [_path_terms(context, log_price, bar) for bar in range(len(log_price) - 1)]
    inside = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return {name: (context.terms | inside)[name] for name in DRIVERS}


def _path_terms(context: Context, price: Floats, bar: int) -> dict[str, Floats]:
    closes = price[max(1, bar + 2 - _BAND) : bar + 2]
    last = price[bar + 1]
    spread = np.maximum(closes.std(axis=0), 1e-12)
    band = bounded((last - closes.mean(axis=0)) / spread / 1.15)
    short = bounded((last - price[max(0, bar - 2)]) / (1.75 * context.recent_volatility[bar]))
    slow = (last - price[max(0, bar - 5)]) / (1.7 * context.bar_volatility)
    apart = slow - slow.mean(axis=-1, keepdims=True)
    return {
        "regime_momentum": -1.6 * short * context.regime[bar],
        "band_position": band,
        "cross_section": bounded(apart),
        "greed_momentum": context.greed[bar] * short,
    }
