"""A Uniswap V2 pair: constant product, fee on the amount in."""

from __future__ import annotations

from dataclasses import dataclass

from dexml.errors import ExecutionError

__all__ = ["PairState", "amount_out"]


def amount_out(amount_in: int, reserve_in: int, reserve_out: int, fee_bps: int) -> int:
    """Return what a constant-product pool pays out, in the smallest units of the tokens.

    Notes
    -----
    With f = 10000 - fee_bps: out = in * f * R_out // (R_in * 10000 + in * f); at 30 bp this is the
    router's 997/1000 to the unit.

    References
    ----------
    Uniswap v2-periphery, UniswapV2Library.getAmountOut.

    Examples
    --------
    >>> amount_out(1_000, 1_000_000, 1_000_000, fee_bps=30)
    996
    """
    kept = amount_in * (10_000 - fee_bps)
    return kept * reserve_out // (reserve_in * 10_000 + kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """Reserves of a pair, in the smallest units of its tokens, as `getReserves` tells them.

    What lies on the pair beyond its reserves is a donation and must not be counted.

    Examples
    --------
    >>> pair = PairState(reserve0=1_000_000, reserve1=2_000_000)
    >>> out, after = pair.swapped(1_000, zero_for_one=True)
    >>> out, after.reserve0, after.reserve1
    (1992, 1001000, 1998008)
    """

    reserve0: int
    reserve1: int
    fee_bps: int = 30

    def __post_init__(self) -> None:
        if self.reserve0 <= 0 or self.reserve1 <= 0:
            was = f"{self.reserve0} and {self.reserve1}"
            raise ExecutionError("pair reserves", "must be positive", was, "Use another pool.")

    def amount_out(self, amount_in: int, *, zero_for_one: bool) -> int:
        """Return what the pair pays for `amount_in`; see `amount_out` for the formula."""
        reserves = (self.reserve0, self.reserve1)
        into, out_of = reserves if zero_for_one else reserves[::-1]
        return amount_out(amount_in, into, out_of, self.fee_bps)

    def swapped(self, amount_in: int, *, zero_for_one: bool) -> tuple[int, PairState]:
        """Return what the pair pays, and the pair after it."""
        out = self.amount_out(amount_in, zero_for_one=zero_for_one)
        moved0, moved1 = (amount_in, -out) if zero_for_one else (-out, amount_in)
        after = PairState(
            reserve0=self.reserve0 + moved0, reserve1=self.reserve1 + moved1, fee_bps=self.fee_bps
        )
        return out, after
