"""An account on the local chain with an engine, and the judge of what it did there."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from dexml.domain import Side
from dexml.execution.engine import Engine, EngineConfig
from dexml.execution.entries import Closed, Entry, Purpose, Signed
from dexml.execution.journal import FileJournal, Journal
from dexml.execution.nodes import Nodes
from dexml.execution.planning import SwapOrder
from dexml.execution.rpc import Node, Receipt, Sent
from dexml.execution.swapping import ALLOWANCE, moved, read_mark
from dexml.simulation.chain import LocalChain
from dexml.simulation.chain.keys import LocalKey

ETHER = 10**18
LOOKS = 60
_WORDS = itertools.count()


@dataclass(kw_only=True)
class Rig:
    """One funded account; engines come and go, the journal and the chain stay."""

    chain: LocalChain
    path: Path
    config: EngineConfig = field(default_factory=EngineConfig)
    key: LocalKey = field(default_factory=lambda: LocalKey(f"rig {next(_WORDS)}"))
    first_block: int = 0
    funded_wei: int = 10 * ETHER

    def __post_init__(self) -> None:
        self.market = self.chain.world.market("ETH/USDT")
        amounts = {"USDT": Decimal(100_000), "ETH": Decimal(20)}
        self.chain.mine_at_once(True)
        self.chain.fund(self.key.address, self.funded_wei, amounts)
        self.chain.mine_at_once(False)
        self.first_block = self.chain.head().number
        self.funded = {
            token.address: self.chain.balance(token, self.key.address)
            for token in (self.market.base, self.market.quote)
        }

    def nodes(self, *urls: str, senders: Sequence[str] = (), quorum: int = 1) -> Nodes:
        return Nodes(
            [Node(url, limit_s=5.0) for url in urls or (self.chain.url,)],
            self.chain.chain_id,
            senders=[Node(url, limit_s=5.0) for url in senders],
            quorum=quorum,
        )

    @contextmanager
    def engine(
        self,
        nodes: Nodes | None = None,
        wrapped: Callable[[Journal], Journal] = lambda journal: journal,
        wait: Callable[[], None] | None = None,
    ) -> Iterator[Engine]:
        """A new life of the engine on the same journal."""
        with FileJournal(self.path) as journal:
            yield Engine(
                nodes or self.nodes(),
                self.key,
                wrapped(journal),
                self.chain.world.routers,
                self.config,
                wait or self.chain.mine,
            )

    def order(self, name: str, side: Side = Side.BUY, amount: str = "1000") -> SwapOrder:
        token_in, token_out = self.market.sides(side)
        return SwapOrder(
            intent_id=name,
            token_in=token_in.address,
            token_out=token_out.address,
            amount_in=token_in.units(Decimal(amount)),
            minimum_out=1,
            pools=self.market.pools,
            expires_at=self.chain.head().timestamp + 1_200,
        )

    def v2_order(self, name: str, **changed: object) -> SwapOrder:
        return replace(self.order(name), pools=self.market.pools[:1], **changed)  # type: ignore[arg-type]

    def entries(self) -> list[Entry]:
        with FileJournal(self.path) as journal:
            return list(journal.entries())

    def sent(self) -> list[tuple[Sent, Receipt]]:
        """Everything of the account that is on the chain, by nonce."""
        found = []
        for number in range(self.first_block, self.chain.head().number + 1):
            for one in self.chain.node.transactions(number):
                if one.sender.lower() == self.key.address.lower():
                    receipt = self.chain.node.receipt(one.tx_hash)
                    assert receipt is not None
                    found.append((one, receipt))
        return sorted(found, key=lambda pair: pair[0].nonce)

    def judge(self, *outcomes: Closed, wei: int | None = None) -> None:
        """Check what must hold on the chain whatever happened on the way."""
        sent = self.sent()
        assert [one.nonce for one, _receipt in sent] == list(range(len(sent))), "a gap"
        known = {entry.tx_hash for entry in self.entries() if hasattr(entry, "tx_hash")}
        assert {one.tx_hash for one, _receipt in sent} <= known, "not in the journal"
        self._judge_swaps(sent, outcomes)
        self._judge_balances(sent, outcomes, wei)
        for entry in self.entries():
            if isinstance(entry, Signed):
                cost = entry.max_fee_wei * entry.gas_limit
                assert cost <= self.config.fees.budget_wei

    def _judge_swaps(self, sent: list[tuple[Sent, Receipt]], outcomes: Sequence[Closed]) -> None:
        swaps: Counter[str | None] = Counter()
        for one, receipt in sent:
            if receipt.succeeded and self._out_of(receipt) > 0:
                swaps[read_mark(one.data)] += 1
        assert set(swaps.values()) <= {1}, "swapped twice"
        filled = {one.mark for one in outcomes if one.filled}
        shown = [(one.nonce, one.block_number, receipt.succeeded) for one, receipt in sent]
        assert set(swaps) == filled, f"filled is what the chain shows: {shown}, {outcomes}"

    def _out_of(self, receipt: Receipt) -> int:
        tokens = (self.market.base.address, self.market.quote.address)
        return max(moved(receipt, token, self.key.address)[1] for token in tokens)

    def _judge_balances(
        self, sent: list[tuple[Sent, Receipt]], outcomes: Sequence[Closed], wei: int | None
    ) -> None:
        gas = sum(receipt.gas_wei for _one, receipt in sent)
        held = self.chain.node.balance(self.key.address)
        assert (self.funded_wei if wei is None else wei) - held == gas
        assert sum(one.gas_wei for one in outcomes) == gas, "unbooked gas"
        expected = Counter(self.funded)
        for one in outcomes:
            spent = self.spent[one.mark]
            expected[spent[0]] -= one.amount_in
            expected[spent[1]] += one.amount_out
        for token in (self.market.base, self.market.quote):
            assert self.chain.balance(token, self.key.address) == expected[token.address]

    @property
    def spent(self) -> dict[str, tuple[str, str]]:
        opened = [entry for entry in self.entries() if entry.kind == "opened"]
        return {entry.mark: (entry.token_in, entry.token_out) for entry in opened}

    def allowance(self, token: str, router: str) -> int:
        data = self.chain.node.call(token, ALLOWANCE.call(self.key.address, router))
        return int(ALLOWANCE.answer(data)[0])


def done(closed: Closed | None) -> Closed:
    """Return what became of an order that must have ended."""
    assert closed is not None
    return closed


def signed_for(rig: Rig, purpose: Purpose) -> list[Signed]:
    """Return what was signed for a purpose, as the journal has it."""
    every = (one for one in rig.entries() if isinstance(one, Signed))
    return [one for one in every if one.purpose is purpose]


def do(rig: Rig, to: str, data: bytes) -> None:
    """Have the builder of the chain call a contract at once."""
    rig.chain.mine_at_once(True)
    rig.chain.builder.do(to, data)
    rig.chain.mine_at_once(False)


def send_swap(rig: Rig, engine: Engine, order: SwapOrder) -> None:
    """Carry an order on until its swap is sent, and mine nothing after."""
    while not any(family.swaps for family in engine.book.families.values()):
        engine.execute(order)
        if not any(family.swaps for family in engine.book.families.values()):
            rig.chain.mine()
