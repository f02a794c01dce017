"""What every column of volume, of the calendar and of higher timeframes means, in plain Python."""

from __future__ import annotations

from datetime import UTC, datetime
from math import cos, log, pi, sin

from tests.dexml.features.oracles.chart import DAY, HOUR, Chart, mean
from tests.dexml.features.oracles.seen import Oracle, Seen

WEEK = 7 * DAY


def size(c: Chart, t: int) -> float:
    """Return the log volume; an empty bar counts as a thousandth of the mean of a day."""
    return log(max(c.volume[t], mean(c.volume[t - 23 : t + 1]) / 1_000, 1e-12))


def sizes(s: Seen, n: int) -> float:
    return mean([size(s.chart, k) for k in range(s.t - n + 1, s.t + 1)])


def then(s: Seen, seconds: int) -> float:
    """Return the log volume of the bar that was the last so many seconds from this close."""
    return size(s.chart, s.chart.row(s.at + seconds))


def daily(s: Seen, bars: int) -> float:
    """Return the mean of the last 14 days at the hour of this bar, or of one beside it."""
    return mean([then(s, bars * s.chart.step - day * DAY) for day in range(1, 15)])


def weekly(s: Seen, bars: int) -> float:
    return mean([then(s, bars * s.chart.step - k * WEEK) for k in (1, 2)])


def effort(c: Chart, t: int) -> float:
    """Return the log volume less the log of the range in basis points over one."""
    return size(c, t) - log(1e-4 + log(c.high[t] / c.low[t]))


def efforts(s: Seen) -> float:
    return mean([effort(s.chart, k) for k in range(s.t - 23, s.t + 1)])


def opens(s: Seen) -> datetime:
    """Return when the next bar opens."""
    return datetime.fromtimestamp(s.at, UTC)


def hours(s: Seen) -> float:
    return opens(s).weekday() * 24 + opens(s).hour


def turn(s: Seen, period: int) -> float:
    return 2 * pi * hours(s) / period


def higher(s: Seen, seconds: int) -> list[tuple[float, float, float]]:
    """Return high, low and close of the higher bars that have closed, aligned to UTC."""
    c, found = s.chart, {}
    for t in range(s.t + 1):
        end = -(-c.at[t] // seconds) * seconds
        high, low, _ = found.get(end, (0.0, float("inf"), 0.0))
        found[end] = max(high, c.high[t]), min(low, c.low[t]), c.close[t]
    return [found[end] for end in sorted(found) if end <= s.at]


def moved(s: Seen, seconds: int, n: int) -> float:
    bars = higher(s, seconds)
    return log(bars[-1][2] / bars[-1 - n][2])


def place(s: Seen, seconds: int, n: int) -> float:
    bars = higher(s, seconds)[-n:]
    high, low = max(bar[0] for bar in bars), min(bar[1] for bar in bars)
    return (bars[-1][2] - low) / (high - low) if high > low else 0.5


def day_range(s: Seen) -> float:
    spans = [log(high / low) for high, low, _ in higher(s, DAY)[-8:]]
    return log(spans[-1] / mean(spans[:-1]))


ORACLES: dict[str, Oracle] = {
    "volume_ratio_1": lambda s: size(s.chart, s.t) - size(s.chart, s.t - 1),
    "volume_ratio_2": lambda s: size(s.chart, s.t) - size(s.chart, s.t - 2),
    "volume_ratio_24": lambda s: size(s.chart, s.t) - sizes(s, 24),
    "volume_ratio_24_168": lambda s: sizes(s, 24) - sizes(s, 168),
    "volume_yesterday": lambda s: then(s, s.chart.step - DAY) - then(s, 0),
    "volume_last_week": lambda s: then(s, s.chart.step - WEEK) - then(s, 0),
    "volume_week_before": lambda s: then(s, s.chart.step - 2 * WEEK) - then(s, 0),
    "volume_day_season": lambda s: daily(s, 1) - daily(s, 0),
    "volume_week_season": lambda s: weekly(s, 1) - weekly(s, 0),
    "volume_residual": lambda s: then(s, 0) - daily(s, 0),
    "volume_residual_previous": lambda s: size(s.chart, s.t - 1) - daily(s, -1),
    "volume_residual_week": lambda s: then(s, 0) - weekly(s, 0),
    "volume_range_24": lambda s: effort(s.chart, s.t) - efforts(s),
    "next_hour": lambda s: opens(s).hour,
    "next_weekday": lambda s: opens(s).weekday(),
    "next_hour_of_week": hours,
    "next_day_sin": lambda s: sin(turn(s, 24)),
    "next_day_cos": lambda s: cos(turn(s, 24)),
    "next_half_day_sin": lambda s: sin(turn(s, 12)),
    "next_half_day_cos": lambda s: cos(turn(s, 12)),
    "next_week_sin": lambda s: sin(turn(s, 168)),
    "next_week_cos": lambda s: cos(turn(s, 168)),
    "h4_return_1": lambda s: moved(s, 4 * HOUR, 1),
    "h4_return_6": lambda s: moved(s, 4 * HOUR, 6),
    "h4_range_position_20": lambda s: place(s, 4 * HOUR, 20),
    "d1_return_1": lambda s: moved(s, DAY, 1),
    "d1_return_7": lambda s: moved(s, DAY, 7),
    "d1_range_position_14": lambda s: place(s, DAY, 14),
    "d1_distance": lambda s: log(s.chart.close[s.t] / higher(s, DAY)[-1][2]),
    "d1_range_ratio": day_range,
}
