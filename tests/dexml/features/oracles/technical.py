"""The published definition of every technical column, in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log, nan, sqrt

from tests.dexml.features.oracles.chart import (
    Chart,
    Series,
    back,
    ema,
    mean,
    span,
    wilder,
    windowed,
)


def true_range(c: Chart) -> Series:
    moves = [
        max(c.high[t] - c.low[t], abs(c.high[t] - c.close[t - 1]), abs(c.low[t] - c.close[t - 1]))
        for t in c.rows[1:]
    ]
    return [nan, *moves]


def atr(c: Chart) -> Series:
    return wilder(true_range(c))


def rsi(c: Chart) -> Series:
    moves = [b - a for a, b in zip(c.close, c.close[1:], strict=False)]
    up, down = (wilder(max(0.0, side * move) for move in moves) for side in (1, -1))
    return [nan, *(100 * u / (u + d) if u + d else nan for u, d in zip(up, down, strict=True))]


def highest(c: Chart, n: int) -> Series:
    return windowed(max, c.high, n)


def lowest(c: Chart, n: int) -> Series:
    return windowed(min, c.low, n)


def slow_k(c: Chart) -> Series:
    high, low = highest(c, 5), lowest(c, 5)
    fast = [100 * (c.close[t] - low[t]) / (high[t] - low[t]) for t in c.rows]
    return windowed(mean, fast, 3)


def willr(c: Chart) -> Series:
    high, low = highest(c, 14), lowest(c, 14)
    return [-100 * (high[t] - c.close[t]) / (high[t] - low[t]) for t in c.rows]


def macd(c: Chart) -> Series:
    fast, slow = ema(c.close, span(12)), ema(c.close, span(26))
    return [a - b for a, b in zip(fast, slow, strict=True)]


def signal(c: Chart) -> Series:
    return ema(macd(c), span(9))


def adx(c: Chart) -> Series:
    up = [b - a for a, b in zip(c.high, c.high[1:], strict=False)]
    down = [a - b for a, b in zip(c.low, c.low[1:], strict=False)]
    both = list(zip(up, down, strict=True))
    plus = wilder(u if u > d and u > 0 else 0.0 for u, d in both)
    minus = wilder(d if d > u and d > 0 else 0.0 for u, d in both)
    index = (100 * abs(p - m) / (p + m) if p + m else nan for p, m in zip(plus, minus, strict=True))
    return [nan, *wilder(index)]


def aroon(values: Series, sign: int) -> Series:
    def share(window: Series) -> float:
        return 100 * max(range(15), key=lambda k: sign * window[k]) / 14

    return windowed(share, values, 15)


def obv(c: Chart) -> Series:
    level, out = c.volume[0], [c.volume[0]]
    for before, now, volume in zip(c.close, c.close[1:], c.volume[1:], strict=False):
        level += volume if now > before else -volume if now < before else 0.0
        out.append(level)
    return out


def ad(c: Chart) -> Series:
    level, out = 0.0, []
    for t in c.rows:
        gap = (c.close[t] - c.low[t]) - (c.high[t] - c.close[t])
        level += gap / (c.high[t] - c.low[t]) * c.volume[t]
        out.append(level)
    return out


def adosc(c: Chart) -> Series:
    fast, slow = ema(ad(c), span(3)), ema(ad(c), span(10))
    return [a - b for a, b in zip(fast, slow, strict=True)]


def band(c: Chart, deviations: float) -> Series:
    def edge(window: Series) -> float:
        middle = mean(window)
        return middle + deviations * sqrt(mean([(x - middle) ** 2 for x in window]))

    return windowed(edge, c.close, 20)


def body(c: Chart, t: int) -> float:
    return float(abs(c.close[t] - c.open[t]))


def usual(c: Chart, t: int, n: int) -> float:
    """Return the mean range of the n bars before bar t."""
    return mean([c.high[k] - c.low[k] for k in range(t - n, t)])


def doji(c: Chart) -> Series:
    return [nan] * 16 + [float(body(c, t) <= 0.1 * usual(c, t, 10)) for t in c.rows[16:]]


def is_hammer(c: Chart, t: int) -> bool:
    bottom, top = sorted((c.open[t], c.close[t]))
    return (
        body(c, t) < mean([body(c, k) for k in range(t - 10, t)])
        and bottom - c.low[t] > body(c, t)
        and c.high[t] - top < 0.1 * usual(c, t, 10)
        and bottom <= c.low[t - 1] + 0.2 * usual(c, t - 1, 5)
    )


def hammer(c: Chart) -> Series:
    return [nan] * 16 + [float(is_hammer(c, t)) for t in c.rows[16:]]


def engulfing(c: Chart) -> Series:
    def sign(t: int) -> float:
        way = 1 if c.close[t] >= c.open[t] else -1
        against = (1 if c.close[t - 1] >= c.open[t - 1] else -1) == -way
        covers = way * (c.close[t] - c.open[t - 1]) >= 0 >= way * (c.open[t] - c.close[t - 1])
        return float(way * (against and covers))

    return [nan, *map(sign, c.rows[1:])]


DEFINITIONS: dict[str, Callable[[Chart], Series]] = {
    "sma_20": lambda c: windowed(mean, c.close, 20),
    "sma_50": lambda c: windowed(mean, c.close, 50),
    "sma_200": lambda c: windowed(mean, c.close, 200),
    "rsi_14": rsi,
    "stoch_k": slow_k,
    "stoch_d": lambda c: windowed(mean, slow_k(c), 3),
    "willr_14": willr,
    "macd": macd,
    "macd_signal": signal,
    "macd_histogram": lambda c: [a - b for a, b in zip(macd(c), signal(c), strict=True)],
    "adx_14": adx,
    "aroon_up": lambda c: aroon(c.high, 1),
    "aroon_down": lambda c: aroon(c.low, -1),
    "obv": obv,
    "ad": ad,
    "adosc": adosc,
    "atr_14": atr,
    "trange": true_range,
    "bbands_upper": lambda c: band(c, 2.0),
    "bbands_middle": lambda c: band(c, 0.0),
    "bbands_lower": lambda c: band(c, -2.0),
    "mom_10": lambda c: [a - b for a, b in zip(c.close, back(c.close, 10), strict=True)],
    "roc_10": lambda c: [
        100 * (a / b - 1) for a, b in zip(c.close, back(c.close, 10), strict=True)
    ],
    "ppo": lambda c: [100 * m / s for m, s in zip(macd(c), ema(c.close, span(26)), strict=True)],
    "cdl_doji": doji,
    "cdl_hammer": hammer,
    "cdl_engulfing": engulfing,
}

Row = Callable[[Chart, Mapping[str, Series], int], float]
FORMULAS: dict[str, Row] = {
    "sma_20_rel": lambda c, raw, t: log(c.close[t] / raw["sma_20"][t]),
    "sma_50_rel": lambda c, raw, t: log(c.close[t] / raw["sma_50"][t]),
    "sma_200_rel": lambda c, raw, t: log(c.close[t] / raw["sma_200"][t]),
    "macd_rel": lambda _, raw, t: raw["macd"][t] / raw["atr_14"][t],
    "macd_signal_rel": lambda _, raw, t: raw["macd_signal"][t] / raw["atr_14"][t],
    "macd_histogram_rel": lambda _, raw, t: raw["macd_histogram"][t] / raw["atr_14"][t],
    "obv_change_24": lambda c, raw, t: gained(raw["obv"], t) / sum(c.volume[t - 23 : t + 1]),
    "ad_change_24": lambda c, raw, t: gained(raw["ad"], t) / sum(c.volume[t - 23 : t + 1]),
    "adosc_rel": lambda c, raw, t: raw["adosc"][t] / mean(c.volume[t - 23 : t + 1]),
    "natr_14": lambda c, raw, t: 100 * raw["atr_14"][t] / c.close[t],
    "true_range_rel": lambda _, raw, t: raw["trange"][t] / raw["atr_14"][t],
    "bbands_width": lambda _, raw, t: width(raw, t) / raw["bbands_middle"][t],
    "bbands_position": lambda c, raw, t: (c.close[t] - raw["bbands_lower"][t]) / width(raw, t),
    "mom_10_rel": lambda _, raw, t: raw["mom_10"][t] / raw["atr_14"][t],
}


def gained(level: Series, t: int) -> float:
    return level[t] - level[t - 24]


def width(raw: Mapping[str, Series], t: int) -> float:
    return raw["bbands_upper"][t] - raw["bbands_lower"][t]
