"""A market year as the venue lived it: hourly rows of several instruments, drawn from one seed."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dexml.data.feeds.hearing import Row
from dexml.simulation.faults.kinds import Fault

__all__ = ["HOUR_S", "Market", "draw_market"]

HOUR_S = 3_600
_HOURLY = 0.01  # standard deviation of an hour's log return
_CRASH, _FLAT, _PAUSE = 1 / 400, 1 / 900, 1 / 1_500  # chances in an hour
_DAY = 24


@dataclass(frozen=True, slots=True)
class Market:
    """What really happened.

    Attributes
    ----------
    rows : dict of instrument to list
        One entry for each hour; None where the instrument did not trade.
    seen : dict of hour to list of Fault
        What the market did at that hour that counts as a fault.
    """

    start_s: int
    rows: dict[str, list[Row | None]]
    seen: dict[int, list[Fault]] = field(default_factory=dict)

    def row(self, name: str, hour: int) -> Row | None:
        """Return what happened in an hour; None if nothing was traded or it is not drawn."""
        rows = self.rows[name]
        return rows[hour] if 0 <= hour < len(rows) else None

    def rises(self, name: str, hour: int) -> bool:
        """Say whether the hour after `hour` closes higher; False where there is none."""
        now, then = self.row(name, hour), self.row(name, hour + 1)
        return now is not None and then is not None and then.close > now.close


def draw_market(
    rng: random.Random, names: Sequence[str], n_hours: int, start_s: int = 1_704_067_200
) -> Market:
    """Draw the hours of all instruments; the last but one is delisted in the second half.

    Examples
    --------
    >>> market = draw_market(random.Random(1), ("BTC/USDT", "ETH/USDT"), 500)
    >>> market.row("BTC/USDT", 0).opened_s, len(market.rows["ETH/USDT"])
    (1704067200, 500)
    """
    market = Market(start_s, {name: [] for name in names})
    gone = {names[-1]: rng.randrange(n_hours // 2, n_hours)} if len(names) > 2 else {}
    for place, name in enumerate(names):
        _live(rng, market, name, 10.0 * 7**place, n_hours, gone.get(name, n_hours))
    return market


def _live(
    rng: random.Random, market: Market, name: str, price: float, n_hours: int, gone: int
) -> None:
    calm = Counter[str]()
    for hour in range(n_hours):
        if hour == gone:
            market.seen.setdefault(hour, []).append(Fault.DELISTED)
        if hour >= gone or calm["pause"] > 0:
            calm["pause"] -= 1
            market.rows[name].append(None)
            continue
        row = _hour(rng, market, hour, price, calm)
        market.rows[name].append(row)
        price = row.close


def _hour(rng: random.Random, market: Market, hour: int, price: float, calm: Counter[str]) -> Row:
    opened_s = market.start_s + hour * HOUR_S
    calm["flat"] -= 1
    if rng.random() < _PAUSE:
        calm["pause"] = rng.randrange(1, 6)
    if rng.random() < _FLAT:
        calm["flat"] = _DAY
        market.seen.setdefault(hour, []).append(Fault.FLAT_DAY)
    if calm["flat"] > 0:
        return Row(opened_s, price, price, price, price, 0.0)
    move = rng.gauss(0.0, _HOURLY)
    if rng.random() < _CRASH:
        move = math.log(0.7)
        market.seen.setdefault(hour, []).append(Fault.CRASH)
    move -= 0.02 * math.log(price / 50.0) * _HOURLY  # a year of falls must not end at dust
    close = price * math.exp(move)
    high = max(price, close) * math.exp(abs(rng.gauss(0.0, _HOURLY / 3)))
    low = min(price, close) * math.exp(-abs(rng.gauss(0.0, _HOURLY / 3)))
    return Row(opened_s, price, high, low, close, rng.lognormvariate(5.0, 1.0))
