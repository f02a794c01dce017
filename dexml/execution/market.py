"""Where an instrument is traded on a chain: its tokens, pools and routers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext
from enum import StrEnum

from dexml.costs import MONEY
from dexml.domain import Side
from dexml.errors import ConfigError

__all__ = ["Market", "Pool", "Routers", "Token", "Version"]


class Version(StrEnum):
    """Which Uniswap a pool belongs to."""

    V2 = "v2"
    V3 = "v3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An ERC-20 token.

    Examples
    --------
    >>> usdt = Token(symbol="USDT", address="0x" + "11" * 20, decimals=6)
    >>> usdt.units(Decimal("1.2345678")), usdt.amount(1_234_567)
    (1234567, Decimal('1.234567'))
    """

    symbol: str
    address: str
    decimals: int

    def __post_init__(self) -> None:
        _check_address(f"address of {self.symbol}", self.address)
        if not 0 <= self.decimals <= 36:
            fix = "Read decimals() of the token."
            raise ConfigError(f"decimals of {self.symbol}", "must be 0..36", self.decimals, fix)

    def units(self, amount: Decimal) -> int:
        """Return an amount in smallest units; what is below one unit is left away."""
        with localcontext(MONEY):
            return int(amount.scaleb(self.decimals).to_integral_value(rounding=ROUND_DOWN))

    def amount(self, units: int) -> Decimal:
        """Return smallest units as an amount of the token."""
        with localcontext(MONEY):
            return Decimal(units).scaleb(-self.decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool of two tokens; token0 has the lower address.

    Attributes
    ----------
    fee_pips : int
        Millionths of the amount in; 3000 for every V2 pair.
    tick_spacing : int
        Of a V3 pool; 0 for a V2 pair.
    """

    version: Version
    address: str
    token0: str
    token1: str
    fee_pips: int = 3_000
    tick_spacing: int = 0

    def __post_init__(self) -> None:
        _check_address("address of a pool", self.address)
        if not int(self.token0, 16) < int(self.token1, 16):
            was = f"{self.token0}, {self.token1}"
            raise ConfigError("tokens of a pool", "must be in order of address", was, "Swap them.")
        if (self.version is Version.V3) != (self.tick_spacing > 0):
            fix = "Give that of the V3 pool; a V2 pair has none."
            raise ConfigError("tick_spacing", "must fit the version", self.tick_spacing, fix)

    def zero_for_one(self, token_in: str) -> bool:
        """Tell whether a swap of `token_in` puts token0 in."""
        return token_in.lower() == self.token0.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """An instrument on a chain."""

    instrument: str
    base: Token
    quote: Token
    pools: tuple[Pool, ...]

    def __post_init__(self) -> None:
        wanted = {self.base.address.lower(), self.quote.address.lower()}
        for pool in self.pools:
            if {pool.token0.lower(), pool.token1.lower()} != wanted:
                rule = f"must trade {self.base.symbol} and {self.quote.symbol}"
                was = f"{pool.token0} and {pool.token1}"
                raise ConfigError(f"pool {pool.address}", rule, was, "Correct the market table.")

    def sides(self, side: Side) -> tuple[Token, Token]:
        """Return what goes in and what comes out."""
        pays = (self.quote, self.base)
        return pays if side is Side.BUY else pays[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routers:
    """The contracts that may be sent swaps, and may be allowed to take tokens."""

    v2: str
    v3: str

    def __post_init__(self) -> None:
        _check_address("address of the V2 router", self.v2)
        _check_address("address of the V3 router", self.v3)

    def of(self, version: Version) -> str:
        """Return the router of a version."""
        return self.v2 if version is Version.V2 else self.v3


def _check_address(subject: str, address: str) -> None:
    digits = address.removeprefix("0x")
    is_one = address.startswith("0x") and len(digits) == 40
    if not is_one or set(digits.lower()) - set("0123456789abcdef"):
        raise ConfigError(subject, "must be 0x and 40 hexadecimal digits", address, "Correct it.")
