"""The port to whoever holds the key; dexml's own processes never do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from eth_account import Account
from eth_utils.crypto import keccak

from dexml.errors import ExecutionError
from dexml.execution.recursion import limit_recursion

__all__ = ["Signer", "SignerRefused", "Transaction", "signed"]

limit_recursion()


class SignerRefused(ExecutionError):
    """Whoever holds the key will not sign this; nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transaction of type 2 (EIP-1559), complete but for its signature; wei and integers only."""

    chain_id: int
    nonce: int
    to: str
    data: bytes
    gas_limit: int
    max_fee_wei: int
    tip_wei: int

    def fields(self) -> dict[str, object]:
        """Return it as eth-account names its fields."""
        from eth_utils.address import to_checksum_address

        return {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": self.nonce,
            "to": to_checksum_address(self.to),
            "value": 0,
            "data": self.data,
            "gas": self.gas_limit,
            "maxFeePerGas": self.max_fee_wei,
            "maxPriorityFeePerGas": self.tip_wei,
        }


class Signer(Protocol):
    """Whoever signs for one account, or refuses."""

    @property
    def address(self) -> str:
        """The account, 0x and 40 hexadecimal digits."""
        ...

    def sign(self, transaction: Transaction) -> bytes:
        """Return the signed bytes."""
        ...


def signed(signer: Signer, transaction: Transaction) -> tuple[bytes, str]:
    """Have a transaction signed and return its bytes and hash.

    Raises
    ------
    ExecutionError
        If the bytes are not signed by the account.
    """
    raw = signer.sign(transaction)
    by = Account.recover_transaction(raw)
    if by.lower() != signer.address.lower():
        fix = "Do not send it: ask who answers in the signer's place."
        raise ExecutionError("a signature", f"must be of {signer.address}", by, fix)
    return raw, "0x" + keccak(raw).hex()
