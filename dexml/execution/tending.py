"""What is signed is seen through: found, sent again, raised, cancelled, counted as it confirms."""

from __future__ import annotations

from collections.abc import Iterator

from dexml.execution.account import Family
from dexml.execution.entries import Adopted, Mined, Purpose, Settled, Signed, Unmined
from dexml.execution.fees import FeePolicy, Fees, Unaffordable
from dexml.execution.nodes import Nodes
from dexml.execution.records import Records
from dexml.execution.rpc import Block, Receipt, Sent
from dexml.execution.signing import Signer, SignerRefused, Transaction, signed
from dexml.execution.swapping import APPROVE, marked, read_mark

__all__ = ["Tender"]

_CANCEL_GAS = 30_000


class Tender:
    """Looks after the transactions of an account until each nonce is settled.

    Parameters
    ----------
    confirmations : int
        Blocks, its own included, after which what is mined stays.
    patience_blocks : int
        After so many without being mined it offers more.
    """

    def __init__(
        self,
        nodes: Nodes,
        signer: Signer,
        records: Records,
        fees: FeePolicy,
        *,
        confirmations: int,
        patience_blocks: int,
    ) -> None:
        self._nodes, self._signer, self._records = nodes, signer, records
        self._fees = fees
        self._confirmations, self._patience = confirmations, patience_blocks

    def tend(self, head: Block) -> None:
        """Bring every nonce that is not settled up to what the chain shows at `head`."""
        for family in self._records.book.pending():
            receipt = self._receipt(family, head)
            if receipt is not None:
                self._found(family, receipt, head)
            else:
                self._missing(family, head)

    def send(self, draft: Transaction, mark: str, purpose: Purpose, until: int, at: int) -> None:
        """Sign, make durable, and only then send.

        Parameters
        ----------
        until : int
            Chain time after which it is cancelled.
        at : int
            Number of the present head.
        """
        raw, tx_hash = signed(self._signer, draft)
        entry = Signed(
            mark=mark,
            nonce=draft.nonce,
            purpose=purpose,
            tx_hash=tx_hash,
            raw=raw.hex(),
            to=draft.to,
            data=draft.data.hex(),
            gas_limit=draft.gas_limit,
            max_fee_wei=draft.max_fee_wei,
            tip_wei=draft.tip_wei,
            deadline=until,
            block=at,
        )
        self._records.write(entry)
        self._nodes.send(raw)

    def adopt(self, nonce: int, head: Block) -> None:
        """Take in the mined transaction that used `nonce` and is not in the journal."""
        found = self._mined_with(nonce, head)
        if found is None:
            return
        known = self._records.book.families.get(nonce)
        if known is not None and found.tx_hash in known.hashes:
            return  # a node denied its receipt
        mark, purpose = self._meaning(found)
        block = found.block_number or head.number
        self._records.write(
            Adopted(mark=mark, nonce=nonce, purpose=purpose, tx_hash=found.tx_hash, block=block)
        )

    def _receipt(self, family: Family, head: Block) -> Receipt | None:
        for tx_hash in family.hashes:
            receipt = self._nodes.receipt(tx_hash)
            if receipt is not None and receipt.block_number <= head.number:
                return receipt
        return None

    def _found(self, family: Family, receipt: Receipt, head: Block) -> None:
        entry = Mined(
            nonce=family.nonce,
            tx_hash=receipt.tx_hash,
            block=receipt.block_number,
            block_hash=receipt.block_hash,
            succeeded=receipt.succeeded,
            gas_wei=receipt.gas_wei,
        )
        if family.mined is not None and family.mined != entry:
            self._records.write(Unmined(nonce=family.nonce, tx_hash=family.mined.tx_hash))
        if family.mined is None:
            self._records.write(entry)
        if head.number - entry.block + 1 >= self._confirmations:
            self._records.write(Settled(nonce=family.nonce, tx_hash=entry.tx_hash))

    def _missing(self, family: Family, head: Block) -> None:
        if family.mined is not None:
            self._records.write(Unmined(nonce=family.nonce, tx_hash=family.mined.tx_hash))
        if self._nodes.nonce(self._signer.address, head.number) > family.nonce:
            self.adopt(family.nonce, head)
            return
        if not family.attempts:  # adopted and gone again: there are no bytes of it to send
            self._take_back(family, head)
            return
        newest = family.attempts[-1]
        if head.timestamp > newest.deadline and newest.purpose is not Purpose.CANCEL:
            self._offer(family, head, Purpose.CANCEL)
        elif head.number - newest.block >= self._patience:
            self._offer(family, head, newest.purpose)
        newest = family.attempts[-1]
        if not self._nodes.knows(newest.tx_hash):
            self._nodes.send(bytes.fromhex(newest.raw))

    def _offer(self, family: Family, head: Block, purpose: Purpose) -> None:
        newest = family.attempts[-1]
        old = Fees(max_fee_wei=newest.max_fee_wei, tip_wei=newest.tip_wei)
        cancels = purpose is Purpose.CANCEL
        gas = _CANCEL_GAS if cancels else newest.gas_limit
        try:
            fees = self._fees.raised(old, head.base_fee_wei, gas)
            draft = self._cancel(family, fees) if cancels else self._again(newest, fees)
            self.send(draft, family.mark, purpose, newest.deadline, head.number)
        except (Unaffordable, SignerRefused):
            return  # what was sent may still be mined; it is looked up and sent again meanwhile

    def _take_back(self, family: Family, head: Block) -> None:
        fees = self._fees.first(head.base_fee_wei, self._fees.max_tip_wei, _CANCEL_GAS)
        draft = self._cancel(family, fees)
        self.send(draft, family.mark, Purpose.CANCEL, head.timestamp, head.number)

    def _cancel(self, family: Family, fees: Fees) -> Transaction:
        return Transaction(
            chain_id=self._nodes.chain_id,
            nonce=family.nonce,
            to=self._signer.address,
            data=marked(b"", family.mark),
            gas_limit=_CANCEL_GAS,
            max_fee_wei=fees.max_fee_wei,
            tip_wei=fees.tip_wei,
        )

    def _again(self, newest: Signed, fees: Fees) -> Transaction:
        return Transaction(
            chain_id=self._nodes.chain_id,
            nonce=newest.nonce,
            to=newest.to,
            data=bytes.fromhex(newest.data),
            gas_limit=newest.gas_limit,
            max_fee_wei=fees.max_fee_wei,
            tip_wei=fees.tip_wei,
        )

    def own(self, low: int, high: int) -> Iterator[Sent]:
        """Return the account's transactions in blocks low..high; it needs no old states."""
        account = self._signer.address.lower()
        for number in range(low, high + 1):
            every = self._nodes.transactions(number)
            yield from (one for one in every if one.sender.lower() == account)

    def _mined_with(self, nonce: int, head: Block) -> Sent | None:
        mine = self.own(self._earliest(nonce), head.number)
        return next((one for one in mine if one.nonce == nonce), None)

    def _earliest(self, nonce: int) -> int:
        book = self._records.book
        family = book.families.get(nonce)
        if family is not None and family.attempts:
            return family.attempts[0].block
        return book.last_block

    def _meaning(self, found: Sent) -> tuple[str, Purpose]:
        mark = read_mark(found.data)
        if mark is None:
            return "", Purpose.FOREIGN
        if found.data.startswith(APPROVE.selector):
            return mark, Purpose.APPROVE
        return mark, Purpose.CANCEL if len(found.data) == len(marked(b"", mark)) else Purpose.SWAP
