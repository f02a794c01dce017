"""What the journal of an account says, one entry at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

__all__ = [
    "Adopted",
    "Began",
    "Closed",
    "Entry",
    "Mined",
    "Opened",
    "Purpose",
    "Settled",
    "Signed",
    "Unmined",
    "entry_bytes",
    "read_entry",
]


class Purpose(StrEnum):
    """What a transaction is for."""

    APPROVE = "approve"
    SWAP = "swap"
    CANCEL = "cancel"  # uses the nonce up, so that what had it can never be mined
    FOREIGN = "foreign"  # not ours: somebody else has the key


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The journal starts: every nonce from `nonce` on is accounted for in it."""

    kind: Literal["began"] = "began"
    account: str
    chain_id: int
    nonce: int
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An intent is taken on; `mark` names it on the chain. Amounts in smallest units."""

    kind: Literal["opened"] = "opened"
    mark: str
    intent_id: str
    token_in: str
    token_out: str
    amount_in: int
    minimum_out: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A transaction that may be sent from now on; nothing was sent before this was durable.

    Attributes
    ----------
    raw : str
        The signed bytes, in hexadecimal digits: the only ones that are ever sent for this hash.
    deadline : int
        Chain time after which the nonce is taken back by a cancel.
    block : int
        Head when it was signed.
    """

    kind: Literal["signed"] = "signed"
    mark: str
    nonce: int
    purpose: Purpose
    tx_hash: str
    raw: str
    to: str
    data: str
    gas_limit: int
    max_fee_wei: int
    tip_wei: int
    deadline: int
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A transaction of our account, found in `block`, that the journal had lost or never had."""

    kind: Literal["adopted"] = "adopted"
    mark: str
    nonce: int
    purpose: Purpose
    tx_hash: str
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """A transaction is in a block; provisional until it is settled."""

    kind: Literal["mined"] = "mined"
    nonce: int
    tx_hash: str
    block: int
    block_hash: str
    succeeded: bool
    gas_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmined:
    """A reorganisation took a mined transaction out of the chain again."""

    kind: Literal["unmined"] = "unmined"
    nonce: int
    tx_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What is mined for a nonce has its confirmations: it stays."""

    kind: Literal["settled"] = "settled"
    nonce: int
    tx_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """An intent is final. Amounts in smallest units; gas of all its transactions in wei.

    Attributes
    ----------
    at : int
        Chain time of the block that decided it.
    """

    kind: Literal["closed"] = "closed"
    mark: str
    intent_id: str
    token_in: str
    token_out: str
    at: int
    filled: bool
    amount_in: int
    amount_out: int
    gas_wei: int
    tx_hash: str | None
    reason: str


Entry = Began | Opened | Signed | Adopted | Mined | Unmined | Settled | Closed
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])


def entry_bytes(entry: Entry) -> bytes:
    """Return an entry as one line of JSON, without its end."""
    return _ENTRY.dump_json(entry)


def read_entry(line: bytes) -> Entry:
    """Return the entry of a line; raises `ValueError` if it is none.

    Examples
    --------
    >>> entry = Settled(nonce=1, tx_hash="0x1")
    >>> read_entry(entry_bytes(entry)) == entry
    True
    """
    return _ENTRY.validate_json(line)
