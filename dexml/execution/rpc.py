"""One node of a chain, asked in JSON-RPC through web3, and trusted with nothing.

Whatever goes wrong on the way is `NodeAway`: the question may have arrived. `NodeRefused` is the
node's own no. Neither says that a transaction was not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from dexml.errors import ExecutionError
from dexml.execution.recursion import limit_recursion

__all__ = [
    "Block",
    "Log",
    "Node",
    "NodeAway",
    "NodeRefused",
    "Receipt",
    "Reverted",
    "Sent",
    "block_of",
    "bytes_of",
    "quantity",
]

limit_recursion()

CALL_LIMIT_S = 3.0


class NodeAway(ExecutionError):
    """No usable answer came: what was asked may have happened or not."""


class NodeRefused(ExecutionError):
    """The node answered with an error of its own; `was` has its words."""


class Reverted(NodeRefused):
    """The call was carried out and the contract said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The head of a block.

    Attributes
    ----------
    timestamp : int
        Seconds of the chain's own time.
    base_fee_wei : int
        Burnt for each unit of gas.
    """

    number: int
    hash: str
    timestamp: int
    base_fee_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """An event that a contract emitted."""

    address: str
    topics: tuple[str, ...]
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a mined transaction.

    Attributes
    ----------
    succeeded : bool
        False: reverted, but its nonce is used and its gas is paid.
    gas_wei : int
        Gas used times the price paid for it.
    """

    tx_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_wei: int
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A transaction as a node knows it; `block_number` is None while it waits."""

    tx_hash: str
    sender: str
    nonce: int
    data: bytes
    block_number: int | None


class Node:
    """A JSON-RPC endpoint. Never tries again by itself, and never unlocks a key.

    Parameters
    ----------
    url : str
        Of the endpoint; only its host is ever shown, for paths and queries carry access keys.
    limit_s : float
        How long an answer may take.
    """

    def __init__(self, url: str, limit_s: float = CALL_LIMIT_S) -> None:
        self._shown = url.split("://")[-1].split("/")[0].split("@")[-1]
        # the provider would send a transaction up to five times and then report its own echo
        self._provider = HTTPProvider(
            url, request_kwargs={"timeout": limit_s}, exception_retry_configuration=None
        )

    def __repr__(self) -> str:
        return f"Node({self._shown!r})"

    def ask(self, method: str, *parameters: Any) -> Any:
        """Return the result of one call.

        Raises
        ------
        NodeAway
            If no answer came in time, or one that is none.
        NodeRefused
            If the node answered with an error; `Reverted` if it is the contract's.
        """
        try:
            answer = self._provider.make_request(RPCEndpoint(method), list(parameters))
        except (requests.RequestException, Web3Exception, ValueError, OSError) as error:
            raise self._away(method, type(error).__name__) from None  # its text has the address
        if not isinstance(answer, Mapping):
            raise self._away(method, "an answer of another kind")
        if (refusal := answer.get("error")) is not None:
            raise self._refused(method, refusal)
        if "result" not in answer:
            raise self._away(method, "an answer without a result")
        return answer["result"]

    def chain_id(self) -> int:
        return quantity(self.ask("eth_chainId"))

    def block(self, number: int | str = "latest") -> Block | None:
        """Return a block by number or tag; None if the node does not have it."""
        asked = hex(number) if isinstance(number, int) else number
        found = self.ask("eth_getBlockByNumber", asked, False)
        return None if found is None else block_of(found)

    def nonce(self, address: str, block: int | str = "latest") -> int:
        """Return how many transactions `address` has had mined up to a block."""
        asked = hex(block) if isinstance(block, int) else block
        return quantity(self.ask("eth_getTransactionCount", address, asked))

    def balance(self, address: str, block: int | str = "latest") -> int:
        """Return the wei of `address`."""
        asked = hex(block) if isinstance(block, int) else block
        return quantity(self.ask("eth_getBalance", address, asked))

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return the receipt of a mined transaction; None if there is none (yet, or any more)."""
        found = self.ask("eth_getTransactionReceipt", tx_hash)
        return None if found is None else _receipt_of(found)

    def knows(self, tx_hash: str) -> bool:
        """Tell whether the node has the transaction, waiting or mined."""
        return self.ask("eth_getTransactionByHash", tx_hash) is not None

    def transactions(self, number: int) -> list[Sent]:
        """Return the transactions of a block."""
        found = self.ask("eth_getBlockByNumber", hex(number), True)
        return [] if found is None else [_sent_of(one) for one in _field(found, "transactions")]

    def send(self, raw: bytes) -> None:
        """Send a signed transaction. Any error leaves open whether it arrived."""
        self.ask("eth_sendRawTransaction", "0x" + raw.hex())

    def call(self, to: str, data: bytes, block: str = "latest", sender: str | None = None) -> bytes:
        """Return what a contract answers; `Reverted` has its reason."""
        message = {"to": to, "data": "0x" + data.hex()}
        if sender is not None:
            message["from"] = sender
        return bytes_of(self.ask("eth_call", message, block))

    def estimate_gas(self, sender: str, to: str, data: bytes) -> int:
        """Return the gas that a call would take after the last block; `Reverted` has its reason.

        What waits to be mined is not counted in: it may be our own, of a life before this one.
        """
        message = {"from": sender, "to": to, "data": "0x" + data.hex()}
        return quantity(self.ask("eth_estimateGas", message, "latest"))

    def tip_wei(self) -> int:
        """Return the tip that the node suggests."""
        return quantity(self.ask("eth_maxPriorityFeePerGas"))

    def _refused(self, method: str, refusal: object) -> NodeRefused:
        said = refusal.get("message", refusal) if isinstance(refusal, Mapping) else refusal
        rule = f"must be carried out by node {self._shown}"
        kind = Reverted if "revert" in str(said).lower() else NodeRefused
        return kind(method, rule, str(said)[:500], "See what it says.")

    def _away(self, method: str, why: object) -> NodeAway:
        fix = "Nothing follows from it: ask again, and look transactions up by hash."
        return NodeAway(f"node {self._shown}", f"must answer {method}", why, fix)


