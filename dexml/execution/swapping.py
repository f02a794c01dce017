"""Bytes that approve and swap, the mark of the intent they carry, and what a receipt says moved."""

from __future__ import annotations

import hashlib

from dexml.execution.abi import TRANSFER, Method
from dexml.execution.market import Pool, Routers, Version
from dexml.execution.rpc import Receipt, bytes_of

__all__ = [
    "ALLOWANCE",
    "APPROVE",
    "BALANCE",
    "mark_of",
    "marked",
    "moved",
    "read_mark",
    "swap_call",
]

APPROVE = Method("approve", ("address", "uint256"))
ALLOWANCE = Method("allowance", ("address", "address"), ("uint256",))
BALANCE = Method("balanceOf", ("address",), ("uint256",))
_V2_SWAP = Method(
    "swapExactTokensForTokensSupportingFeeOnTransferTokens",
    ("uint256", "uint256", "address[]", "address", "uint256"),
)
_V3_SWAP = Method(
    "exactInputSingle", ("(address,address,uint24,address,uint256,uint256,uint160)",), ("uint256",)
)
_V3_UNTIL = Method("multicall", ("uint256", "bytes[]"), ("bytes[]",))
_SIGN = b"dxml"
_MARK_BYTES = 16


def mark_of(intent_id: str) -> str:
    """Return what names an intent on the chain: 32 hexadecimal digits.

    Examples
    --------
    >>> len(mark_of("an intent"))
    32
    """
    return hashlib.sha256(intent_id.encode()).digest()[:_MARK_BYTES].hex()


def marked(data: bytes, mark: str) -> bytes:
    """Return a call that carries the mark; contracts do not read past their arguments.

    So the chain itself knows which intent a transaction belongs to, should the journal be lost.

    Examples
    --------
    >>> read_mark(marked(b"call", mark_of("i"))) == mark_of("i"), read_mark(b"call") is None
    (True, True)
    """
    return data + _SIGN + bytes.fromhex(mark)


def read_mark(data: bytes) -> str | None:
    """Return the mark that a call carries; None if it has none."""
    tail = data[-len(_SIGN) - _MARK_BYTES :]
    return tail[len(_SIGN) :].hex() if tail.startswith(_SIGN) and len(tail) == 20 else None


def swap_call(
    routers: Routers, pool: Pool, token_in: str, amount_in: int, floor: int, to: str, deadline: int
) -> tuple[str, bytes]:
    """Return router and bytes of an exact-input swap that pays at least `floor` or reverts.

    Parameters
    ----------
    deadline : int
        Chain time after which it reverts.
    """
    token_out = pool.token1 if pool.zero_for_one(token_in) else pool.token0
    if pool.version is Version.V2:
        path = [token_in, token_out]
        return routers.v2, _V2_SWAP.call(amount_in, floor, path, to, deadline)
    inner = _V3_SWAP.call((token_in, token_out, pool.fee_pips, to, amount_in, floor, 0))
    return routers.v3, _V3_UNTIL.call(deadline, [inner])  # the swap itself knows no deadline


def moved(receipt: Receipt, token: str, account: str) -> tuple[int, int]:
    """Return how much of a token left and reached an account, by the events of a receipt."""
    left = reached = 0
    for log in receipt.logs:
        transfers = len(log.topics) == 3 and log.topics[0] == TRANSFER
        if not transfers or log.address.lower() != token.lower():
            continue
        value = int.from_bytes(bytes_of(log.data))
        left += value if _names(log.topics[1], account) else 0
        reached += value if _names(log.topics[2], account) else 0
    return left, reached


def _names(topic: str, account: str) -> bool:
    return int(topic, 16) == int(account, 16)
