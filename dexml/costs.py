"""What a swap costs: pool fee, price impact, gas; and the precision of money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

from dexml.errors import ConfigError

__all__ = ["MONEY", "CostConfig", "exit_cost", "round_trip_cost", "swap_cost"]

MONEY = Context(prec=60)  # 18 decimals times float prices stay exact; never the caller's context


@dataclass(frozen=True, slots=True, kw_only=True)
class CostConfig:
    """The pool that orders meet.

    Attributes
    ----------
    pool_fee_bps : int
        Fee on the amount in, in basis points.
    gas_per_swap_usd : Decimal
        Network cost of one swap, in quote currency.
    pool_depth_usd : int
        Quote reserve of the pool; the base reserve is worth the same.
    latency_s : int
        Seconds from decision to fill.
    base_decimals, quote_decimals : int
        Decimals of the tokens on chain.

    Raises
    ------
    ConfigError
        If a value is outside its range.
    """

    pool_fee_bps: int = 5
    gas_per_swap_usd: Decimal = Decimal("0.05")
    pool_depth_usd: int = 5_000_000
    latency_s: int = 12
    base_decimals: int = 18
    quote_decimals: int = 6

    def __post_init__(self) -> None:
        _check("pool_fee_bps", 0 <= self.pool_fee_bps < 10_000, self.pool_fee_bps, "0..9999")
        _check("gas_per_swap_usd", self.gas_per_swap_usd >= 0, self.gas_per_swap_usd, "0 or more")
        _check("pool_depth_usd", self.pool_depth_usd > 0, self.pool_depth_usd, "above 0")
        _check("latency_s", self.latency_s >= 0, self.latency_s, "0 or more")
        for name in ("base_decimals", "quote_decimals"):
            _check(name, 0 <= getattr(self, name) <= 18, getattr(self, name), "0..18")


def _check(name: str, holds: bool, was: object, allowed: str) -> None:
    if not holds:
        raise ConfigError(f"costs.{name}", f"must be {allowed}", was, "Set it in dexml.toml.")


def round_trip_cost(notional: float, config: CostConfig) -> float:
    """Return what buying for `notional` and selling again loses at an unchanged price.

    Parameters
    ----------
    notional : float
        Quote currency, positive.
    config : CostConfig
        Fee, depth and gas of the pool.

    Returns
    -------
    float
        Fraction of `notional`.

    Notes
    -----
    A swap of x into a pool pegged at reserves worth R returns x(1-f)R / (R + x(1-f)). Arbitrage
    restores the peg between the two swaps, and each pays gas g:
    cost = (x - swap(swap(x)) + 2g) / x.

    References
    ----------
    Adams, Zinsmeister, Robinson (2020), Uniswap v2 Core, section 3.2.1.

    Examples
    --------
    >>> round(round_trip_cost(2_500.0, CostConfig()) * 1e4, 2)  # basis points
    20.37
    """
    if not notional > 0:
        raise ConfigError("notional", "must be positive", notional, "Ask only for real orders.")
    back = _swap(_swap(notional, config), config)
    return (notional - back + 2 * float(config.gas_per_swap_usd)) / notional


def exit_cost(notional: float, config: CostConfig) -> float:
    """Return what selling `notional` for quote currency loses, in quote currency; gas included.

    Examples
    --------
    >>> round(exit_cost(2_500.0, CostConfig()), 2)
    2.55
    """
    if not notional > 0:
        raise ConfigError("notional", "must be positive", notional, "Ask only for real orders.")
    return notional - _swap(notional, config) + float(config.gas_per_swap_usd)


def swap_cost(notional: float, config: CostConfig) -> float:
    """Return the fraction of `notional` that one swap loses to fee and price impact, without gas.

    Examples
    --------
    >>> round(swap_cost(2_500.0, CostConfig()) * 1e4, 2)  # basis points
    9.99
    """
    if not notional > 0:
        raise ConfigError("notional", "must be positive", notional, "Ask only for real orders.")
    return 1 - _swap(notional, config) / notional


def _swap(amount: float, config: CostConfig) -> float:
    kept = amount * (1 - config.pool_fee_bps / 10_000)
    return kept * config.pool_depth_usd / (config.pool_depth_usd + kept)
