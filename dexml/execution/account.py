"""What the entries of a journal add up to: nonces, their transactions, open intents. Pure.

A nonce is a family: the transactions signed for it, of which the chain mines one. An intent has
one family that swaps and never a second, so that it cannot swap twice, whatever is mined when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dexml.errors import LedgerError
from dexml.execution.entries import (
    Adopted,
    Began,
    Closed,
    Entry,
    Mined,
    Opened,
    Purpose,
    Settled,
    Signed,
    Unmined,
)

__all__ = ["AccountBook", "Family"]


@dataclass(slots=True, kw_only=True)
class Family:
    """Everything about one nonce."""

    nonce: int
    mark: str
    attempts: list[Signed] = field(default_factory=list)
    adopted: Adopted | None = None
    mined: Mined | None = None
    settled: bool = False

    @property
    def hashes(self) -> list[str]:
        """Hashes that may be mined for it, the newest first."""
        known = [one.tx_hash for one in reversed(self.attempts)]
        return known + ([self.adopted.tx_hash] if self.adopted else [])

    @property
    def swaps(self) -> bool:
        """Whether a swap may be mined for it."""
        ours = any(one.purpose is Purpose.SWAP for one in self.attempts)
        return ours or (self.adopted is not None and self.adopted.purpose is Purpose.SWAP)

    def purpose_of(self, tx_hash: str) -> Purpose:
        """Return what a transaction of it is for."""
        if self.adopted is not None and self.adopted.tx_hash == tx_hash:
            return self.adopted.purpose
        return next(one.purpose for one in self.attempts if one.tx_hash == tx_hash)


class AccountBook:
    """The state of an account, folded from its journal.

    Attributes
    ----------
    families : dict of nonce to Family
        Those that are not settled, and those of intents that are open.
    opened : dict of mark to Opened
        Intents that are not final.
    closed : dict of mark to Closed
        Intents that are.
    next_nonce : int or None
        The next one to sign for; None before the journal began.
    gas_wei : int
        Paid for everything that is mined.
    last_block : int
        Newest that an entry speaks of: what the journal has lost is not older.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.families: dict[int, Family] = {}
        self.opened: dict[str, Opened] = {}
        self.closed: dict[str, Closed] = {}
        self.began: Began | None = None
        self.next_nonce: int | None = None
        self.gas_wei = 0
        self.last_block = 0
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Take an entry in.

        Raises
        ------
        LedgerError
            If it cannot follow what is there: a gap in the nonces, two intents on one nonce, a
            second swap for an intent.
        """
        self.last_block = max(self.last_block, getattr(entry, "block", 0))
        match entry:
            case Began():
                self.began, self.next_nonce = entry, entry.nonce
            case Opened():
                _require(entry.mark not in self.closed, entry, "must open an intent once")
                self.opened[entry.mark] = entry
            case Signed() | Adopted():
                self._joined(entry)
            case Mined():
                self._mined(entry)
            case Unmined():
                self._unmined(entry)
            case Settled():
                self._settled(entry)
            case Closed():
                self._closed(entry)

    def may_swap(self, mark: str) -> bool:
        """Tell whether nothing that was ever signed for an intent may still swap."""
        signed = (one.mark for family in self.pending() for one in family.attempts if one.raw)
        return mark not in signed and not any(family.swaps for family in self.of(mark))

    def of(self, mark: str) -> list[Family]:
        """Return the families of an intent, by nonce."""
        return [one for _nonce, one in sorted(self.families.items()) if one.mark == mark]

    def pending(self) -> list[Family]:
        """Return the families that may still change, by nonce."""
        return [one for _nonce, one in sorted(self.families.items()) if not one.settled]

    def _joined(self, entry: Signed | Adopted) -> None:
        if entry.nonce == self.next_nonce:
            self.families[entry.nonce] = Family(nonce=entry.nonce, mark=entry.mark)
            self.next_nonce += 1
        family = self.families.get(entry.nonce)
        if family is None:
            raise _refused(entry, "must use the next nonce, or one that is open")
        if isinstance(entry, Adopted):
            family.mark, family.adopted = entry.mark, entry
            return
        _require(entry.mark == family.mark, entry, "must have the intent of its nonce")
        swaps = [one for one in self.of(entry.mark) if one.swaps and one is not family]
        _require(entry.purpose is not Purpose.SWAP or not swaps, entry, "must swap on one nonce")
        family.attempts.append(entry)

    def _mined(self, entry: Mined) -> None:
        family = self._family(entry)
        _require(family.mined is None, entry, "must be the only one mined for its nonce")
        family.mined = entry
        self.gas_wei += entry.gas_wei

    def _unmined(self, entry: Unmined) -> None:
        family = self._family(entry)
        if family.mined is None or family.settled:
            raise _refused(entry, "must take back what is mined and not settled")
        self.gas_wei -= family.mined.gas_wei
        family.mined = None

    def _settled(self, entry: Settled) -> None:
        family = self._family(entry)
        known = family.mined is not None and family.mined.tx_hash == entry.tx_hash
        _require(known, entry, "must settle what is mined")
        family.settled = True
        if family.purpose_of(entry.tx_hash) is Purpose.FOREIGN:
            del self.families[entry.nonce]

    def _closed(self, entry: Closed) -> None:
        _require(entry.mark in self.opened, entry, "must close an open intent")
        _require(all(one.settled for one in self.of(entry.mark)), entry, "must be settled first")
        for family in self.of(entry.mark):
            del self.families[family.nonce]
        del self.opened[entry.mark]
        self.closed[entry.mark] = entry

    def _family(self, entry: Mined | Unmined | Settled) -> Family:
        family = self.families.get(entry.nonce)
        if family is None or entry.tx_hash not in family.hashes:
            raise _refused(entry, "must be of a transaction that is in the journal")
        return family


def _require(holds: bool, entry: Entry, rule: str) -> None:
    if not holds:
        raise _refused(entry, rule)


def _refused(entry: Entry, rule: str) -> LedgerError:
    fix = "Halt: the journal and what wrote it do not fit."
    return LedgerError(f"journal entry {entry.kind!r}", rule, entry, fix)
