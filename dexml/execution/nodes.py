"""Several nodes of one chain: reads need a quorum, sends go everywhere they may.

What the nodes do not agree on is unknown, and of the unknown nothing follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from dexml.errors import ConfigError, ExecutionError
from dexml.execution.rpc import Block, Node, NodeAway, NodeRefused, Receipt, Reverted, Sent

__all__ = ["Nodes", "NodesDisagree", "WrongChain"]

MAX_LAG_BLOCKS = 3
T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)


class NodesDisagree(NodeAway):
    """The nodes give different answers; which is right is not known yet."""


class WrongChain(ExecutionError):
    """A node is of another chain: nothing may be sent."""


class Nodes:
    """The nodes of a chain.

    Parameters
    ----------
    readers : sequence of Node
        Asked for what is.
    senders : sequence of Node, optional
        Where signed transactions go: a private endpoint, say. By default the readers.
    chain_id : int
        What every one of them must say; asked again after a node was away.
    quorum : int
        How many readers must agree on a block or a receipt.

    Raises
    ------
    ConfigError
        If there are fewer readers than the quorum.
    """

    def __init__(
        self,
        readers: Sequence[Node],
        chain_id: int,
        *,
        senders: Sequence[Node] = (),
        quorum: int = 1,
    ) -> None:
        if not 1 <= quorum <= len(readers):
            rule = f"must be 1..{len(readers)}, the number of nodes"
            raise ConfigError("quorum of nodes", rule, quorum, "Name more nodes.")
        self.chain_id, self.quorum = chain_id, quorum
        self._readers, self._senders = tuple(readers), tuple(senders or readers)
        self._unchecked = set(self._readers + self._senders)
        self._fresh = self._readers

    def head(self) -> Block:
        """Return the newest block that a quorum has, and read from those that have it.

        Raises
        ------
        NodeAway, NodesDisagree
            If too few answer, or they have different blocks.
        WrongChain
            If a node is of another chain.
        """
        newest = self._newest()
        highest = max(block.number for block in newest.values())
        fresh = {
            node: block
            for node, block in newest.items()
            if block.number >= highest - MAX_LAG_BLOCKS
        }
        if len(fresh) < self.quorum:
            raise self._too_few("keep up with the others", len(fresh))
        number = sorted((block.number for block in fresh.values()), reverse=True)[self.quorum - 1]
        having = {node: block for node, block in fresh.items() if block.number >= number}
        blocks = {node: self._at(node, block, number) for node, block in having.items()}
        agreed = self._agreed([one for one in blocks.values() if one], lambda block: block.hash)
        self._fresh = tuple(node for node, block in blocks.items() if block == agreed)
        return agreed

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return the receipt that a quorum has; None only if nobody has one.

        Raises
        ------
        NodeAway, NodesDisagree
            If too few answer, or they differ.
        """
        answers = self._asked(lambda node: node.receipt(tx_hash))
        found = [one for one in answers if one is not None]
        if not found:
            return None
        return self._agreed(found, lambda one: (one.block_hash, one.succeeded, one.gas_wei))

    def nonce(self, address: str, block: int) -> int:
        """Return how many transactions of `address` a quorum has seen mined up to a block."""
        return self._agreed(self._asked(lambda node: node.nonce(address, block)), lambda one: one)

    def knows(self, tx_hash: str) -> bool:
        """Tell whether some node has the transaction, waiting or mined."""
        return any(self._asked(lambda node: node.knows(tx_hash), least=1))

    def transactions(self, number: int) -> list[Sent]:
        """Return the transactions of a block."""
        return self.first(lambda node: node.transactions(number))

    def first(self, asked: Callable[[Node], T]) -> T:
        """Return the answer of the first node that is fresh and answers; `Reverted` is one."""
        for node in self._fresh:
            try:
                return asked(node)
            except Reverted:
                raise
            except (NodeAway, NodeRefused):  # some refuse with "limit exceeded"
                self._unchecked.add(node)
        raise self._too_few("answer", 0)

    def send(self, raw: bytes) -> list[str]:
        """Send a signed transaction everywhere; return complaints, from which nothing follows.

        Raises
        ------
        WrongChain
            If a node is of another chain.
        """
        complaints = []
        for node in self._senders:
            try:
                self._check_chain(node)
                node.send(raw)
            except (NodeAway, NodeRefused) as error:
                complaints.append(error.was)
        return complaints

    def _newest(self) -> dict[Node, Block]:
        newest: dict[Node, Block] = {}
        for node in self._readers:
            try:
                self._check_chain(node)
                block = node.block()
            except (NodeAway, NodeRefused):
                self._unchecked.add(node)
                continue
            if block is not None:
                newest[node] = block
        if len(newest) < self.quorum:
            raise self._too_few("answer", len(newest))
        return newest

    def _check_chain(self, node: Node) -> None:
        if node not in self._unchecked:
            return
        if (told := node.chain_id()) != self.chain_id:
            fix = "Correct its address, or the chain of the market."
            raise WrongChain(f"{node!r}", f"must be of chain {self.chain_id}", told, fix)
        self._unchecked.discard(node)

    def _at(self, node: Node, newest: Block, number: int) -> Block | None:
        if newest.number == number:
            return newest
        try:
            return node.block(number)
        except (NodeAway, NodeRefused):
            return None

    def _asked(self, asked: Callable[[Node], T], least: int | None = None) -> list[T]:
        answers = []
        for node in self._fresh:
            try:
                answers.append(asked(node))
            except (NodeAway, NodeRefused):
                self._unchecked.add(node)
        if len(answers) < (self.quorum if least is None else least):
            raise self._too_few("answer", len(answers))
        return answers

    def _agreed(self, answers: Sequence[T], key: Callable[[T], Key]) -> T:
        votes = Counter(key(one) for one in answers)
        if not votes or (most := votes.most_common(1)[0])[1] < self.quorum:
            fix = "Wait: one of them is behind, or on another branch."
            raise NodesDisagree("nodes", f"must agree, {self.quorum} of them", dict(votes), fix)
        return next(one for one in answers if key(one) == most[0])

    def _too_few(self, what: str, n_nodes: int) -> NodeAway:
        rule = f"must {what}, at least {self.quorum} of {len(self._readers)}"
        return NodeAway("nodes of the chain", rule, n_nodes, "Check their addresses and limits.")
