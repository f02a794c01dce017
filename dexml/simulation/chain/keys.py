"""A key in the process: for accounts of the local chain, whose ether is worth nothing."""

from __future__ import annotations

from eth_account import Account

from dexml.execution.signing import Transaction

__all__ = ["LocalKey"]


class LocalKey:
    """Signs with a key made from a word; the same word gives the same account.

    Examples
    --------
    >>> LocalKey("demo").address == LocalKey("demo").address != LocalKey("other").address
    True
    """

    def __init__(self, word: str) -> None:
        from eth_utils.crypto import keccak

        self._account = Account.from_key(keccak(text=f"dexml local chain: {word}"))

    def __repr__(self) -> str:
        return f"LocalKey({self.address})"

    @property
    def address(self) -> str:
        return str(self._account.address)

    def sign(self, transaction: Transaction) -> bytes:
        return bytes(self._account.sign_transaction(transaction.fields()).raw_transaction)
