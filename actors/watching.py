"""What is measured of the world around a run, for the trips of the mode and for alerts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from dexml.clock import Clock, SystemClock
from dexml.domain import Timeframe
from dexml.events import VitalsSeen
from dexml.monitoring.clocks import Offset, narrowed, offset_of, skew

__all__ = ["Watch", "Witness"]

Witness = Callable[[], datetime | None]

RESTARTS_WITHIN_S = 600.0
LEAST_FREE_BYTES = 2e9
SLOW_LEDGER_S = 1.0


class Watch:
    """Measures data age, clock skew and restarts, and looks after disk and ledger.

    Parameters
    ----------
    folder : Path
        Where the run keeps what it writes.
    witnesses : mapping of name to callable
        Each says what time another clock shows, or None if it does not answer.
    clock : Clock, optional
        The clock that the loop lives by; the wall clock unless given.
    now : callable
        Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        folder: Path,
        witnesses: Mapping[str, Witness],
        clock: Clock | None = None,
        timeframe: Timeframe = Timeframe.H1,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._witnesses = folder, dict(witnesses)
        self._clock: Clock = clock or SystemClock()
        self._timeframe, self._now = timeframe, now
        self._newest: datetime | None = None
        self._offsets: dict[str, Offset] = {}
        self._begun: dict[str, list[float]] = {}

    def heard(self, closed_at: datetime | None) -> None:
        """Hear how far a feed is: the newest bar of any of them is what data age is counted from.

        A run that loses one exchange goes on with the others.
        """
        if closed_at is not None and (self._newest is None or closed_at > self._newest):
            self._newest = closed_at

    def begun_again(self, name: str) -> None:
        """Hear that an owner began another life."""
        self._begun.setdefault(name, []).append(self._now())

    def vitals(self, at: datetime, gap: float) -> VitalsSeen:
        """Return what the kernel is to hear `at` this instant of the loop.

        Parameters
        ----------
        gap : float
            Difference between book and account, as a fraction of equity.
        """
        return VitalsSeen(
            at=at,
            reconciliation_gap=gap,
            clock_skew_s=self._skew(),
            bars_behind=self._bars_behind(at),
            restarts=self._restarts(),
        )

    def shortages(self, ledger_s: float) -> dict[str, str | None]:
        """Return for disk and ledger what is wrong with it, or None.

        Parameters
        ----------
        ledger_s : float
            How long the ledger took to answer a short question.
        """
        free = shutil.disk_usage(self._folder).free
        full = f"{free / 1e9:.2f} GB are free, {LEAST_FREE_BYTES / 1e9:g} GB are needed"
        slow = f"it took {ledger_s:.1f} s to answer, {SLOW_LEDGER_S:g} s are allowed"
        return {
            "disk": full if free < LEAST_FREE_BYTES else None,
            "ledger": slow if ledger_s > SLOW_LEDGER_S else None,
        }

    def _bars_behind(self, at: datetime) -> float | None:
        if self._newest is None:
            return None
        return max(0.0, (at - self._newest) / self._timeframe.step)

    def _restarts(self) -> int:
        since = self._now() - RESTARTS_WITHIN_S
        self._begun = {name: [t for t in all_ if t > since] for name, all_ in self._begun.items()}
        return max(map(len, self._begun.values()), default=0)

    def _skew(self) -> float | None:
        for name, witness in self._witnesses.items():
            asked_at = self._clock.now()
            stated_at = witness()
            if stated_at is not None:
                heard = offset_of(asked_at, self._clock.now(), stated_at, self._now())
                self._offsets[name] = narrowed(self._offsets.get(name), heard)
        return skew(self._offsets.values(), self._now())
