"""What every column of returns, volatility and of the volatility window means, in plain Python."""

from __future__ import annotations

from math import log, sqrt

from scipy.stats import t as student

from tests.dexml.features.oracles.chart import DAY, Chart, mean
from tests.dexml.features.oracles.seen import Oracle, Seen


def move(c: Chart, t: int, n: int = 1) -> float:
    return log(c.close[t] / c.close[t - n])


def rms(c: Chart, t: int, n: int) -> float:
    return sqrt(mean([move(c, k) ** 2 for k in range(t - n + 1, t + 1)]))


def sigma(c: Chart, t: int) -> float:
    """Return the exponentially weighted volatility: each bar counts 16/17 of the one after it."""
    weights = [(16 / 17) ** k for k in range(t)]
    squares = [w * move(c, t - k) ** 2 for k, w in enumerate(weights)]
    return sqrt(sum(squares) / sum(weights))


def scaled(s: Seen, n: int) -> float:
    return move(s.chart, s.t, n) / (sigma(s.chart, s.t) * sqrt(n))


def regime(s: Seen) -> float:
    x = 4 * log(rms(s.chart, s.t, 24) / rms(s.chart, s.t, 168))
    return x / (1 + abs(x))


def widening(s: Seen) -> float:
    """Return the volatility of 6 bars over that of 24, as a log; 0 where nothing moved."""
    short, long = rms(s.chart, s.t, 6), rms(s.chart, s.t, 24)
    return log(short / long) if short and long else 0.0


def place(s: Seen, n: int) -> float:
    c, window = s.chart, slice(s.t - n + 1, s.t + 1)
    low, high = min(c.low[window]), max(c.high[window])
    return (c.close[s.t] - low) / (high - low) if high > low else 0.5


def body(s: Seen) -> float:
    c, t = s.chart, s.t
    span = c.high[t] - c.low[t]
    return (c.close[t] - c.open[t]) / span if span else 0.0


def location(s: Seen) -> float:
    c, t = s.chart, s.t
    span = c.high[t] - c.low[t]
    return (c.close[t] - c.low[t]) / span if span else 0.5


def hours_before(s: Seen) -> list[float]:
    """Return the moves of the last 14 days at the hour of the bar that comes next."""
    c = s.chart
    return [move(c, c.row(s.at + c.step - day * DAY)) for day in range(1, 15)]


def usual_size(s: Seen) -> float:
    week = mean([abs(move(s.chart, k)) for k in range(s.t - 167, s.t + 1)])
    return min(max(mean([abs(one) for one in hours_before(s)]) / week, 0.25), 4.0)


def usual_sign(s: Seen) -> float:
    return mean(hours_before(s)) / rms(s.chart, s.t, 168)


def unit(s: Seen) -> float:
    return sigma(s.chart, s.t) * s.chart.close[s.t]


def staying(s: Seen) -> float:
    """Return how far the close is from the mean of the 19 that stay in the window."""
    return (s.chart.close[s.t] - mean(s.chart.close[s.t - 18 : s.t + 1])) / unit(s)


def leaving(s: Seen) -> float:
    """Return how far the close that leaves the window is from the mean of those that stay."""
    stay = mean(s.chart.close[s.t - 18 : s.t + 1])
    return abs(s.chart.close[s.t - 19] - stay) / unit(s)


def widens(s: Seen, season: float) -> float:
    """Return the probability that the next close is farther from the mean than what leaves."""
    scale, at, edge = season / sqrt(2), staying(s), leaving(s)
    return float(student.sf((edge - at) / scale, 4) + student.cdf((-edge - at) / scale, 4))


def dispersion(s: Seen) -> float:
    window = s.chart.close[s.t - 19 : s.t + 1]
    middle = mean(window)
    return sqrt(mean([(x - middle) ** 2 for x in window])) / unit(s)


ORACLES: dict[str, Oracle] = {
    "return_1": lambda s: move(s.chart, s.t, 1),
    "return_2": lambda s: move(s.chart, s.t, 2),
    "return_3": lambda s: move(s.chart, s.t, 3),
    "return_6": lambda s: move(s.chart, s.t, 6),
    "return_12": lambda s: move(s.chart, s.t, 12),
    "return_24": lambda s: move(s.chart, s.t, 24),
    "return_72": lambda s: move(s.chart, s.t, 72),
    "momentum_1": lambda s: scaled(s, 1),
    "momentum_3": lambda s: scaled(s, 3),
    "momentum_6": lambda s: scaled(s, 6),
    "momentum_24": lambda s: scaled(s, 24),
    "momentum_1_x_regime": lambda s: scaled(s, 1) * regime(s),
    "momentum_3_x_regime": lambda s: scaled(s, 3) * regime(s),
    "momentum_6_x_regime": lambda s: scaled(s, 6) * regime(s),
    "volatility_6": lambda s: rms(s.chart, s.t, 6),
    "volatility_24": lambda s: rms(s.chart, s.t, 24),
    "volatility_168": lambda s: rms(s.chart, s.t, 168),
    "volatility_ratio_6_24": widening,
    "volatility_regime": regime,
    "bar_body": body,
    "bar_location": location,
    "range_last": lambda s: log(s.chart.high[s.t] / s.chart.low[s.t]),
    "range_position_20": lambda s: place(s, 20),
    "range_position_72": lambda s: place(s, 72),
    "volatility_closed_form": lambda s: widens(s, 1.0),
    "volatility_closed_form_seasonal": lambda s: widens(s, 0.5 + 0.5 * usual_size(s)),
    "leaving_distance": leaving,
    "staying_distance": lambda s: abs(staying(s)),
    "window_dispersion": dispersion,
    "volatility_same_hour": usual_size,
    "return_same_hour": usual_sign,
}
