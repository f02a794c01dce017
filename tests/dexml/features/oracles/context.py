"""What every column of news, macro and social series means, in plain Python."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import nan, sqrt
from statistics import median_high

from tests.dexml.features.oracles.chart import DAY, HOUR, mean
from tests.dexml.features.oracles.prices import place, regime, scaled
from tests.dexml.features.oracles.seen import Headline, Oracle, Release, Seen

HOURS = {"1h": 1, "6h": 6, "24h": 24, "7d": 168}
OWN = "mean_6h mean_24h mean_7d count_1h count_24h decay_1h decay_6h decay_24h decay_7d"
MARKET = "mean_24h count_6h count_7d decay_6h decay_24h decay_7d"


def heard(s: Seen, about: str) -> list[Headline]:
    """Return what was known, newest last: of the instrument, of any of the market, or all."""
    known = [one for one in s.market.headlines if one.known_at <= s.at]
    if about == "own":
        return [one for one in known if s.name in one.names]
    return [one for one in known if about == "market" or one.names & set(s.market.charts)]


def begun(s: Seen, about: str) -> bool:
    """Tell whether there was any headline yet; but for all of them, any that names one."""
    return bool(heard(s, "market" if about == "market" else "named"))


def recent(s: Seen, about: str, window: str) -> list[Headline]:
    return [one for one in heard(s, about) if one.known_at > s.at - HOURS[window] * HOUR]


def average(s: Seen, about: str, window: str) -> float:
    scores = [one.score for one in recent(s, about, window)]
    return mean(scores) if scores else nan


def dispersion(s: Seen, about: str, window: str) -> float:
    scores = [one.score for one in recent(s, about, window)]
    middle = average(s, about, window)
    return sqrt(mean([(x - middle) ** 2 for x in scores])) if len(scores) > 1 else nan


def decay(s: Seen, about: str, window: str) -> float:
    """Weigh each by half for every quarter of the window; an imaginary one says nothing."""
    half_life, found = HOURS[window] * HOUR / 4, recent(s, about, window)
    weights = [0.5 ** ((s.at - one.known_at) / half_life) for one in found]
    scored = zip(weights, found, strict=True)
    return sum(w * one.score for w, one in scored) / (1 + sum(weights))


def number(s: Seen, about: str, window: str) -> float:
    return len(recent(s, about, window))


KINDS = {"mean": average, "count": number, "decay": decay, "dispersion": dispersion}


def news(about: str, name: str) -> Oracle:
    kind, window = name.split("_")
    return lambda s: KINDS[kind](s, about, window) if begun(s, about) else nan


STATES: dict[str, Oracle] = {
    "range": lambda s: 2 * place(s, 20) - 1,
    "momentum": lambda s: scaled(s, 3),
    "regime": regime,
}


def times(one: Oracle, other: Oracle) -> Oracle:
    return lambda s: one(s) * other(s)


def known(s: Seen, series: str) -> list[Release]:
    return [one for one in s.market.releases[series] if one.known_at <= s.at]


def periods(s: Seen, series: str) -> dict[float, float]:
    """Return the last 21 periods and what is said of each now."""
    said = {one.period_at: one.value for one in known(s, series)}
    return {period: said[period] for period in sorted(said)[-21:]}


def value(series: str, s: Seen) -> float:
    return [nan, *periods(s, series).values()][-1]


def change(series: str, s: Seen) -> float:
    said = [nan, nan, *periods(s, series).values()]
    return said[-1] - said[-2]


def change_before(series: str, s: Seen) -> float:
    said = [nan, nan, nan, *periods(s, series).values()]
    return said[-2] - said[-3]


def z_score(series: str, s: Seen) -> float:
    said = [*periods(s, series).values()]
    spread = sqrt(mean([(x - mean(said)) ** 2 for x in said])) if said else 0.0
    return (said[-1] - mean(said)) / spread if len(said) > 4 and spread else nan


def age(series: str, s: Seen) -> float:
    return (s.at - max(periods(s, series))) / DAY


def stale(series: str, s: Seen) -> bool:
    """Tell whether nothing came for four usual periods; of one alone a week is usual."""
    said = sorted(periods(s, series))
    gaps = [b - a for a, b in pairwise(said)]
    usual = median_high(gaps) if gaps else 7 * DAY
    return s.at - known(s, series)[-1].known_at > 4 * usual


def oldest(kind: str, s: Seen) -> float:
    ages = [age(series, s) for series in of_kind(kind, s) if known(s, series)]
    return max(ages, default=nan)


def n_stale(kind: str, s: Seen) -> float:
    told = [series for series in of_kind(kind, s) if known(s, series)]
    return sum(stale(series, s) for series in told) if told else nan


def of_kind(kind: str, s: Seen) -> list[str]:
    social = kind == "social"
    return [name for name in s.market.releases if name.startswith("social_") == social]


FIELDS = {"value": value, "change": change, "change_lag_1": change_before, "z": z_score}


def series_oracles(series: str) -> dict[str, Oracle]:
    """Return what each column of a series means."""
    name = series if series.startswith("social_") else f"macro_{series}"
    moved = partial(change, series)
    return {
        **{f"{name}_{field}": partial(oracle, series) for field, oracle in FIELDS.items()},
        f"{name}_change_x_range": times(moved, STATES["range"]),
        f"{name}_change_x_momentum": times(moved, STATES["momentum"]),
    }


ORACLES: dict[str, Oracle] = {
    **{f"news_own_{name}": news("own", name) for name in (*OWN.split(), "dispersion_24h")},
    **{f"news_named_{name}": news("named", name) for name in ("decay_6h", "decay_24h")},
    **{f"news_market_{name}": news("market", name) for name in (*MARKET.split(), "dispersion_7d")},
    **{
        f"news_own_decay_24h_x_{name}": times(news("own", "decay_24h"), state)
        for name, state in STATES.items()
    },
    **{f"{kind}_oldest_age": partial(oldest, kind) for kind in ("macro", "social")},
    **{f"{kind}_n_stale": partial(n_stale, kind) for kind in ("macro", "social")},
}
