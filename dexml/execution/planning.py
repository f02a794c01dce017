"""The next transaction of an intent: an approval of exactly what it spends, then its swap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from dexml.errors import ConfigError, DataError, ExecutionError
from dexml.execution.entries import Purpose
from dexml.execution.fees import FeePolicy, Unaffordable, gas_limit
from dexml.execution.market import Pool, Routers, Version
from dexml.execution.nodes import Nodes
from dexml.execution.rpc import Block, Node, NodeAway, NodeRefused, Reverted
from dexml.execution.signing import Transaction
from dexml.execution.swapping import ALLOWANCE, APPROVE, BALANCE, mark_of, marked, swap_call
from dexml.execution.uniswap.reading import Quote, best, quote

__all__ = ["Plan", "Planner", "Refusal", "SwapOrder"]

_GAS = {Version.V2: 130_000, Version.V3: 150_000}  # to compare routes; limits are estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOrder:
    """An intent in the integers of a chain.

    Attributes
    ----------
    amount_in, minimum_out : int
        Smallest units; both positive.
    expires_at : int
        Chain time after which nothing more is begun for it.
    out_per_wei : Decimal
        What a wei of gas is worth in smallest units of the token that comes out.
    """

    intent_id: str
    token_in: str
    token_out: str
    amount_in: int
    minimum_out: int
    pools: tuple[Pool, ...]
    expires_at: int
    out_per_wei: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("amount_in", "minimum_out"):
            if getattr(self, name) <= 0:
                was = getattr(self, name)
                raise DataError(f"order {name}", "must be positive", was, "Do not trade dust.")
        if not self.pools:
            raise ConfigError("order pools", "must not be empty", "()", "Name a pool.")

    @property
    def mark(self) -> str:
        """What names its intent on the chain."""
        return mark_of(self.intent_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A transaction to sign, what it is for, and the chain time until which it is wanted."""

    transaction: Transaction
    purpose: Purpose
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing is signed."""

    reason: str


class Planner:
    """Decides what to sign next for an order, from what the chain shows now.

    Parameters
    ----------
    slippage_bps : int
        Least that is accepted below a fresh quote; the order's own floor holds besides.
    deadline_s : int
        Chain seconds that a swap may wait to be mined.
    """

    def __init__(
        self,
        nodes: Nodes,
        account: str,
        routers: Routers,
        fees: FeePolicy,
        *,
        slippage_bps: int,
        deadline_s: int,
    ) -> None:
        if not 0 <= slippage_bps < 10_000:
            raise ConfigError("slippage", "must be 0..9999 bp", slippage_bps, "Set it.")
        self._nodes, self._account, self._routers, self._fees = nodes, account, routers, fees
        self._slippage_bps, self._deadline_s = slippage_bps, deadline_s

    def next(self, order: SwapOrder, nonce: int, head: Block) -> Plan | Refusal:
        """Return what to sign for `order` with `nonce`, or why nothing can be."""
        if head.timestamp > order.expires_at:
            return Refusal(reason="expired before it could be sent")
        held = self._read(order.token_in, BALANCE.call(self._account))
        if held < order.amount_in:
            return Refusal(reason=f"the account holds {held}, not {order.amount_in}")
        chosen, allowed = self._route(order, head)
        if chosen.amount_out < order.minimum_out:
            told = f"the pools pay {chosen.amount_out}, floor {order.minimum_out}"
            return Refusal(reason=told)
        try:
            return self._plan(order, chosen, allowed, nonce, head)
        except Unaffordable as error:
            return Refusal(reason=error.problem)
        except Reverted as error:
            return Refusal(reason=f"it would revert: {error.was}")

    def _plan(
        self, order: SwapOrder, chosen: Quote, allowed: int, nonce: int, head: Block
    ) -> Plan | Refusal:
        purpose = Purpose.SWAP if allowed == order.amount_in else Purpose.APPROVE
        if purpose is Purpose.SWAP:
            until = head.timestamp + self._deadline_s
            to, data = self._swap(order, chosen, until)
        else:
            until = order.expires_at
            to, data = order.token_in, self._approval(order, chosen, allowed)
        made = self._made(to, marked(data, order.mark), nonce, head)
        funds = self._nodes.first(lambda node: node.balance(self._account))
        if funds < made.gas_limit * made.max_fee_wei:
            return Refusal(reason=f"the account holds {funds} wei, too little for gas")
        return Plan(transaction=made, purpose=purpose, until=until)

    def _approval(self, order: SwapOrder, chosen: Quote, allowed: int) -> bytes:
        # an allowance that is left over goes to zero first: some tokens demand it
        router = self._routers.of(chosen.pool.version)
        return APPROVE.call(router, 0 if allowed else order.amount_in)

    def _swap(self, order: SwapOrder, chosen: Quote, until: int) -> tuple[str, bytes]:
        bearable = chosen.amount_out * (10_000 - self._slippage_bps) // 10_000
        floor = max(order.minimum_out, bearable)
        token, amount = order.token_in, order.amount_in
        return swap_call(self._routers, chosen.pool, token, amount, floor, self._account, until)

    def _route(self, order: SwapOrder, head: Block) -> tuple[Quote, int]:
        quotes = list(self._quotes(order, head))
        allowed = {
            version: self._allowed(order, self._routers.of(version))
            for version in {one.pool.version for one in quotes}
        }
        # what was approved for this amount is used while it does: no approval is left behind
        ready = [
            one
            for one in quotes
            if allowed[one.pool.version] == order.amount_in and one.amount_out >= order.minimum_out
        ]
        chosen = best(ready or quotes, lambda pool: self._gas_cost(order, pool, head))
        return chosen, allowed[chosen.pool.version]

    def _quotes(self, order: SwapOrder, head: Block) -> Iterator[Quote]:
        for pool in order.pools:
            yield self._nodes.first(
                lambda node, pool=pool: _quoted(node, pool, order, head)  # type: ignore[misc]
            )

    def _gas_cost(self, order: SwapOrder, pool: Pool, head: Block) -> int:
        return int(_GAS[pool.version] * head.base_fee_wei * order.out_per_wei)

    def _allowed(self, order: SwapOrder, router: str) -> int:
        return self._read(order.token_in, ALLOWANCE.call(self._account, router))

    def _read(self, token: str, data: bytes) -> int:
        answer = self._nodes.first(lambda node: node.call(token, data))
        return int(BALANCE.answer(answer)[0])

    def _made(self, to: str, data: bytes, nonce: int, head: Block) -> Transaction:
        estimate = self._nodes.first(lambda node: node.estimate_gas(self._account, to, data))
        gas = gas_limit(estimate)
        tip = self._nodes.first(lambda node: node.tip_wei())
        fees = self._fees.first(head.base_fee_wei, tip, gas)
        return Transaction(
            chain_id=self._nodes.chain_id,
            nonce=nonce,
            to=to,
            data=data,
            gas_limit=gas,
            max_fee_wei=fees.max_fee_wei,
            tip_wei=fees.tip_wei,
        )


def _quoted(node: Node, pool: Pool, order: SwapOrder, head: Block) -> Quote:
    try:
        return quote(node, pool, order.token_in, order.amount_in, head)
    except ExecutionError as error:  # a pool without reserves, or none at all, pays nothing
        if isinstance(error, NodeAway | NodeRefused) and not isinstance(error, Reverted):
            raise
        return Quote(
            pool=pool,
            token_in=order.token_in,
            amount_in=order.amount_in,
            amount_out=0,
            block=head,
        )
