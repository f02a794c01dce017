"""Which bars of one instrument count, from what a stream says and what the exchange answers.

Pure: instants come in, nothing is read. The rules are few. A bar counts after the one before it. A
final bar of the stream counts at once and is looked up over REST when the next one has closed;
otherwise a bar counts when REST shows it. What REST shows later in another way is a correction.
"""

from __future__ import annotations

import math

from dexml.data.feeds.hearing import Row
from dexml.data.feeds.rows import SETTLE_S, Fetched, RefusedRow, row_fault, split

__all__ = ["OVERLAP", "Track"]

OVERLAP = 3  # bars read again, to see late corrections
GRACE_S = 5  # for a stream to say that a bar is final, before REST is asked
KEPT = 64  # final bars of a stream that wait for those before them
REMEMBERED = 48  # bars for which a hole is asked for again
CLEAN_ASKS = 3  # answers without a fault that leave a hole, until the hole is a fact
MAX_REST_S = 60
HOLE_BARS = 2  # how long the next bars wait for one that REST spoils


class Track:
    """One instrument of one exchange.

    Parameters
    ----------
    step_s : int
        Length of a bar.
    last : int or None
        Opening of the newest bar that is stored already.
    says_final : bool
        As in `Stream`; False without a stream.
    audited : int, optional
        Opening of the newest stored bar that REST is known to have shown; `last` unless given.

    Attributes
    ----------
    last, audited : int or None
        Opening of the newest bar that counts, and of the newest that REST has shown.
    newest : int or None
        Opening of the newest bar that the stream spoke of since it began.
    price : float or None
        Last price heard of.
    n_refused : int
        Rows of the stream that could not be bars.
    n_failures : int
        How often in a row REST could not be read.
    deaf : bool
        REST showed trades that the stream should have told of.
    """

    def __init__(
        self, step_s: int, last: int | None, says_final: bool, audited: int | None = None
    ) -> None:
        self._step_s, self._says_final = step_s, says_final
        self.last, self.audited = last, last if audited is None else audited
        self.newest: int | None = None
        self.price: float | None = None
        self.n_refused = 0
        self.deaf = False
        self._listening_since: float | None = None
        self._refused: list[RefusedRow] = []
        self._told: dict[int, Row] = {}
        self._recent: dict[int, Row] = {}
        self._missing: dict[int, int] = {}  # holes, and how often they were asked for in vain
        self._asked_for: int | None = None
        self._again_at = 0.0
        self.n_failures = 0
        self._n_vain = 0

    def begin_listening(self, now: float) -> None:
        """Note that a stream begins now; what an older one spoke of is forgotten."""
        self._listening_since, self.newest, self.deaf = now, None, False

    def hear(self, row: Row, final: bool, now: float) -> None:
        """Take in a bar that the stream showed."""
        fault = row_fault(row, 0, self._step_s, None, int(now) + self._step_s)
        if fault is not None:
            self.n_refused += 1
            if final and len(self._refused) < KEPT:
                self._refused.append(RefusedRow.of([row.opened_s * 1_000, *row[1:]], fault))
            return
        self._mention(row.opened_s, row.close)
        if not final or row.opened_s + self._step_s > now + GRACE_S:
            return
        if self.last is not None and row.opened_s <= self.last:
            self._doubt(row, self.last - REMEMBERED * self._step_s)
        elif len(self._told) < KEPT:
            self._told[row.opened_s] = row

    def refused(self) -> list[RefusedRow]:
        """Return the final rows of the stream that could not be bars, each once."""
        refused, self._refused = self._refused, []
        return refused

    def hear_trade(self, at_s: float, price: float, now: float) -> bool:
        """Take in the price of a trade; return whether there can have been such a trade."""
        if not (0 < price < math.inf and 0 < at_s <= now + self._step_s):
            self.n_refused += 1
            return False
        self._mention(int(at_s // self._step_s) * self._step_s, price)
        return True

    def _mention(self, opened_s: int, price: float) -> None:
        if self.newest is None or opened_s >= self.newest:
            self.newest, self.price = opened_s, price

    def _doubt(self, row: Row, horizon: int) -> None:
        # said again and otherwise: REST decides
        if self.audited is None or row.opened_s <= horizon:
            return
        if self._recent.get(row.opened_s) != row:
            self.audited = min(self.audited, row.opened_s - self._step_s)

    def counted(self) -> list[Row]:
        """Return the bars of the stream that count now."""
        rows: list[Row] = []
        while self.last is not None and (self.last + self._step_s) in self._told:
            rows.append(self._told.pop(self.last + self._step_s))
            self._count(rows[-1])
        if rows:
            self._forget_the_old()
        return rows

    def _count(self, row: Row) -> None:
        self.last = row.opened_s if self.last is None else max(self.last, row.opened_s)
        self._recent[row.opened_s] = row

    def _forget_the_old(self) -> None:
        horizon = (self.last or 0) - REMEMBERED * self._step_s
        self._recent = {at: row for at, row in self._recent.items() if at > horizon}
        self._missing = {at: n for at, n in self._missing.items() if at > horizon}
        self._told = {at: row for at, row in self._told.items() if at > (self.last or 0)}

    def due(self, now: float) -> bool:
        """Tell whether REST must be asked now."""
        if now < self._again_at:
            return False
        ended = int(now - SETTLE_S) // self._step_s * self._step_s - self._step_s
        if self.last is None or self.audited is None:
            return True
        if self._told:  # final bars wait for one that is missing
            return True
        if ended > self.last and (not self._waits() or now >= ended + self._step_s + GRACE_S):
            return True
        if self.last - self.audited >= 2 * self._step_s:
            return True
        return bool(self._missing) and self._asked_for != ended

    def _waits(self) -> bool:
        return self._says_final and self.newest is not None

    def asks(self, now: float) -> int | None:
        """Return the opening from which REST must be read; None: the newest page."""
        self._asked_for = int(now - SETTLE_S) // self._step_s * self._step_s - self._step_s
        if self.last is None or self.audited is None:
            return None
        oldest = min((self.audited, self.last, *self._missing))
        return min(oldest, self.last - (OVERLAP - 1) * self._step_s)

    def failed(self, now: float, wait_s: float) -> None:
        """Note that REST could not be read; it is left alone for `wait_s`."""
        self._again_at = now + wait_s
        self.n_failures += 1

    def answered(self, fetched: Fetched, asked_at: float, now: float) -> list[Row]:
        """Return the bars that count by what REST showed: new ones, and corrections.

        Parameters
        ----------
        asked_at : float
            What was open then may have been shown open, whatever the time is now.
        """
        sure = asked_at if fetched.now_s is None else min(fetched.now_s, asked_at)
        closed, still_open = split(fetched.rows, self._step_s, int(sure))
        if still_open is not None and (self.newest or 0) <= still_open.opened_s:
            self.price = still_open.close
        rows = self._in_turn(closed, fetched, asked_at)
        fresh = [row for row in rows if self._recent.get(row.opened_s) != row]
        for row in rows:
            self._count(row)
            self._missing.pop(row.opened_s, None)
        if rows:
            self.audited = rows[-1].opened_s
            self._forget_the_old()
        self._judge_stream(rows, asked_at)
        self._rest(now)
        return fresh

    def _rest(self, now: float) -> None:
        # asking again at once would tell the same
        self.n_failures, self._again_at = 0, now
        self._n_vain = self._n_vain + 1 if self.due(now) else 0
        if self._n_vain:
            self._again_at = now + min(GRACE_S * 2.0 ** (self._n_vain - 1), MAX_REST_S)

    def _in_turn(self, closed: list[Row], fetched: Fetched, now: float) -> list[Row]:
        rows: list[Row] = []
        reached = self.last
        for row in closed:
            if reached is not None and row.opened_s > reached + self._step_s:
                gap = range(reached + self._step_s, row.opened_s, self._step_s)
                if not self._gives_up(gap, clean=not fetched.refused, now=now):
                    break
            reached = row.opened_s if reached is None else max(reached, row.opened_s)
            rows.append(row)
        return rows

    def _gives_up(self, gap: range, *, clean: bool, now: float) -> bool:
        n_asked = self._missing.get(gap[-1], 0) + int(clean)
        known = now - REMEMBERED * self._step_s
        self._missing |= {at: n_asked for at in gap[-REMEMBERED:] if at > known}
        too_late = now >= gap[-1] + (1 + HOLE_BARS) * self._step_s
        return n_asked >= CLEAN_ASKS or too_late

    def _judge_stream(self, rows: list[Row], now: float) -> None:
        since = self._listening_since
        if since is None:
            return
        heard = -1 if self.newest is None else self.newest
        settled = now - self._step_s - SETTLE_S
        self.deaf |= any(
            row.volume > 0 and since <= row.opened_s <= settled and row.opened_s > heard
            for row in rows
        )
