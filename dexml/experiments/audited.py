"""What `dexml audit` looks at: the store, recorded files, or a built-in market with everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from dexml.data.storage.joining import join
from dexml.data.storage.store import Store
from dexml.domain import MACRO_COLUMNS, SOCIAL, Bars, History, Timeframe
from dexml.experiments.sources import newest, plant_market, shared_bars

__all__ = ["Audited", "Parts", "built_in_market", "not_audited", "of_files", "of_store"]

Parts = tuple[Mapping[str, Bars], Mapping[str, str]]

_N_BARS = 3_000
_VENUES = ("binance", "coinbaseexchange", "kraken")  # the last two quote dollars
_REFUSED_ROWS = (0.3, 0.6, 0.97)  # where in the history an exchange sends a wrong bar


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Audited:
    """A history, where it is from, and what each exchange said of it.

    Attributes
    ----------
    source : str
        For people: "the built-in market".
    parts : mapping of instrument to (bars by exchange, quote currencies)
        As `consolidate` takes them; empty for files.
    """

    source: str
    history: History
    parts: Mapping[str, Parts] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return what there is, as JSON-able values."""
        bars = [one for one in self.history.bars.values() if len(one)]
        venues = {venue for parts, _ in self.parts.values() for venue in parts}
        return {
            "source": self.source,
            "instruments": sorted(one.instrument for one in bars),
            "timeframe": str(self.history.timeframe),
            "bars": sum(len(one) for one in bars),
            "first": str(pd.Timestamp(min(one.closed_at[0] for one in bars), tz="UTC")),
            "last": str(pd.Timestamp(max(one.closed_at[-1] for one in bars), tz="UTC")),
            "exchanges": sorted(venues),
            "headlines": len(self.history.news),
            "series": sorted(map(str, self.history.macro["series"].unique())),
            "refused_bars": len(self.history.refused),
        }


def of_files(paths: tuple[Path, ...], symbols: tuple[str, ...], n_bars: int = _N_BARS) -> Audited:
    """Return the newest bars of recorded files, in the range that all of them share."""
    history = History(bars=newest(shared_bars(paths, symbols), n_bars))
    return Audited(source="recorded files", history=history)


def of_store(
    path: str | Path,
    symbols: Sequence[str] = (),
    timeframe: Timeframe = Timeframe.H1,
    n_bars: int = _N_BARS,
) -> Audited | None:
    """Return what a store holds: the newest bars of each instrument, from all its exchanges.

    Parameters
    ----------
    symbols : sequence of str
        None: all that there are.
    timeframe : Timeframe
        If there are no bars of it, the shortest one there is.

    Returns
    -------
    Audited or None
        None if it holds no bars.

    Raises
    ------
    DataError
        If a symbol is not there.
    """
    store = Store(path)
    series = store.series()
    if not series:
        return None
    steps = {step for *_, step in series}
    step = timeframe if timeframe in steps else min(steps, key=lambda one: one.seconds)
    there = [(venue, name) for venue, name, one in series if one == step]
    names = tuple(symbols) or tuple(sorted({name for _, name in there}))
    venues = sorted({venue for venue, _ in there})
    parts = {name: _newest(store.parts(venues, name, step), n_bars, step) for name in names}
    joined = join(parts, {})
    history = History(
        bars={name: one.bars for name, one in joined.items()},
        news=store.news(naming=names),
        macro=store.macro(),
        venue_closes={name: one.closes for name, one in joined.items() if len(one.parts) > 1},
        refused=store.refused(venues, names, step),
    )
    return Audited(source=f"the store {path}", history=_up_to_its_end(history), parts=parts)


def _newest(parts: Parts, n_bars: int, step: Timeframe) -> Parts:
    bars, quotes = parts
    last = max(one.closed_at[-1] for one in bars.values())
    since = last - np.timedelta64(n_bars * step.seconds, "s")
    kept = {
        venue: one.take(slice(int(np.searchsorted(one.closed_at, since, side="right")), None))
        for venue, one in bars.items()
    }
    there = {venue: one for venue, one in kept.items() if len(one)}
    return there, {venue: quote for venue, quote in quotes.items() if venue in there}


