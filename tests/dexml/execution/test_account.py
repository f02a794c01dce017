"""What a journal may say, and what it may not."""

from __future__ import annotations

import pytest

from dexml.errors import LedgerError
from dexml.execution.account import AccountBook
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
    entry_bytes,
    read_entry,
)

BEGAN = Began(account="0x1", chain_id=1, nonce=5, block=100)


def _opened(mark: str = "a") -> Opened:
    return Opened(
        mark=mark,
        intent_id=mark,
        token_in="0x2",
        token_out="0x3",
        amount_in=10**30,
        minimum_out=1,
        expires_at=9,
    )


def _signed(nonce: int, tx: str, purpose: Purpose = Purpose.SWAP, mark: str = "a") -> Signed:
    return Signed(
        mark=mark,
        nonce=nonce,
        purpose=purpose,
        tx_hash=tx,
        raw="02",
        to="0x4",
        data="",
        gas_limit=1,
        max_fee_wei=1,
        tip_wei=1,
        deadline=1,
        block=101,
    )


def _mined(nonce: int, tx: str) -> Mined:
    return Mined(nonce=nonce, tx_hash=tx, block=102, block_hash="0x5", succeeded=True, gas_wei=7)


def _closed(mark: str = "a") -> Closed:
    return Closed(
        mark=mark,
        intent_id=mark,
        token_in="0x2",
        token_out="0x3",
        at=1,
        filled=True,
        amount_in=1,
        amount_out=1,
        gas_wei=7,
        tx_hash="t",
        reason="",
    )


WHOLE: list[Entry] = [
    BEGAN,
    _opened(),
    _signed(5, "t"),
    _mined(5, "t"),
    Unmined(nonce=5, tx_hash="t"),
    _mined(5, "t"),
    Settled(nonce=5, tx_hash="t"),
    _closed(),
]


def test_an_order_leaves_nothing_but_its_outcome_its_gas_and_its_nonce() -> None:
    book = AccountBook(WHOLE)
    assert (book.families, book.opened, set(book.closed)) == ({}, {}, {"a"})
    assert (book.gas_wei, book.next_nonce, book.last_block) == (7, 6, 102)


def test_what_a_reorganisation_takes_back_costs_nothing() -> None:
    assert AccountBook(WHOLE[:5]).gas_wei == 0


@pytest.mark.parametrize("entry", WHOLE)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert read_entry(entry_bytes(entry)) == entry


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (_signed(7, "u"), "must use the next nonce"),
        (_signed(4, "u"), "must use the next nonce"),
        (_signed(5, "u", mark="b"), "must have the intent of its nonce"),
        (_signed(6, "u"), "must swap on one nonce"),
        (_mined(5, "u"), "must be of a transaction that is in the journal"),
        (Settled(nonce=5, tx_hash="t"), "must settle what is mined"),
        (Unmined(nonce=5, tx_hash="t"), "must take back what is mined"),
        (_closed(), "must be settled first"),
        (_closed("b"), "must close an open intent"),
    ],
)
def test_what_cannot_follow_is_refused(entry: Entry, rule: str) -> None:
    book = AccountBook(WHOLE[:3])
    with pytest.raises(LedgerError, match=rule):
        book.add(entry)


def test_a_nonce_mines_one_transaction() -> None:
    book = AccountBook([*WHOLE[:3], _signed(5, "u", Purpose.CANCEL), _mined(5, "u")])
    with pytest.raises(LedgerError, match="must be the only one mined"):
        book.add(_mined(5, "t"))


def test_an_intent_that_is_final_is_not_opened_again() -> None:
    with pytest.raises(LedgerError, match="must open an intent once"):
        AccountBook([*WHOLE, _opened()])


def test_while_its_bytes_may_be_mined_an_intent_gets_no_second_swap() -> None:
    book = AccountBook(WHOLE[:3])
    assert not book.may_swap("a")
    stolen = Adopted(mark="", nonce=5, purpose=Purpose.FOREIGN, tx_hash="x", block=102)
    for entry in (stolen, _mined(5, "x")):
        book.add(entry)
        assert not book.may_swap("a"), "a reorganisation may bring our bytes back"
    book.add(Settled(nonce=5, tx_hash="x"))
    assert book.may_swap("a")
