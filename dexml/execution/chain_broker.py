"""The broker that swaps on a chain: intents in money in, fills in money out, integers between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, localcontext

from dexml.costs import MONEY
from dexml.domain import Fill, Intent, Side
from dexml.errors import ConfigError, ExecutionError
from dexml.events import OrderFailed
from dexml.execution.engine import Engine
from dexml.execution.entries import Closed
from dexml.execution.market import Market
from dexml.execution.planning import SwapOrder

__all__ = ["ChainBroker", "OrderUnresolved"]

_WEI = 18


class OrderUnresolved(ExecutionError):
    """What became of an order is not known yet: it may be on the chain. Ask again."""


class ChainBroker:
    """Carries intents out through an engine; says only what the chain has confirmed.

    Parameters
    ----------
    markets : sequence of Market
        Where each instrument is traded.
    ether_price : callable
        Quote currency for one ether, for what gas is worth.
    valid_s : int
        Chain seconds after which nothing more is begun for an intent.
    n_looks : int
        How often one call looks at the chain before it says that an order is unresolved.
    """

    def __init__(
        self,
        engine: Engine,
        markets: Sequence[Market],
        ether_price: Callable[[], Decimal],
        *,
        valid_s: int = 600,
        n_looks: int = 60,
    ) -> None:
        self._engine, self._ether_price = engine, ether_price
        self._markets = {one.instrument: one for one in markets}
        self._valid_s, self._n_looks = valid_s, n_looks

    def execute(self, intent: Intent, market_price: Decimal, at: datetime) -> Fill | OrderFailed:
        """Swap for `intent`, or say why not; repeated, it swaps no second time.

        Raises
        ------
        OrderUnresolved
            If it is not final yet; nothing else may be made of it.
        NodeAway
            If the nodes do not answer or agree.
        """
        market = self._market(intent.instrument)
        done = self._engine.run(self._order(intent, market), self._n_looks)
        if done is None:
            raise _unresolved(intent.intent_id)
        return self._told(done, intent.intent_id)

    def find(self, intent_id: str) -> Fill | OrderFailed | None:
        """Say what became of an order; None if nothing of it can swap yet.

        Raises
        ------
        OrderUnresolved
            If something was signed for it and is not final yet.
        """
        self._engine.advance()
        done = self._engine.outcome(intent_id)
        if done is not None:
            return self._told(done, intent_id)
        if self._engine.is_unresolved(intent_id):
            raise _unresolved(intent_id)
        return None

    def _market(self, instrument: str) -> Market:
        if instrument not in self._markets:
            known = ", ".join(self._markets) or "none"
            fix = "Add its [[market]] table."
            raise ConfigError(f"market of {instrument}", f"must be one of {known}", "none", fix)
        return self._markets[instrument]

    def _order(self, intent: Intent, market: Market) -> SwapOrder:
        token_in, token_out = market.sides(intent.side)
        with localcontext(MONEY):
            quote_per_wei = self._ether_price().scaleb(-_WEI)
            per_wei = quote_per_wei
            if token_out is market.base:
                per_wei = quote_per_wei / intent.reference_price
            out_per_wei = per_wei.scaleb(token_out.decimals)
        return SwapOrder(
            intent_id=intent.intent_id,
            token_in=token_in.address,
            token_out=token_out.address,
            amount_in=token_in.units(intent.amount_in),
            minimum_out=token_out.units(intent.minimum_out),
            pools=market.pools,
            expires_at=self._engine.chain_time() + self._valid_s,
            out_per_wei=out_per_wei,
        )

    def _told(self, done: Closed, intent_id: str) -> Fill | OrderFailed:
        at = datetime.fromtimestamp(done.at, UTC)
        if not done.filled:
            gas = f"; gas {done.gas_wei} wei" if done.gas_wei else ""
            return OrderFailed(at=at, intent_id=intent_id, reason=f"{done.reason}{gas}")
        return self._fill(done, at)

    def _fill(self, done: Closed, at: datetime) -> Fill:
        market, side = self._traded(done)
        token_in, token_out = market.sides(side)
        paid, received = token_in.amount(done.amount_in), token_out.amount(done.amount_out)
        bought = side is Side.BUY
        with localcontext(MONEY):
            gas = (self._ether_price() * done.gas_wei).scaleb(-_WEI)
        return Fill(
            intent_id=done.intent_id,
            instrument=market.instrument,
            side=side,
            base=received if bought else paid,
            quote=paid if bought else received,
            gas=gas,
            filled_at=at,
        )

    def _traded(self, done: Closed) -> tuple[Market, Side]:
        for market in self._markets.values():
            for side in Side:
                pays, gets = market.sides(side)
                if (pays.address, gets.address) == (done.token_in, done.token_out):
                    return market, side
        was = f"{done.token_in} for {done.token_out}"
        raise ConfigError("market of an intent", "must be configured", was, "Add it again.")


def _unresolved(intent_id: str) -> OrderUnresolved:
    fix = "Ask again: it may be on the chain, and is looked up by hash."
    return OrderUnresolved(f"order {intent_id}", "must be final to be reported", "unknown", fix)
