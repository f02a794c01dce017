"""What can go wrong with an exchange, and the switchboard by which a test makes it so."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Fault", "Switchboard"]


class Fault(StrEnum):
    """One way in which an exchange, or the line to it, misbehaves.

    Over REST a fault spoils an answer; on a stream it spoils a message, or ends the connection.

    Attributes
    ----------
    TOO_MANY, BANNED, UNAVAILABLE
        429 with Retry-After, 418, 503; a stream is refused so, or dropped if it is open.
    RESET, DROP
        The connection is cut without a word, or closed in order (REST: as RESET).
    CUT, PAGE, BOMB
        Half an answer; a web page with 200; a few bytes that unpack to 64 MB.
    WRONG_TYPES, NAN
        A number that is none.
    LATE, DUPLICATE, DISORDER, REVISED
        The newest comes late, twice, before older ones; or first with other values. These and the
        two before leave past trades alone.
    FROZEN
        What was there when the fault began stays; a stream repeats its last message.
    SILENT
        Pings are answered, and nothing else is said; REST is as ever.
    FAST_CLOCK, SLOW_CLOCK
        `Date` is a bar and a half ahead, or behind.
    """

    TOO_MANY = "429"
    BANNED = "418"
    UNAVAILABLE = "503"
    RESET = "reset"
    DROP = "drop"
    CUT = "cut"
    PAGE = "page"
    BOMB = "bomb"
    WRONG_TYPES = "wrong types"
    NAN = "nan"
    LATE = "late"
    DUPLICATE = "duplicate"
    DISORDER = "disorder"
    REVISED = "revised"
    FROZEN = "frozen"
    SILENT = "silent"
    FAST_CLOCK = "fast clock"
    SLOW_CLOCK = "slow clock"


@dataclass(slots=True, kw_only=True)
class _Switch:
    fault: Fault
    venue: str | None
    endpoint: str | None
    instrument: str | None
    times: int | None

    def concerns(self, venue: str, endpoint: str, instrument: str | None) -> bool:
        asked = (self.venue, self.endpoint, self.instrument)
        met = (venue, endpoint, instrument)
        return all(want in (None, got) for want, got in zip(asked, met, strict=True))


class Switchboard:
    """Faults that are switched on, by venue, endpoint and instrument; any thread may turn them.

    Examples
    --------
    >>> board = Switchboard()
    >>> board.set(Fault.TOO_MANY, venue="kraken", endpoint="bars", times=1)
    >>> board.strike("binance", "bars", "BTC/USDT")
    ()
    >>> board.strike("kraken", "bars", "BTC/USDT")
    (<Fault.TOO_MANY: '429'>,)
    >>> board.strike("kraken", "bars", "BTC/USDT")
    ()
    """

    def __init__(self) -> None:
        self._switches: list[_Switch] = []
        self._lock = threading.Lock()

    def set(
        self,
        fault: Fault,
        *,
        venue: str | None = None,
        endpoint: str | None = None,
        instrument: str | None = None,
        times: int | None = None,
    ) -> None:
        """Switch a fault on.

        Parameters
        ----------
        venue, endpoint, instrument : str, optional
            Where; None: everywhere. Endpoints are "bars", "trades" (of the past), "markets" (lists
            of what is sold), "dial" (opening a stream) and "stream" (its messages).
        times : int, optional
            How many answers or messages it spoils; None: until `clear`.
        """
        switch = _Switch(
            fault=Fault(fault), venue=venue, endpoint=endpoint, instrument=instrument, times=times
        )
        with self._lock:
            self._switches.append(switch)

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._switches.clear()

    def strike(self, venue: str, endpoint: str, instrument: str | None) -> tuple[Fault, ...]:
        """Return what spoils this answer or message, and count it."""
        with self._lock:
            struck = [s for s in self._switches if s.concerns(venue, endpoint, instrument)]
            for switch in struck:
                if switch.times is not None:
                    switch.times -= 1
            self._switches = [s for s in self._switches if s.times is None or s.times > 0]
            return tuple(dict.fromkeys(switch.fault for switch in struck))
