"""Traded volume: hour-of-week season times slow activity times shock, and its true odds."""

from __future__ import annotations

import numpy as np
from scipy import special

from dexml.domain import Floats
from dexml.simulation.market.config import MarketConfig
from dexml.simulation.market.shocks import Shocks

__all__ = ["draw_log_volume", "season", "volume_rises"]

_MEMORY, _ACTIVITY, _SHOCK = 0.9, 0.18, 0.28  # of log volume: persistence, innovation, noise
_WITH_SIZE, _WITH_VOLATILITY = 0.22, 0.6  # louder on large moves and in wild hours


def season(config: MarketConfig) -> Floats:
    """Seasonal part of log volume by the hour in which a bar opens; one bar more than there are."""
    seconds = np.arange(config.n_bars + 1) * np.timedelta64(config.timeframe.seconds, "s")
    opened = config.closed_at[0] - np.timedelta64(config.timeframe.seconds, "s") + seconds
    epoch_hours = opened.astype("datetime64[h]").astype(np.int64)
    weekday = (epoch_hours // 24 + 3) % 7
    day = 0.40 * np.sin(2 * np.pi * (epoch_hours % 24 - 9) / 24)
    day += 0.15 * np.sin(4 * np.pi * (epoch_hours % 24 - 2) / 24)
    return np.asarray(day + np.where(weekday < 5, 0.1, -0.25))


def draw_log_volume(config: MarketConfig, shocks: Shocks) -> Floats:
    """Draw log volume less the instrument's own level, shape (n_bars, n_instruments)."""
    generator = config.generator(6)
    activity = _ACTIVITY * generator.standard_normal(shocks.size.shape)
    for bar in range(1, len(activity)):
        activity[bar] += _MEMORY * activity[bar - 1]
    noise = _SHOCK * generator.standard_normal(shocks.size.shape)
    return _priced(config, shocks) + activity + noise + _WITH_SIZE * shocks.score


def _priced(config: MarketConfig, shocks: Shocks) -> Floats:
    loud = _WITH_VOLATILITY * np.log(shocks.volatility / config.bar_volatility)
    return np.asarray(season(config)[:-1, None] + loud)


def volume_rises(
    config: MarketConfig, shocks: Shocks, log_volume: Floats, next_volatility: Floats
) -> Floats:
    """Probability that the next bar's volume is higher, given all bars so far.

    Notes
    -----
    Season, volatility and the size of each move follow from the bars, so what is left of log
    volume is an AR(1) in noise: the Kalman filter gives its exact normal law one bar ahead.

    References
    ----------
    Durbin and Koopman (2012), Time Series Analysis by State Space Methods, section 2.2.
    """
    left = log_volume - _priced(config, shocks) - _WITH_SIZE * shocks.score
    mean, variance = _filter(left)
    loud = _WITH_VOLATILITY * np.log(next_volatility / config.bar_volatility)
    expected = season(config)[1:, None] + loud + mean
    spread = np.sqrt(variance[:, None] + _SHOCK**2 + _WITH_SIZE**2)
    return np.asarray(special.ndtr((expected - log_volume) / spread))


def _filter(left: Floats) -> tuple[Floats, Floats]:
    mean, variance = np.zeros_like(left), np.zeros(len(left))
    ahead, ahead_variance = np.zeros(left.shape[1]), _ACTIVITY**2
    for bar in range(len(left)):
        gain = ahead_variance / (ahead_variance + _SHOCK**2)
        ahead = _MEMORY * (ahead + gain * (left[bar] - ahead))
        ahead_variance = _MEMORY**2 * (1.0 - gain) * ahead_variance + _ACTIVITY**2
        mean[bar], variance[bar] = ahead, ahead_variance
    return mean, variance
