"""The panel's rows of the close at hand, made from what is new since the last one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import PRICE_COLUMNS, History, same_place
from dexml.errors import DataError
from dexml.features.live import LivePanel

__all__ = ["CurrentPanel"]


class CurrentPanel:
    """What a running system asks for at each close, whatever happened to the history meanwhile.

    Where the history only went on, a `LivePanel` hears what is new, which costs the windows and not
    the history. Where a bar of the past came late or was revised, its instrument alone is read
    again; where news, macro values or refusals did, they are. Only where there are other
    instruments or exchanges, or a close is asked for again, is the panel opened anew on the whole
    history, which costs as much as `build_panel`. The rows have the same bits in every case.

    Attributes
    ----------
    n_opened : int
        How often it was opened on the whole history; more than once wants a reason.
    n_reopened : int
        How many instruments were read again, counted each time.

    Examples
    --------
    >>> from dexml.features.panel import build_panel
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> history = plant(MarketConfig(n_bars=400)).history
    >>> closed_at = history.bars["BTC/USDT"].closed_at[-1]
    >>> rows = CurrentPanel().rows(history, closed_at)
    >>> rows.equals(build_panel(history).loc[[pd.Timestamp(closed_at, tz="UTC")]])
    True
    """

    def __init__(self) -> None:
        self.n_opened = self.n_reopened = 0
        self._live: LivePanel | None = None
        self._seen: History
        self._at: np.datetime64

    def rows(self, history: History, closed_at: np.datetime64) -> pd.DataFrame:
        """Return the rows of a close.

        Parameters
        ----------
        history : History
            What was known at `closed_at` is used; later bars and facts are not looked at.

        Returns
        -------
        DataFrame of float64, shape (n_instruments with a bar and past their warm-up, n_features)
            The bits of `build_panel(history.until(closed_at)).loc[[closed_at]]`.

        Raises
        ------
        DataError
            If no instrument has a bar of that close and a whole warm-up before it, or if an
            indicator gives NaN or infinity.
        """
        known = history.until(closed_at)
        newest = max(
            (bars.closed_at[-1] for bars in known.bars.values() if len(bars)), default=None
        )
        if newest != closed_at:
            raise _too_short(closed_at, f"bars until {newest}")
        live, self._live = self._live, None  # after an error it is of no use
        if live is None or closed_at <= self._at or not _alike(known, self._seen):
            live = self._open(known, closed_at)
        else:
            self._mend(live, known)
        rows = self._catch_up(live, known, closed_at)
        self._live, self._seen, self._at = live, known, closed_at
        if rows.empty:
            raise _too_short(closed_at, "no instrument past its warm-up")
        return rows

    def _open(self, known: History, closed_at: np.datetime64) -> LivePanel:
        self.n_opened += 1
        self._at = closed_at - np.timedelta64(1, "ns")
        self._seen = known.until(self._at)
        return LivePanel(self._seen)

    def _mend(self, live: LivePanel, known: History) -> None:
        changed = [name for name in known.bars if not _went_on(known, self._seen, name, self._at)]
        facts = not _facts_went_on(known, self._seen, pd.Timestamp(self._at, tz="UTC"))
        if changed or facts:
            self._seen = known.until(self._at)
            live.reopen(self._seen, changed, facts=facts)
            self.n_reopened += len(changed)

    def _catch_up(self, live: LivePanel, known: History, closed_at: np.datetime64) -> pd.DataFrame:
        stamp = pd.Timestamp(self._at, tz="UTC")
        told = {"news": known.news, "macro": known.macro, "refused": known.refused}
        facts = {name: frame[frame["known_at"] > stamp] for name, frame in told.items()}
        fresh = [bars.closed_at[len(self._seen.bars[name]) :] for name, bars in known.bars.items()]
        rows = pd.DataFrame()
        for at in np.unique(np.concatenate(fresh)):
            rows = self._hear(live, known, at, facts)
            facts = {}
        return rows

    def _hear(
        self,
        live: LivePanel,
        known: History,
        at: np.datetime64,
        facts: Mapping[str, pd.DataFrame],
    ) -> pd.DataFrame:
        found = [(bars, int(np.searchsorted(bars.closed_at, at))) for bars in known.bars.values()]
        bars = [one.bar(k) for one, k in found if k < len(one) and one.closed_at[k] == at]
        stamp = pd.Timestamp(at, tz="UTC")
        closes = {name: _at(frame, stamp) for name, frame in known.venue_closes.items()}
        return live.append(bars, venue_closes=closes, **facts)


def _too_short(closed_at: np.datetime64, was: str) -> DataError:
    return DataError(
        "panel", f"must reach the close of {closed_at}", was, "Backfill the bars before it."
    )


def _alike(new: History, old: History) -> bool:
    """Tell whether two histories are of the same instruments at the same exchanges."""
    return (
        list(new.bars) == list(old.bars)
        and list(new.venue_closes) == list(old.venue_closes)
        and all(
            list(closes.columns) == list(old.venue_closes[name].columns)
            for name, closes in new.venue_closes.items()
        )
    )


def _at(closes: pd.DataFrame, stamp: pd.Timestamp) -> dict[str, float]:
    row = int(pd.DatetimeIndex(closes.index).searchsorted(stamp))
    if row == len(closes) or closes.index[row] != stamp:
        return {}
    return dict(zip(closes.columns, closes.to_numpy()[row].tolist(), strict=True))


def _facts_went_on(new: History, old: History, stamp: pd.Timestamp) -> bool:
    pairs = ((new.news, old.news), (new.macro, old.macro), (new.refused, old.refused))
    return all(_known(frame, stamp).equals(before) for frame, before in pairs)


def _known(frame: pd.DataFrame, stamp: pd.Timestamp) -> pd.DataFrame:
    return frame[frame["known_at"] <= stamp].reset_index(drop=True)


# Whether the history of an instrument until `at` is what it was.
def _went_on(new: History, old: History, name: str, at: np.datetime64) -> bool:
    bars, before = new.bars[name], old.bars[name]
    n = len(before)
    if np.searchsorted(bars.closed_at, at, side="right") != n:
        return False
    fields = ("closed_at", *PRICE_COLUMNS)
    return all(_begins(getattr(bars, one), getattr(before, one), n) for one in fields) and (
        name not in old.venue_closes
        or _closes_went_on(
            new.venue_closes[name], old.venue_closes[name], pd.Timestamp(at, tz="UTC")
        )
    )


def _closes_went_on(new: pd.DataFrame, old: pd.DataFrame, stamp: pd.Timestamp) -> bool:
    index, n = pd.DatetimeIndex(new.index), len(old)
    return (
        int(index.searchsorted(stamp, side="right")) == n
        and index[:n].equals(old.index)
        and _begins(new.to_numpy(), old.to_numpy(), n)
    )


# A store gives out views of a memory that only grows: those need not be compared.
def _begins(new: NDArray[Any], old: NDArray[Any], n: int) -> bool:
    return same_place(new, old) or np.array_equal(new[:n], old, equal_nan=new.dtype.kind == "f")
