"""Headlines one close at a time: the aggregates of `news` from the last week alone."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Timeframe
from dexml.features.news import (
    HOUR_NS,
    NEWS_WINDOWS,
    PRIOR,
    SAME_STORY,
    half_life_ns,
    moments,
    nanoseconds,
    once,
    whole,
)
from dexml.features.rolling import rolling_sum

__all__ = ["LiveNews"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LONGEST_NS = max(NEWS_WINDOWS.values()) * HOUR_NS
_SAME_NS = SAME_STORY.value
_DAY_NS = 24 * HOUR_NS
_NEVER = np.iinfo(np.int64).max


class _Headline(NamedTuple):
    known_ns: int
    published_ns: int
    title: str
    story: str
    streams: tuple[int, ...]
    named: bool
    score: float


def _order(one: _Headline) -> tuple[int, int, str]:
    return one[:3]


class _Pairs:
    """Headlines that count, once for each stream that they belong to, in the order of `known`."""

    def __init__(self) -> None:
        self.known = np.empty(0, dtype=np.int64)
        self.stream = np.empty(0, dtype=np.int64)
        self.score = np.empty(0)
        self.whole = np.empty(0, dtype=np.int64)

    def add(self, headlines: Sequence[_Headline]) -> None:
        pairs = [(one.known_ns, k, one.score) for one in headlines for k in one.streams]
        if pairs:
            known, stream, score = zip(*pairs, strict=True)
            self.known = np.append(self.known, np.array(known, dtype=np.int64))
            self.stream = np.append(self.stream, np.array(stream, dtype=np.int64))
            self.score = np.append(self.score, np.array(score, dtype=np.float64))
            self.whole = np.append(self.whole, whole(np.array(score, dtype=np.float64)))

    def forget(self, until_ns: int) -> None:
        first = int(np.searchsorted(self.known, until_ns, side="right"))
        self.known, self.stream = self.known[first:].copy(), self.stream[first:].copy()
        self.score, self.whole = self.score[first:].copy(), self.whole[first:].copy()


class LiveNews:
    """Headlines of the last week for the market (stream 0), each instrument (1, 2, ..) and any.

    The last stream has those that name any of them.

    Parameters
    ----------
    news : DataFrame
        All headlines until now.
    instruments : sequence of str
    timeframe : Timeframe
        Grid on which headlines are decayed.
    stamp : Timestamp
        The last close: headlines of two weeks before it are enough.
    """

    def __init__(
        self,
        news: pd.DataFrame,
        instruments: Sequence[str],
        timeframe: Timeframe,
        stamp: pd.Timestamp,
    ) -> None:
        self._stream = {name: k for k, name in enumerate(instruments, start=1)}
        self._n_streams = len(self._stream) + 2
        self._step_ns = timeframe.seconds * 10**9
        self._headlines: list[_Headline] = []
        self._first_ns, self._first_named_ns = _NEVER, _NEVER
        self._last_told: dict[str, int] = {}
        self._pairs = _Pairs()
        if len(news):
            self._note_first(once(news))
            self.add(news[news["known_at"] > stamp - 2 * pd.Timedelta(_LONGEST_NS, "ns")])

    # The first headlines ever decide from when there are columns at all, so they are remembered.
    def _note_first(self, kept: pd.DataFrame) -> None:
        known = nanoseconds(kept["known_at"])
        texts = kept["instruments"]
        named = np.array([any(one in self._stream for one in text.split()) for text in texts], bool)
        self._first_ns = min([self._first_ns, *known.tolist()])
        self._first_named_ns = min([self._first_named_ns, *known[named].tolist()])

    def add(self, news: pd.DataFrame) -> None:
        """Hear headlines, those that come late or are not yet known among them."""
        fresh = sorted(self._read(news), key=_order) if len(news) else []
        if not fresh:
            return
        in_time = not self._headlines or _order(self._headlines[-1]) <= _order(fresh[0])
        self._headlines += fresh
        if not in_time:
            self._headlines.sort(key=_order)
            self._last_told, self._pairs = {}, _Pairs()
        self._count(fresh if in_time else self._headlines)

    def _read(self, news: pd.DataFrame) -> Iterator[_Headline]:
        known, published = (
            nanoseconds(news[name]).tolist() for name in ("known_at", "published_at")
        )
        texts = (news[name].tolist() for name in ("title", "instruments", "score"))
        for known_ns, published_ns, title, instruments, score in zip(
            known, published, *texts, strict=True
        ):
            names = dict.fromkeys(instruments.split())
            yield _Headline(
                known_ns,
                published_ns,
                title,
                " ".join(title.casefold().split()),
                (0, *self._naming(names)),
                any(name in self._stream for name in names),
                score,
            )

    def _naming(self, names: Collection[str]) -> list[int]:
        own = [self._stream[name] for name in names if name in self._stream]
        return [*own, self._n_streams - 1] if own else []

    # A story that was told less than six hours before does not count again.
    def _count(self, headlines: Sequence[_Headline]) -> None:
        kept = []
        for one in headlines:
            if one.known_ns - self._last_told.get(one.story, -_NEVER // 2) >= _SAME_NS:
                kept.append(one)
            self._last_told[one.story] = one.known_ns
        self._pairs.add(kept)
        self._first_ns = min([self._first_ns, *(one.known_ns for one in kept)])
        named = (one.known_ns for one in kept if one.named)
        self._first_named_ns = min([self._first_named_ns, *named])

    # What left every window is dropped once a day's worth of it is there.
    def _forget(self, stamp_ns: int) -> None:
        until_ns = stamp_ns - _LONGEST_NS - 2 * (self._step_ns + _SAME_NS)
        if self._headlines and self._headlines[0].known_ns < until_ns - _DAY_NS:
            n_old = bisect.bisect_right(self._headlines, until_ns, key=lambda one: one.known_ns)
            del self._headlines[:n_old]
            self._pairs.forget(until_ns)
            told = self._last_told.items()
            self._last_told = {story: at for story, at in told if at > until_ns}

    def begun(self, stamp_ns: int) -> tuple[bool, bool]:
        """Tell whether any headline, and any that names an instrument, was known by then."""
        return self._first_ns <= stamp_ns, self._first_named_ns <= stamp_ns

    def read(self, stamp_ns: int, first_ns: Integers) -> dict[str, Floats]:
        """Return every aggregate at a close, shape (n_instruments + 2,).

        Parameters
        ----------
        stamp_ns : int
        first_ns : ndarray of int, shape (n_instruments + 2,)
            A close of each stream: its grid.
        """
        self._forget(stamp_ns)
        out: dict[str, Floats] = {}
        for name, hours in NEWS_WINDOWS.items():
            out |= {f"{key}_{name}": v for key, v in self._moments(stamp_ns, hours).items()}
            out[f"decay_{name}"] = self._decayed(stamp_ns, hours, first_ns)
        return out

    def _moments(self, stamp_ns: int, hours: int) -> dict[str, Floats]:
        edges = [stamp_ns - hours * HOUR_NS, stamp_ns]
        first, last = np.searchsorted(self._pairs.known, edges, side="right")
        stream, score = self._pairs.stream[first:last], self._pairs.whole[first:last]
        n_streams = self._n_streams
        total, squares = np.zeros(n_streams, np.int64), np.zeros(n_streams, np.int64)
        np.add.at(total, stream, score)
        np.add.at(squares, stream, score * score)
        return moments(np.bincount(stream, minlength=n_streams), total, squares)

    def _decayed(self, stamp_ns: int, hours: int, first_ns: Integers) -> Floats:
        n_streams, n_steps = self._n_streams, max(hours * HOUR_NS // self._step_ns, 1)
        last = int(np.searchsorted(self._pairs.known, stamp_ns, side="right"))
        known, stream, score = (
            self._pairs.known[:last],
            self._pairs.stream[:last],
            self._pairs.score[:last],
        )
        phase = (first_ns % self._step_ns)[stream]
        at = stamp_ns - (stamp_ns - phase) % self._step_ns
        age = (at - known) // self._step_ns
        inside = (age >= 0) & (age < n_steps)
        age, known, stream, at = (values[inside] for values in (age, known, stream, at))
        score = score[inside]
        weight = np.exp2(-(at - age * self._step_ns - known) / half_life_ns(hours))
        cell = age * n_streams + stream
        half_lives = self._step_ns / half_life_ns(hours)
        fade = np.array([0.5 ** (k * half_lives) for k in range(n_steps)])[:, None]
        top, bottom = (
            rolling_sum(_cells(cell, part, n_steps, n_streams) * fade, n_steps)[0]
            for part in (weight * score, weight)
        )
        return np.asarray(top / (bottom + PRIOR))


def _cells(cell: Integers, weights: Floats, n_steps: int, n_streams: int) -> Floats:
    sums = np.bincount(cell, weights=weights, minlength=n_steps * n_streams)
    return sums.astype(np.float64).reshape(n_steps, n_streams)
