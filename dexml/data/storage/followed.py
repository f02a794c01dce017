"""From when somebody listens to an instrument: what comes late after that was not used in time."""

from __future__ import annotations

from dexml.data.storage.consolidation import STANDS_FOR
from dexml.domain import Timeframe
from dexml.folders import Folder

__all__ = ["Followed"]


class Followed:
    """Marks below a folder, ``INSTRUMENT/TIMEFRAME/NANOSECONDS``, of which the least counts.

    A mark is written once and never changed, so that writers need no lock. It speaks of all
    exchanges, and of the currencies that stand for the instrument's own, for they decide together.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from dexml.folders import open_folder
    >>> with TemporaryDirectory() as folder:
    ...     followed = Followed(open_folder(folder))
    ...     followed.since("BTC/USDT", Timeframe.H1), followed.note("BTC/USDT", Timeframe.H1, 7)
    ...     Followed(open_folder(folder)).since("BTC/USD", Timeframe.H1)
    (None, 7)
    7
    """

    def __init__(self, root: Folder) -> None:
        self._root = root
        self._least: dict[tuple[str, Timeframe], int] = {}

    def since(self, instrument: str, timeframe: Timeframe) -> int | None:
        """Return the close after which somebody listened, or None, by the marks there are now."""
        base, quote = instrument.split("/")
        pairs = [f"{base}-{one}" for one in (quote, *STANDS_FOR.get(quote, ()))]
        folders = [self._root.under(pair, str(timeframe)) for pair in pairs]
        marks = [int(name) for one in folders for name in one.names() if name.isdecimal()]
        if marks:
            self._least[instrument, timeframe] = min(marks)
        return min(marks, default=None)

    def note(self, instrument: str, timeframe: Timeframe, closed_at: int) -> int:
        """Return the same for who listens from now on, after a close; the first one is written.

        What was found once is kept in memory: only an earlier close is written later.
        """
        known = self._least.get((instrument, timeframe))
        if known is None:
            known = self.since(instrument, timeframe)
        if known is None or closed_at < known:
            folder = self._root.under(instrument.replace("/", "-"), str(timeframe))
            folder.write(str(closed_at), b"followed\n")
            self._least[instrument, timeframe] = known = closed_at
        return known
