"""Ctrl-C, SIGTERM and a closed terminal as one KeyboardInterrupt, raised until it is heard.

An exception that a signal raises can be lost: Python drops it where the signal came in the middle
of a callback (around a fork, in a finaliser), and libraries drop it by catching everything. Around
a fork it must not be raised at all, for logging's lock would stay locked for ever.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["interruptible"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SOON_S = 0.02
_N_PATIENCE = 3


class _Interruption:
    """What was heard, and whether it may be raised."""

    def __init__(self, patience_s: float, last_resort: Callable[[], None]) -> None:
        self.heard: signal.Signals | None = None
        self._patience_s, self._last_resort = patience_s, last_resort
        self._owner = os.getpid()
        self._ended, self._lost = threading.Event(), threading.Event()
        self._forking = self._due = False

    def hear(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a child between fork and exec
            os._exit(128 + number)
        if self._ended.is_set() or (self.heard is not None and not self._due):
            return
        if self.heard is None:
            self.heard = signal.Signals(number)
            os.write(2, b"\nStopping, this takes a few seconds ...\n")
            threading.Thread(target=self._insist, daemon=True).start()
        self._due = self._forking
        if not self._forking:
            raise KeyboardInterrupt

    def end(self) -> None:
        self._ended.set()
        self._lost.set()

    def before_fork(self) -> None:
        self._forking = True

    def after_fork(self) -> None:
        self._forking = False
        if self._due:
            self._lost.set()

    def lost(self, told: Any) -> bool:
        """Say whether what Python dropped was ours; if so it comes again."""
        ours = self.heard is not None and not self._ended.is_set()
        if not (ours and issubclass(told.exc_type, KeyboardInterrupt)):
            return False
        self._lost.set()
        return True

    # Whoever drops or catches it has it raised again; who does not end at all is not waited for.
    def _insist(self) -> None:
        began = time.monotonic()
        while not self._ended.is_set():
            if self._lost.wait(self._patience_s):
                self._lost.clear()
                time.sleep(_SOON_S)
            if self._ended.is_set():
                return
            if time.monotonic() - began > _N_PATIENCE * self._patience_s:
                self._last_resort()
                os._exit(130)
            self._due = True
            _thread.interrupt_main(self.heard or signal.SIGINT)


@contextmanager
def interruptible(
    last_resort: Callable[[], None], patience_s: float = 30.0
) -> Iterator[Callable[[], None]]:
    """Let a signal unwind the block once; from `end` on, and after it was heard, all are ignored.

    Once one was heard the block ends with KeyboardInterrupt, whatever fails while it unwinds.

    Parameters
    ----------
    last_resort : callable
        Cleans up if the block does not unwind within three times `patience_s`; the process ends.

    Yields
    ------
    callable
        Call it where the clean-up begins, which nothing may interrupt.
    """
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    mine = _Interruption(patience_s, last_resort)
    for number in _SIGNALS:
        if previous[number] is not signal.SIG_IGN:  # nohup
            signal.signal(number, mine.hear)
    hook = sys.unraisablehook
    sys.unraisablehook = lambda told: None if mine.lost(told) else hook(told)
    _Forks.guard(mine)
    try:
        yield mine.end
    except Exception as error:
        if mine.heard is None:
            raise
        raise KeyboardInterrupt from error  # what it met with on its way out is no news
    finally:
        mine.end()
        _Forks.guard(None)
        sys.unraisablehook = hook
        # After one was heard the process ends, and one more Ctrl-C must not tear that: ignored by
        # the system, because Python takes its own handlers away before it has ended.
        for number in _SIGNALS:
            signal.signal(number, previous[number] if mine.heard is None else signal.SIG_IGN)


class _Forks:
    """Tells the interruption in force of each fork; what is registered once stays registered."""

    _registered = False
    _guarded: _Interruption | None = None

    @classmethod
    def guard(cls, mine: _Interruption | None) -> None:
        cls._guarded = mine
        if not cls._registered:
            cls._registered = True
            os.register_at_fork(before=cls._before, after_in_parent=cls._after)

    @classmethod
    def _before(cls) -> None:
        if cls._guarded is not None:
            cls._guarded.before_fork()

    @classmethod
    def _after(cls) -> None:
        if cls._guarded is not None:
            cls._guarded.after_fork()