# What was told after the last bar changes no row.
def _up_to_its_end(history: History) -> History:
    return history.until(max(bars.closed_at[-1] for bars in history.bars.values()))


def built_in_market(symbols: tuple[str, ...], *, seed: int, n_bars: int = _N_BARS) -> Audited:
    """Return a market that has of everything that features are made from.

    Planted prices at three exchanges with holes, two of them in dollars, bars that nobody believed,
    headlines, macro series with revisions and a social series; put together by a real store.
    """
    market = plant_market(symbols, n_bars=n_bars, seed=seed, bayes_accuracy=0.70).history
    generator = np.random.default_rng([seed, 1])
    with TemporaryDirectory() as folder:
        store = Store(folder)
        for k, venue in enumerate(_VENUES):
            closes = {name: _quoted(bars, k, generator) for name, bars in market.bars.items()}
            store.append_closes(venue, closes)
        store.append_news(market.news)
        store.append_macro(_with_revisions(market.macro))
        store.append_macro(_social(next(iter(market.bars.values())), generator))
        found = of_store(folder, tuple(market.bars), market.timeframe, n_bars)
    assert found is not None  # it was just written
    return Audited(source="the built-in market", history=found.history, parts=found.parts)


# Each exchange is a little off, has missed some bars and, once or thrice, sent nonsense.
def _quoted(bars: Bars, k: int, generator: np.random.Generator) -> Bars:
    n_bars = len(bars)
    basis = np.exp(np.cumsum(generator.normal(0.0, 1e-5, n_bars))) * (0.999 if k else 1.0)
    frame = bars.frame()
    prices = frame[["open", "high", "low", "close"]].mul(
        basis * (1.0 + generator.normal(0.0, 3e-4, n_bars)), axis=0
    )
    frame = prices.assign(volume=frame["volume"] * generator.uniform(0.1, 1.0, n_bars))
    if k == 1:
        wrong = frame.index[[int(share * n_bars) for share in _REFUSED_ROWS]]
        frame.loc[wrong, ["open", "high", "low", "close"]] *= 1_000.0
    kept = generator.random(n_bars) > 0.02 * (k + 1)
    kept[n_bars // 2 : n_bars // 2 + 3] = False  # nobody heard anything for three bars
    kept[-1] = True
    return Bars.from_frame(bars.instrument, bars.timeframe, frame[kept])


def _with_revisions(macro: pd.DataFrame) -> pd.DataFrame:
    revised = macro[macro["series"] == "vix"].iloc[::3]
    later = revised["known_at"] + pd.Timedelta(hours=5)
    again = revised.assign(known_at=later, value=revised["value"] + 0.1)
    return pd.concat([macro, again], ignore_index=True)


def _social(bars: Bars, generator: np.random.Generator) -> pd.DataFrame:
    kept = generator.random(len(bars)) > 0.1
    ended = pd.DatetimeIndex(bars.closed_at[kept], tz="UTC")
    frame = pd.DataFrame(
        {
            "series": f"{SOCIAL}{bars.instrument.split('/')[0].lower()}",
            "period_at": ended - bars.timeframe.step,
            "known_at": ended + pd.Timedelta(minutes=20),
            "value": generator.uniform(-1.0, 1.0, len(ended)).round(3),
        }
    )
    return frame[list(MACRO_COLUMNS)]


def not_audited(audited: Audited, empty: Sequence[str]) -> dict[str, str]:
    """Return what is registered and was not looked at, with the reason.

    Parameters
    ----------
    empty : sequence of str
        Columns without a single value.
    """
    history = audited.history
    series = history.macro["series"].astype(str)
    social = series.str.startswith(SOCIAL)
    reasons = {
        "venue_*": ("no instrument has bars of several exchanges", not history.venue_closes),
        "consolidation": ("the bars are of one exchange", not history.venue_closes),
        "news_*": ("there are no headlines", not len(history.news)),
        "macro_*": ("there are no macro series", bool(social.all())),
        f"{SOCIAL}*": ("there are no social series", not social.any()),
    }
    found = {name: reason for name, (reason, missing) in reasons.items() if missing}
    return found | dict.fromkeys(empty, "it has no value on these bars")
