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
from dexml.simulation.market.headlines import decayed_sentiment
from dexml.simulation.market.macro import MACRO_DRIVERS, latest_change
from dexml.simulation.market.shocks import Shocks

__all__ = ["DRIVERS", "NUISANCE", "PRICE_DRIVERS", "Context", "build_context", "walk"]

DRIVERS = {
    "regime_momentum": 0.30,  # 3-bar return: goes on in calm hours, turns back in wild ones
    "band_position": -0.24,  # z-score of the close within its 20 closes
    "calendar": 0.22,  # hour of the day of the next bar, weaker on weekends
    "cross_section": -0.24,  # 6-bar return less that of all instruments
    "sentiment": 0.50,
    "sentiment_at_band": -0.46,  # good news counts more near the lower band
    "vix_change": -0.40,
    "fear_greed_change": 0.36,
}
PRICE_DRIVERS = ("regime_momentum", "band_position", "calendar", "cross_section")
NUISANCE = (
    "dxy",
    "us10y",
    "gold",
    "hash_rate",
    "stablecoin_supply",
    "market-wide headlines",
    "number of headlines",
    "volume",
    "high and low",
)
_PATH = ("regime_momentum", "band_position", "cross_section", "sentiment_at_band")
_BAND, _VOLATILITY_WINDOW = 20, 24
_SENTIMENT_SPREAD = 0.30
_CALM = 0.92  # median of the 24-bar volatility in units of its long-run level


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """What the log-odds need beside the closes, shape (n_bars, n_instruments) each.

    Attributes
    ----------
    terms : mapping of driver to ndarray
        Drivers that do not depend on the direction of past moves.
    outside : ndarray
        Their weighted sum.
    recent_volatility : ndarray
        Root mean square of the last 24 log returns.
    regime : ndarray
        In (-1, 1): below 0 calm, above 0 wild.
    """

    terms: dict[str, Floats]
    outside: Floats
    recent_volatility: Floats
    regime: Floats
    bar_volatility: float


def build_context(
    config: MarketConfig, news: pd.DataFrame, macro: pd.DataFrame, shocks: Shocks
) -> Context:
    """Work out all drivers that do not depend on the direction of past moves."""
    shape = shocks.size.shape
    recent = np.sqrt(_trailing_mean(shocks.size**2, _VOLATILITY_WINDOW))
    terms = {
        "calendar": np.broadcast_to(_calendar(config)[:, None], shape),
        "sentiment": decayed_sentiment(config, news) / _SENTIMENT_SPREAD,
    }
    for series, spread in MACRO_DRIVERS.items():
        change = bounded(latest_change(config, macro, series) / spread)
        terms[f"{series}_change"] = np.broadcast_to(change[:, None], shape)
    return Context(
        terms=terms,
        outside=weighted_sum(terms),
        recent_volatility=recent,
        regime=np.tanh(2.5 * np.log(recent / (_CALM * config.bar_volatility))),
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
) -> tuple[Floats, dict[str, Floats]]:
    """Walk the log prices forward, each direction drawn from its true probability.

    Parameters
    ----------
    threshold : ndarray of shape (n_bars, n_paths or 1, n_instruments)
        As in `Shocks`, for independent paths.
    scale : ndarray of shape (n_paths, 1)
        Factor on the weighted sum of the drivers.

    Returns
    -------
    log_price : ndarray of shape (n_bars + 1, n_paths, n_instruments)
        The first row is the opening of the first bar, 0.
    terms : mapping of driver to ndarray of shape (n_bars, n_paths, n_instruments)
        The drivers that depend on the path.

    Notes
    -----
    The opening bar's own direction is a coin flip: nothing was published before it.
    """
    n_bars, n_instruments = shocks.size.shape
    price = np.zeros((n_bars + 1, len(scale), n_instruments))
    terms = {name: np.zeros(price[1:].shape) for name in _PATH}
    logit = np.zeros(price[0].shape)
    for bar in range(n_bars):
        up = threshold[bar] < logit
        price[bar + 1] = price[bar] + np.where(up, shocks.size[bar], -shocks.size[bar])
        now = _path_terms(context, price, bar)
        logit = scale * (context.outside[bar] + weighted_sum(now))
        for name, values in now.items():
            terms[name][bar] = values
    return price, terms


def _path_terms(context: Context, price: Floats, bar: int) -> dict[str, Floats]:
    closes = price[max(1, bar + 2 - _BAND) : bar + 2]
    last = price[bar + 1]
    spread = np.maximum(closes.std(axis=0), 1e-12)
    band = bounded((last - closes.mean(axis=0)) / spread / 1.15)
    short = (last - price[max(0, bar - 2)]) / (1.75 * context.recent_volatility[bar])
    slow = (last - price[max(0, bar - 5)]) / (1.7 * context.bar_volatility)
    apart = slow - slow.mean(axis=-1, keepdims=True)
    return {
        "regime_momentum": -1.6 * bounded(short) * context.regime[bar],
        "band_position": band,
        "cross_section": bounded(apart),
        "sentiment_at_band": bounded(context.terms["sentiment"][bar]) * band,
    }
