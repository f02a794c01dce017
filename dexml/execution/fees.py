"""What gas may cost: EIP-1559 fees under a budget, and what a replacement must offer."""

from __future__ import annotations

from dataclasses import dataclass

from dexml.errors import ConfigError, ExecutionError

__all__ = ["FeePolicy", "Fees", "Unaffordable", "gas_limit"]


class Unaffordable(ExecutionError):
    """Gas would cost more than the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """Both caps of a transaction, for each unit of gas."""

    max_fee_wei: int
    tip_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePolicy:
    """Limits on what gas may cost.

    Attributes
    ----------
    budget_wei : int
        Most that one transaction may cost: its cap times its gas limit.
    min_tip_wei, max_tip_wei : int
        Bounds of the tip, whatever a node suggests.
    """

    budget_wei: int = 10**16
    min_tip_wei: int = 10**8
    max_tip_wei: int = 5 * 10**9

    def __post_init__(self) -> None:
        if not 0 < self.min_tip_wei <= self.max_tip_wei:
            was = f"{self.min_tip_wei}..{self.max_tip_wei}"
            raise ConfigError("tip", "must be positive and in order", was, "Give both in wei.")

    def first(self, base_fee_wei: int, suggested_tip_wei: int, gas_limit: int) -> Fees:
        """Return the fees of a new transaction: room for six full blocks, within the budget.

        Raises
        ------
        Unaffordable
            If even the present base fee and the tip are above the budget.

        Examples
        --------
        >>> FeePolicy().first(10**9, 10**8, 200_000)
        Fees(max_fee_wei=2100000000, tip_wei=100000000)
        """
        tip = min(max(suggested_tip_wei, self.min_tip_wei), self.max_tip_wei)
        cap = min(2 * base_fee_wei + tip, self.budget_wei // gas_limit)
        if cap < base_fee_wei + tip:
            raise self._too_dear(base_fee_wei + tip, gas_limit)
        return Fees(max_fee_wei=cap, tip_wei=tip)

    def raised(self, old: Fees, base_fee_wei: int, gas_limit: int) -> Fees:
        """Return fees that replace `old`: an eighth more on both caps, rounded up.

        Raises
        ------
        Unaffordable
            If that, or the present base fee, is above the budget.

        Examples
        --------
        >>> FeePolicy().raised(Fees(max_fee_wei=1001, tip_wei=9), 500, 21_000)
        Fees(max_fee_wei=1127, tip_wei=11)
        """
        tip = -(-old.tip_wei * 9 // 8)
        least = max(-(-old.max_fee_wei * 9 // 8), base_fee_wei + tip)
        if least * gas_limit > self.budget_wei:
            raise self._too_dear(least, gas_limit)
        cap = min(max(least, 2 * base_fee_wei + tip), self.budget_wei // gas_limit)
        return Fees(max_fee_wei=cap, tip_wei=tip)

    def _too_dear(self, price_wei: int, gas_limit: int) -> Unaffordable:
        rule = f"must be within {self.budget_wei} wei"
        fix = "Wait for the base fee to fall, or raise the budget."
        return Unaffordable("gas of a transaction", rule, price_wei * gas_limit, fix)


def gas_limit(estimate: int) -> int:
    """Return a limit that an estimate does not break.

    An estimate is made at the time of the last block, where no time has passed; the mined swap
    also writes two price accumulators, of 20,000 gas each on a young pair.

    Examples
    --------
    >>> gas_limit(106_582)
    177898
    """
    return estimate * 6 // 5 + 50_000