def quantity(value: object) -> int:
    """Return a number of JSON-RPC; raises `NodeAway` if it is none.

    Examples
    --------
    >>> quantity("0x1f")
    31
    """
    try:
        return int(str(value), 16)
    except ValueError:
        raise _garbage("a number", value) from None


def bytes_of(value: object) -> bytes:
    """Return bytes of JSON-RPC; raises `NodeAway` if there are none."""
    try:
        return bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError:
        raise _garbage("bytes", value) from None


def block_of(found: object) -> Block:
    """Return a block of JSON-RPC; raises `NodeAway` if it is none."""
    return Block(
        number=quantity(_field(found, "number")),
        hash=str(_field(found, "hash")),
        timestamp=quantity(_field(found, "timestamp")),
        base_fee_wei=quantity(_field(found, "baseFeePerGas")),
    )


def _receipt_of(found: object) -> Receipt:
    used = quantity(_field(found, "gasUsed"))
    return Receipt(
        tx_hash=str(_field(found, "transactionHash")),
        block_number=quantity(_field(found, "blockNumber")),
        block_hash=str(_field(found, "blockHash")),
        succeeded=quantity(_field(found, "status")) == 1,
        gas_wei=used * quantity(_field(found, "effectiveGasPrice")),
        logs=tuple(_log_of(one) for one in _field(found, "logs")),
    )


def _log_of(found: object) -> Log:
    topics = tuple(str(one) for one in _field(found, "topics"))
    return Log(
        address=str(_field(found, "address")), topics=topics, data=str(_field(found, "data"))
    )


def _sent_of(found: object) -> Sent:
    block = _field(found, "blockNumber")
    return Sent(
        tx_hash=str(_field(found, "hash")),
        sender=str(_field(found, "from")),
        nonce=quantity(_field(found, "nonce")),
        data=bytes_of(_field(found, "input")),
        block_number=None if block is None else quantity(block),
    )


def _field(found: object, name: str) -> Any:
    if not isinstance(found, Mapping) or name not in found:
        raise _garbage(f"an object with {name}", str(found)[:200])
    return found[name]


def _garbage(wanted: str, was: object) -> NodeAway:
    return NodeAway("answer of a node", f"must be {wanted}", was, "Ask another node.")
