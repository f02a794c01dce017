"""Daily closes of Yahoo Finance through unmodified yfinance, each from when it was final."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from dexml.clock import Clock, SystemClock, utc
from dexml.data.http import NotAnswered, Patience
from dexml.data.sources.forwarding import forwarding_session
from dexml.data.sources.macro import MacroUpdate, macro_update
from dexml.data.sources.series import SERIES, SeriesSpec
from dexml.domain import MACRO_COLUMNS
from dexml.errors import DataError

__all__ = ["YahooFeed"]

_OVERLAP = timedelta(days=10)  # days read again at each visit: sees late corrections
_FIRST = timedelta(days=10 * 366)


class YahooFeed:
    """Read daily series that Yahoo Finance has.

    Parameters
    ----------
    series : sequence of str
        Registered series with a `symbol`: dxy, vix, ...
    url : str, optional
        Address of a server that speaks the format of the chart service; the real one unless given.
    clock : Clock, optional
        Tells what is final: the day that is still traded is left out.

    Raises
    ------
    DataError
        If a series is not known, or Yahoo does not have it.
    """

    name = "yahoo"

    def __init__(
        self,
        series: Sequence[str],
        url: str | None = None,
        clock: Clock | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.series = tuple(series)
        self._specs = tuple(_spec(name) for name in series)
        self._url, self._clock = url, clock or SystemClock()
        self._patience = patience or Patience()

    def fetch(self, since: datetime | None = None) -> MacroUpdate:
        """Return the closes since ten days before `since` (None: ten years); failures are told.

        Notes
        -----
        A close is known by the series' rule of release. yfinance tells neither an error's kind nor
        an empty answer apart, so whatever gives no rows counts as unanswered.
        """
        now = utc(self._clock.now())
        start = now - _FIRST if since is None else utc(since) - _OVERLAP
        frames, fetched_at, failed = [], {}, {}
        for spec in self._specs:
            try:
                rows = self._patience.call(partial(self._closes, spec, start, now))
                frames.append(rows)
                fetched_at[spec.name] = now
            except DataError as error:
                failed[spec.name] = str(error)
        return macro_update(frames, fetched_at, failed)

    def _closes(self, spec: SeriesSpec, start: datetime, now: datetime) -> pd.DataFrame:
        history = _history(str(spec.symbol), self._url, start)
        if history is None or "Close" not in history or history.empty:
            raise _unanswered(spec)
        # Yahoo stamps a day with its midnight in the exchange's zone
        days = pd.DatetimeIndex(history.index).tz_localize(None).normalize().tz_localize("UTC")
        known_at = spec.release.known_at(days)
        values = history["Close"].to_numpy(dtype=np.float64)
        rows = pd.DataFrame(
            {"series": spec.name, "period_at": days, "known_at": known_at, "value": values}
        )
        final = np.isfinite(values) & (values > 0) & (rows["known_at"] <= pd.Timestamp(now))
        kept = rows[final & ~rows["period_at"].duplicated(keep="last")]
        instants = {name: kept[name].dt.as_unit("ns") for name in ("period_at", "known_at")}
        closes: pd.DataFrame = kept.assign(**instants)[list(MACRO_COLUMNS)]
        return closes


def _history(symbol: str, url: str | None, start: datetime) -> pd.DataFrame | None:
    import yfinance

    logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # it prints what it then hides
    with forwarding_session(url) as session:
        ticker: Any = yfinance.Ticker(symbol, session=session)
        try:
            # with an end in the past yfinance would answer from a cache of its own for ever
            found: pd.DataFrame | None = ticker.history(
                interval="1d", start=start, auto_adjust=False, actions=False, timeout=10
            )
        except Exception as error:  # yfinance lets through whatever its parsing stumbles over
            was = type(error).__name__
            raise NotAnswered(f"Yahoo {symbol}", "must answer", was, "Try again later.") from error
    return found


def _spec(name: str) -> SeriesSpec:
    spec = SERIES.get(name)
    if spec is None or spec.symbol is None:
        known = ", ".join(one.name for one in SERIES.values() if one.symbol)
        raise DataError(f"series {name}", f"must be one of {known}", "another", "Register it.")
    return spec


def _unanswered(spec: SeriesSpec) -> NotAnswered:
    return NotAnswered(
        f"Yahoo {spec.symbol}", "must answer with daily closes", "no answer", "Try again later."
    )
