"""Headlines one close at a time: the aggregates of `news` from the last week alone."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

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
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class _Headline:
    known_ns: int
    published_ns: int
    title: str
    story: str
    streams: tuple[int, ...]
    named: bool
    score: float


def _order(one: _Headline) -> tuple[int, int, str]:
    return (one.known_ns, one.published_ns, one.title)


class LiveNews:
    """Headlines of the last week for the market (stream 0) and for each instrument (1, 2, ..).

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
        self._step_ns = timeframe.seconds * 10**9
        self._headlines: list[_Headline] = []
        self._first_ns, self._first_named_ns = _NEVER, _NEVER
        self._stale = True
        if len(news):
            self._note_first(once(news))
            self.add(news[news["known_at"] > stamp - 2 * pd.Timedelta(_LONGEST_NS, "ns")])

    # The first headlines ever decide from when there are columns at all, so they are remembered.
    def _note_first(self, kept: pd.DataFrame) -> None:
        known = nanoseconds(kept["known_at"])
        named = (kept["instruments"].str.strip() != "").to_numpy()
        self._first_ns = min([self._first_ns, *known.tolist()])
        self._first_named_ns = min([self._first_named_ns, *known[named].tolist()])

    def add(self, news: pd.DataFrame) -> None:
        """Hear headlines, those that come late or are not yet known among them."""
        if not len(news):
            return
        known, published = (nanoseconds(news[name]) for name in ("known_at", "published_at"))
        texts = zip(news["title"], news["instruments"], news["score"], strict=True)
        for k, (title, instruments, score) in enumerate(texts):
            names = dict.fromkeys(instruments.split())
            headline = _Headline(
                known_ns=int(known[k]),
                published_ns=int(published[k]),
                title=title,
                story=" ".join(title.casefold().split()),
                streams=(0, *(self._stream[name] for name in names if name in self._stream)),
                named=instruments.strip() != "",
                score=float(score),
            )
            bisect.insort_right(self._headlines, headline, key=_order)
        self._stale = True

    def begun(self, stamp_ns: int) -> tuple[bool, bool]:
        """Tell whether any headline, and any that names an instrument, was known by then."""
        self._prepare(stamp_ns)
        return self._first_ns <= stamp_ns, self._first_named_ns <= stamp_ns

    def read(self, stamp_ns: int, first_ns: Integers) -> dict[str, Floats]:
        """Return every aggregate at a close, shape (1 + n_instruments,).

        Parameters
        ----------
        stamp_ns : int
        first_ns : ndarray of int, shape (1 + n_instruments,)
            A close of each stream: its grid.
        """
        self._prepare(stamp_ns)
        out: dict[str, Floats] = {}
        for name, hours in NEWS_WINDOWS.items():
            out |= {f"{key}_{name}": v for key, v in self._moments(stamp_ns, hours).items()}
            out[f"decay_{name}"] = self._decayed(stamp_ns, hours, first_ns)
        return out

    def _prepare(self, stamp_ns: int) -> None:
        if self._stale:
            oldest = stamp_ns - _LONGEST_NS - 2 * (self._step_ns + _SAME_NS)
            self._headlines = [one for one in self._headlines if one.known_ns > oldest]
            kept = self._once()
            self._first_ns = min([self._first_ns, *(one.known_ns for one in kept)])
            named = (one.known_ns for one in kept if one.named)
            self._first_named_ns = min([self._first_named_ns, *named])
            pairs = [(one.known_ns, k, one.score) for one in kept for k in one.streams]
            columns = zip(*pairs, strict=True) if pairs else ((), (), ())
            known, stream, score = columns
            self._known = np.array(known, dtype=np.int64)
            self._of = np.array(stream, dtype=np.int64)
            self._score = np.array(score, dtype=np.float64)
            self._whole = whole(self._score)
            self._stale = False

    def _once(self) -> list[_Headline]:
        last: dict[str, int] = {}
        kept = []
        for one in self._headlines:
            if one.known_ns - last.get(one.story, -_NEVER // 2) >= _SAME_NS:
                kept.append(one)
            last[one.story] = one.known_ns
        return kept

    def _moments(self, stamp_ns: int, hours: int) -> dict[str, Floats]:
        edges = [stamp_ns - hours * HOUR_NS, stamp_ns]
        first, last = np.searchsorted(self._known, edges, side="right")
        stream, score = self._of[first:last], self._whole[first:last]
        n_streams = len(self._stream) + 1
        total, squares = np.zeros(n_streams, np.int64), np.zeros(n_streams, np.int64)
        np.add.at(total, stream, score)
        np.add.at(squares, stream, score * score)
        return moments(np.bincount(stream, minlength=n_streams), total, squares)

    def _decayed(self, stamp_ns: int, hours: int, first_ns: Integers) -> Floats:
        n_streams, n_steps = len(self._stream) + 1, max(hours * HOUR_NS // self._step_ns, 1)
        last = int(np.searchsorted(self._known, stamp_ns, side="right"))
        known, stream, score = self._known[:last], self._of[:last], self._score[:last]
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
