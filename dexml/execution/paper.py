"""Paper trading on the integers of a Uniswap V2 pool that arbitrage pegs to the market."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_DOWN, Decimal, localcontext

from dexml.costs import MONEY, CostConfig
from dexml.domain import Fill, Intent, Side
from dexml.errors import ExecutionError
from dexml.events import OrderFailed
from dexml.execution.uniswap.v2 import amount_out

__all__ = ["PaperBroker"]


class PaperBroker:
    """A broker that remembers nothing: every order meets a fresh pool at the market's price.

    Parameters
    ----------
    config : CostConfig
        Fee, depth, gas and decimals of the pool.
    """

    def __init__(self, config: CostConfig) -> None:
        self.config = config

    def execute(self, intent: Intent, market_price: Decimal, at: datetime) -> Fill | OrderFailed:
        """Fill `intent`, or fail it if the pool pays less than its floor.

        Raises
        ------
        ExecutionError
            If the market price is not a positive number.
        """
        if not market_price.is_finite() or market_price <= 0:
            raise ExecutionError(
                f"price of {intent.instrument}", "must be positive", market_price, "Read it again."
            )
        with localcontext(MONEY):
            amount_in, out = self._swapped(intent, market_price)
        floor = intent.minimum_out
        if amount_in <= 0 or out < floor or out <= 0:
            return OrderFailed(
                at=at, intent_id=intent.intent_id, reason=f"the pool pays {out}, floor {floor}"
            )
        return self._fill(intent, amount_in, out, at)

    def find(self, intent_id: str) -> None:
        """Say that it never arrived: on paper, what the ledger does not hold has not happened."""

    def _swapped(self, intent: Intent, price: Decimal) -> tuple[Decimal, Decimal]:
        costs = self.config
        quote = costs.pool_depth_usd * 10**costs.quote_decimals
        base = _units(Decimal(costs.pool_depth_usd) / price, costs.base_decimals)
        if intent.side is Side.BUY:
            amount = _units(intent.amount_in, costs.quote_decimals)
            out = amount_out(amount, quote, base, costs.pool_fee_bps)
            return _tokens(amount, costs.quote_decimals), _tokens(out, costs.base_decimals)
        amount = _units(intent.amount_in, costs.base_decimals)
        out = amount_out(amount, base, quote, costs.pool_fee_bps)
        return _tokens(amount, costs.base_decimals), _tokens(out, costs.quote_decimals)

    def _fill(self, intent: Intent, amount_in: Decimal, out: Decimal, at: datetime) -> Fill:
        bought = intent.side is Side.BUY
        return Fill(
            intent_id=intent.intent_id,
            instrument=intent.instrument,
            side=intent.side,
            base=out if bought else amount_in,
            quote=amount_in if bought else out,
            gas=self.config.gas_per_swap_usd,
            filled_at=at,
        )


def _units(amount: Decimal, decimals: int) -> int:
    return int(amount.scaleb(decimals).to_integral_value(rounding=ROUND_DOWN))


def _tokens(units: int, decimals: int) -> Decimal:
    return Decimal(units).scaleb(-decimals)
