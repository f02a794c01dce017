"""One swap for one intent, whatever dies: the journal leads, the chain decides, nothing is guessed.

An intent is written down, then each of its transactions is signed, written down and only then
sent. What became of it is what a quorum of nodes shows, looked up by hash; until then it is
unknown, and the same bytes are sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dexml.errors import ExecutionError
from dexml.execution.account import AccountBook, Family
from dexml.execution.config import EngineConfig
from dexml.execution.entries import Began, Closed, Mined, Opened, Purpose
from dexml.execution.journal import Journal
from dexml.execution.market import Routers
from dexml.execution.nodes import Nodes
from dexml.execution.planning import Planner, Refusal, SwapOrder
from dexml.execution.records import Records
from dexml.execution.rpc import Block, NodeAway
from dexml.execution.signing import Signer, SignerRefused
from dexml.execution.swapping import mark_of, moved
from dexml.execution.tending import Tender

__all__ = ["Engine", "EngineConfig"]

_MAX_APPROVALS = 3


class Engine:
    """Carries out orders of one account, one at a time, each at most once.

    Parameters
    ----------
    wait : callable
        Called between two looks at the chain.
    """

    def __init__(
        self,
        nodes: Nodes,
        signer: Signer,
        journal: Journal,
        routers: Routers,
        config: EngineConfig,
        wait: Callable[[], None],
    ) -> None:
        self._nodes, self._signer, self._wait, self._config = nodes, signer, wait, config
        self._records = Records(journal)
        self._orders: dict[str, SwapOrder] = {}
        self._recovered = False
        self._tender = Tender(
            nodes,
            signer,
            self._records,
            config.fees,
            confirmations=config.confirmations,
            patience_blocks=config.patience_blocks,
        )
        self._planner = Planner(
            nodes,
            signer.address,
            routers,
            config.fees,
            slippage_bps=config.slippage_bps,
            deadline_s=config.deadline_s,
        )

    @property
    def book(self) -> AccountBook:
        """What the journal adds up to; to be read only."""
        return self._records.book

    def recover(self) -> None:
        """Take in what the chain has and the journal lacks; nothing new is begun before.

        Raises
        ------
        NodeAway
            If the nodes do not answer or agree: call it again.
        ExecutionError
            If the journal is of another account or chain.
        """
        head = self._nodes.head()
        if self.book.began is None:
            self._begin(head)
        self._require_own_journal()
        used = self._nodes.nonce(self._signer.address, head.number)
        while self.book.next_nonce is not None and self.book.next_nonce < used:
            before = self.book.next_nonce
            self._tender.adopt(before, head)
            if self.book.next_nonce == before:
                fix = "Give a node that keeps the state of old blocks, and start again."
                raise ExecutionError(f"nonce {before}", "must be found on the chain", "lost", fix)
        self._recovered = True

    def execute(self, order: SwapOrder) -> Closed | None:
        """Bring an order forward by one look at the chain; return what became of it, if final.

        The same order may be given any number of times, after a restart too. None: it is under
        way, or waits for the one before it; ask again.

        Raises
        ------
        NodeAway
            If the nodes do not answer or agree; nothing follows from it.
        """
        if not self._recovered:
            self.recover()
        done = self.book.closed.get(order.mark)
        if done is not None:
            return done
        if order.mark not in self.book.opened and not self._busy():
            self._records.write(_opened(order))
        opened = self.book.opened.get(order.mark)
        if opened is not None:  # asked again it does not live longer
            self._orders[order.mark] = replace(order, expires_at=opened.expires_at)
        self.advance()
        return self.book.closed.get(order.mark)

    def run(self, order: SwapOrder, n_looks: int) -> Closed | None:
        """Look until the order is final, at most `n_looks` times; None: it is not yet."""
        for _look in range(n_looks):
            done = self.execute(order)
            if done is not None:
                return done
            self._wait()
        return None

    def outcome(self, intent_id: str) -> Closed | None:
        """Return what became of an intent; None if it is not final or was never taken on."""
        return self.book.closed.get(mark_of(intent_id))

    def is_unresolved(self, intent_id: str) -> bool:
        """Tell whether something signed for an intent that is not final may still change."""
        families = self.book.of(mark_of(intent_id))
        return any(one.swaps or not one.settled for one in families)

    def chain_time(self) -> int:
        """Return the chain's own time, in seconds."""
        return self._nodes.head().timestamp

    def advance(self) -> Block:
        """Look at the chain once, and do what follows for everything that is under way."""
        if not self._recovered:
            self.recover()
        head = self._nodes.head()
        self._tender.tend(head)
        for mark in list(self.book.opened):
            self._step(mark, head)
        return head

    def _begin(self, head: Block) -> None:
        block = max(0, head.number - self._config.lookback_blocks)
        recent = [one.nonce for one in self._tender.own(block, head.number)]
        nonce = min(recent, default=self._nodes.nonce(self._signer.address, head.number))
        account, chain_id = self._signer.address, self._nodes.chain_id
        self._records.write(Began(account=account, chain_id=chain_id, nonce=nonce, block=block))

    def _require_own_journal(self) -> None:
        began = self.book.began
        mine = (self._signer.address.lower(), self._nodes.chain_id)
        was = (began.account.lower(), began.chain_id) if began else None
        if was != mine:
            fix = "Give each account on each chain a journal of its own."
            raise ExecutionError("journal", f"must be of account and chain {mine}", was, fix)

    def _busy(self) -> bool:
        return any(family.mined is None for family in self.book.pending())

    def _step(self, mark: str, head: Block) -> None:
        families = self.book.of(mark)
        if any(one.mined is None for one in families):
            return
        swap = next((one for one in families if one.swaps), None)
        if swap is not None:
            if all(one.settled for one in families) and swap.mined is not None:
                self._close(mark, swap, swap.mined)
            return
        if self.book.may_swap(mark) and not self._busy():
            self._go_on(mark, families, head)

    def _go_on(self, mark: str, families: list[Family], head: Block) -> None:
        failed = _failed_approval(families)
        order = self._orders.get(mark)
        if failed is not None:
            decided: Refusal | None = failed
        elif order is not None:
            decided = self._sign_next(order, head)
        elif head.timestamp > self.book.opened[mark].expires_at:
            decided = Refusal(reason="expired: nobody asked for it again")
        else:
            return  # whoever wanted it will ask again, and say in which pools
        if decided is not None and all(one.settled for one in families):
            self._finish(self._failed(mark, decided.reason, head.timestamp))

    def _sign_next(self, order: SwapOrder, head: Block) -> Refusal | None:
        nonce = self.book.next_nonce
        assert nonce is not None  # recovered
        plan = self._planner.next(order, nonce, head)
        if isinstance(plan, Refusal):
            return plan
        try:
            self._tender.send(plan.transaction, order.mark, plan.purpose, plan.until, head.number)
        except SignerRefused as error:
            return Refusal(reason=error.problem)
        return None

    def _close(self, mark: str, swap: Family, mined: Mined) -> None:
        purpose = swap.purpose_of(mined.tx_hash)
        swapped = purpose is Purpose.SWAP and mined.succeeded
        paid, received = self._moved(mark, mined) if swapped else (0, 0)
        filled = paid > 0 or received > 0  # a call to an address without code succeeds, too
        reason = "" if filled else _why_not(purpose, mined)
        block = self._nodes.first(lambda node: node.block(mined.block))
        closed = replace(
            self._failed(mark, reason, block.timestamp if block else 0),
            filled=filled,
            amount_in=paid,
            amount_out=received,
            tx_hash=mined.tx_hash,
        )
        self._finish(closed)

    def _moved(self, mark: str, mined: Mined) -> tuple[int, int]:
        receipt = self._nodes.receipt(mined.tx_hash)
        if receipt is None:
            fix = "Wait: a node that has it will answer."
            raise NodeAway(f"receipt of {mined.tx_hash}", "must be there", "missing", fix)
        opened, account = self.book.opened[mark], self._signer.address
        left, came_back = moved(receipt, opened.token_in, account)
        given, reached = moved(receipt, opened.token_out, account)
        return left - came_back, reached - given

    def _failed(self, mark: str, reason: str, at: int) -> Closed:
        opened = self.book.opened[mark]
        return Closed(
            mark=mark,
            intent_id=opened.intent_id,
            token_in=opened.token_in,
            token_out=opened.token_out,
            at=at,
            filled=False,
            amount_in=0,
            amount_out=0,
            gas_wei=self._gas(mark),
            tx_hash=None,
            reason=reason,
        )

    def _finish(self, closed: Closed) -> None:
        self._records.write(closed)
        self._orders.pop(closed.mark, None)

    def _gas(self, mark: str) -> int:
        return sum(one.mined.gas_wei for one in self.book.of(mark) if one.mined is not None)


def _opened(order: SwapOrder) -> Opened:
    return Opened(
        mark=order.mark,
        intent_id=order.intent_id,
        token_in=order.token_in,
        token_out=order.token_out,
        amount_in=order.amount_in,
        minimum_out=order.minimum_out,
        expires_at=order.expires_at,
    )


def _failed_approval(families: list[Family]) -> Refusal | None:
    for one in families:
        if one.mined is not None and not one.mined.succeeded:
            return Refusal(reason="its approval reverted on the chain")
        if one.mined is not None and one.purpose_of(one.mined.tx_hash) is Purpose.CANCEL:
            return Refusal(reason="its approval was cancelled: it was not mined in time")
    if len(families) > _MAX_APPROVALS:
        return Refusal(reason="approvals of the token do not take effect")
    return None


def _why_not(purpose: Purpose, mined: Mined) -> str:
    if purpose is not Purpose.SWAP:
        return "cancelled: its deadline passed before it was mined"
    return "no token moved" if mined.succeeded else "reverted on the chain"
