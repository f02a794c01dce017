"""The panel's rows of the close at hand, made from what is new since the last one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dexml.domain import PRICE_COLUMNS, Bars, History
from dexml.errors import DataError
from dexml.features.live import LivePanel

__all__ = ["CurrentPanel"]


class CurrentPanel:
    """What a running system asks for at each close, whatever happened to the history meanwhile.

    Where the history only went on, a `LivePanel` hears what is new. Where a bar or fact of the past
    came late or was revised, or a close is asked for again, the panel is opened anew on the whole
    history, which costs as much as `build_panel`. The rows have the same bits either way.

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
        self.n_opened = 0
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
        if live is None or closed_at <= self._at or not _extends(known, self._seen, self._at):
            live = self._open(known, closed_at)
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


def _extends(new: History, old: History, at: np.datetime64) -> bool:
    """Tell whether `new` is `old`, known until `at`, and what came later."""
    if list(new.bars) != list(old.bars) or list(new.venue_closes) != list(old.venue_closes):
        return False
    stamp = pd.Timestamp(at, tz="UTC")
    return (
        all(_went_on(bars, old.bars[name], at) for name, bars in new.bars.items())
        and _known(new.news, stamp).equals(old.news)
        and _known(new.macro, stamp).equals(old.macro)
        and _known(new.refused, stamp).equals(old.refused)
        and all(
            _closes_went_on(closes, old.venue_closes[name], stamp)
            for name, closes in new.venue_closes.items()
        )
    )


def _at(closes: pd.DataFrame, stamp: pd.Timestamp) -> dict[str, float]:
    row = int(pd.DatetimeIndex(closes.index).searchsorted(stamp))
    if row == len(closes) or closes.index[row] != stamp:
        return {}
    return dict(zip(closes.columns, closes.to_numpy()[row].tolist(), strict=True))


def _closes_went_on(new: pd.DataFrame, old: pd.DataFrame, stamp: pd.Timestamp) -> bool:
    index, n = pd.DatetimeIndex(new.index), len(old)
    return (
        int(index.searchsorted(stamp, side="right")) == n
        and list(new.columns) == list(old.columns)
        and index[:n].equals(old.index)
        and np.array_equal(new.to_numpy()[:n], old.to_numpy(), equal_nan=True)
    )


def _known(frame: pd.DataFrame, stamp: pd.Timestamp) -> pd.DataFrame:
    return frame[frame["known_at"] <= stamp].reset_index(drop=True)


def _went_on(new: Bars, old: Bars, at: np.datetime64) -> bool:
    n = len(old)
    if np.searchsorted(new.closed_at, at, side="right") != n:
        return False
    fields = ("closed_at", *PRICE_COLUMNS)
    return all(np.array_equal(getattr(new, name)[:n], getattr(old, name)) for name in fields)
