"""Calls of contracts as bytes: a hand-written method for each that dexml makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from dexml.errors import ExecutionError

__all__ = ["TRANSFER", "Method"]

TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a contract, by its name and the types of what goes in and comes out.

    Examples
    --------
    >>> Method("transfer", ("address", "uint256")).selector.hex()
    'a9059cbb'
    """

    name: str
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()

    @property
    def selector(self) -> bytes:
        """First four bytes of a call."""
        return bytes(keccak(text=f"{self.name}({','.join(self.takes)})")[:4])

    def call(self, *arguments: Any) -> bytes:
        """Return the bytes that call it."""
        return self.selector + encode(self.takes, arguments)

    def answer(self, data: bytes) -> tuple[Any, ...]:
        """Return what the contract answered.

        Raises
        ------
        ExecutionError
            If the bytes are no such answer; a contract that is not there answers nothing.
        """
        try:
            return tuple(decode(self.gives, data))
        except DecodingError as error:
            rule = f"must be ({','.join(self.gives)})"
            fix = "Check the contract's address and the chain."
            raise ExecutionError(f"answer of {self.name}", rule, error, fix) from error
