"""What every column about other instruments, exchanges and the data's health means."""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt
from statistics import median

from tests.dexml.features.oracles.chart import HOUR, Chart, mean
from tests.dexml.features.oracles.prices import move, rms
from tests.dexml.features.oracles.seen import Oracle, Seen

FLOOR = 24 * 1e-5**2  # a tenth of a basis point, over 24 bars


def together(s: Seen, value: Callable[[Chart, int], float]) -> dict[str, float]:
    """Return a value of each instrument that closed a bar at this instant."""
    charts = s.market.charts.items()
    return {name: value(c, c.at.index(s.at)) for name, c in charts if s.at in c.at}


def moves(s: Seen, n: int) -> dict[str, float]:
    return together(s, lambda c, t: move(c, t, n))


def deviation(values: dict[str, float]) -> float:
    middle = mean([*values.values()])
    return sqrt(mean([(x - middle) ** 2 for x in values.values()]))


def market_move(s: Seen, n: int) -> float:
    return mean([*moves(s, n).values()])


def relative(s: Seen, n: int) -> float:
    spread = deviation(moves(s, n))
    return (moves(s, n)[s.name] - market_move(s, n)) / spread if spread else 0.0


def rank(s: Seen, n: int) -> float:
    """Return the share of the others that did worse; a tie counts half, alone is the middle."""
    own = moves(s, n)
    others = [x for name, x in own.items() if name != s.name]
    beaten = [1.0 if x < own[s.name] else 0.5 if x == own[s.name] else 0.0 for x in others]
    return mean(beaten) if beaten else 0.5


def relative_volatility(s: Seen) -> float:
    sigmas = together(s, lambda c, t: rms(c, t, 24))
    return sigmas[s.name] / mean([*sigmas.values()])


def quotes(s: Seen, t: int) -> dict[str, float]:
    """Return the close of bar t at each exchange that had one."""
    venues = s.market.venues.get(s.name, {})
    return {
        venue: closes[s.chart.at[t]] for venue, closes in venues.items() if s.chart.at[t] in closes
    }


def apart(s: Seen, t: int) -> dict[str, float]:
    """Return how far each exchange is from the middle one."""
    told = quotes(s, t)
    return {venue: log(close / median(told.values())) for venue, close in told.items()}


def spread(s: Seen) -> float:
    found = apart(s, s.t)
    return sqrt(mean([x**2 for x in found.values()])) if found else 0.0


def skew(s: Seen) -> float:
    told = quotes(s, s.t)
    return log(s.chart.close[s.t] / median(told.values())) if told else 0.0


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


def agreement(s: Seen) -> float:
    now, before = quotes(s, s.t), quotes(s, s.t - 1)
    told = [log(now[venue] / before[venue]) for venue in now if venue in before]
    return mean([float(sign(x) == sign(median(told))) for x in told]) if told else 0.5


def pairs(s: Seen, venue: str) -> list[tuple[float, float, float]]:
    """Return deviation, next return and change of deviation over 24 bars, where there are both."""
    found = []
    for t in range(s.t - 23, s.t + 1):
        before, now = apart(s, t - 1), apart(s, t)
        if venue in before and venue in now:
            found.append((before[venue], move(s.chart, t), now[venue] - before[venue]))
    return found


def covariance(rows: list[tuple[float, float, float]], k: int) -> float:
    """Return the sum of products of the deviation and column k, each from its mean."""
    x, y = mean([row[0] for row in rows]), mean([row[k] for row in rows])
    return sum((row[0] - x) * (row[k] - y) for row in rows)


def told(s: Seen) -> dict[str, list[tuple[float, float, float]]]:
    found = {venue: pairs(s, venue) for venue in s.market.venues.get(s.name, {})}
    return {venue: rows for venue, rows in found.items() if rows}


def reversion(s: Seen) -> float:
    undone = -sum(covariance(rows, 2) for rows in told(s).values())
    return undone / (sum(covariance(rows, 0) for rows in told(s).values()) + FLOOR)


def leads(s: Seen) -> dict[str, float]:
    found = told(s).items()
    return {v: covariance(rows, 1) / (covariance(rows, 0) + FLOOR) for v, rows in found}


def lead(s: Seen) -> float:
    found = leads(s).values()
    return max(found) - min(found) if found else 0.0


def pull(s: Seen) -> float:
    now, rows = apart(s, s.t), told(s)
    usual = {venue: mean([row[0] for row in some]) for venue, some in rows.items()}
    parts = [x * (now[v] - usual[v]) for v, x in leads(s).items() if v in now]
    return sum(parts) / max(len(now), 1)


def doubted(s: Seen, at: int) -> bool:
    """Tell whether a bar was refused by now, or exchanges disagreed by over a twentieth."""
    row = s.chart.at.index(at)
    closes = quotes(s, row).values()
    refusals = [r for r in s.market.refused if r.name == s.name and r.closed_at == at]
    disputed = len(closes) > 1 and max(closes) / min(closes) - 1 > 0.05
    return disputed or any(r.known_at <= s.at for r in refusals)


def health(s: Seen) -> float:
    last = [at for at in s.chart.at if s.at - 24 * HOUR < at <= s.at]
    return sum(not doubted(s, at) for at in last) / 24


ORACLES: dict[str, Oracle] = {
    "market_return_1": lambda s: market_move(s, 1),
    "market_return_6": lambda s: market_move(s, 6),
    "market_return_24": lambda s: market_move(s, 24),
    "relative_return_1": lambda s: relative(s, 1),
    "relative_return_6": lambda s: relative(s, 6),
    "relative_return_24": lambda s: relative(s, 24),
    "return_rank_1": lambda s: rank(s, 1),
    "return_rank_24": lambda s: rank(s, 24),
    "return_dispersion_1": lambda s: deviation(moves(s, 1)),
    "relative_volatility_24": relative_volatility,
    "venue_count": lambda s: len(quotes(s, s.t)),
    "venue_spread": spread,
    "venue_deviation": skew,
    "venue_agreement": agreement,
    "venue_reversion_24": reversion,
    "venue_lead_24": lead,
    "venue_pull_24": pull,
    "data_health": health,
}
