"""A JSON-RPC proxy on the loopback that forwards to a chain, and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["FaultProxy", "RpcFault", "Rule"]

_UPSTREAM_LIMIT_S = 30.0


class RpcFault(StrEnum):
    """Ways in which a node misbehaves."""

    REPLY_LOST = "reply_lost"  # carried out; the connection closes before the answer
    REQUEST_LOST = "request_lost"  # never arrives at the chain
    REFUSED_THOUGH_DONE = "refused_though_done"  # carried out, and answered with an error
    DELAY = "delay"
    TOO_MANY = "too_many"  # 429
    BROKEN = "broken"  # 502
    GARBAGE = "garbage"  # 200 with a page of HTML
    NO_RESULT = "no_result"  # 200 with neither a result nor an error
    NULL = "null"  # "I do not know it", though it does
    WRONG_CHAIN = "wrong_chain"
    STALE = "stale"  # numbers, nonces and blocks of some blocks ago
    FORKED = "forked"  # the hash of every block is another


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a fault strikes.

    Attributes
    ----------
    methods : frozenset of str
        JSON-RPC methods it strikes; empty: all.
    times : int or None
        How often; None: until the rules are cleared.
    after : int
        How many matching calls pass before it strikes.
    amount : float
        Seconds of a delay, blocks of a stale node.
    """

    fault: RpcFault
    methods: frozenset[str] = frozenset()
    times: int | None = 1
    after: int = 0
    amount: float = 0.0


class FaultProxy:
    """A node that forwards to `upstream` (loopback only); a context that ends it.

    Attributes
    ----------
    calls : Counter
        How often each method was asked.
    struck : Counter
        How often each fault struck.

    Parameters
    ----------
    upstream : str
        Address of the chain.
    """

    def __init__(self, upstream: str) -> None:
        if not upstream.startswith("http://127.0.0.1:"):
            raise ValueError("the proxy forwards to the loopback only")
        self._upstream = upstream
        self._rules: list[list[Any]] = []  # rule, matching calls seen, strikes made
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        self.struck: Counter[RpcFault] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def strike(self, *rules: Rule) -> None:
        """Add rules; of those that match a call the first strikes."""
        with self._lock:
            self._rules += [[rule, 0, 0] for rule in rules]

    def clear(self) -> None:
        """Behave from now on."""
        with self._lock:
            self._rules = []

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def answered(self, asked: dict[str, Any]) -> tuple[int, bytes] | None:
        """Return status and body for a call; None: hang up."""
        method = str(asked.get("method"))
        rule = self._rule_for(method)
        if rule is None:
            return 200, self._forwarded(asked)
        if (made := _UNFORWARDED.get(rule.fault)) is not None:
            return made(asked)
        if rule.fault is RpcFault.STALE:
            return 200, self._forwarded(self._aged(asked, int(rule.amount)))
        body = self._forwarded(asked)
        if rule.fault is RpcFault.DELAY:
            time.sleep(rule.amount)
        return _spoilt(rule.fault, asked, body)

    def _rule_for(self, method: str) -> Rule | None:
        with self._lock:
            self.calls[method] += 1
            for entry in self._rules:
                rule: Rule = entry[0]
                if rule.methods and method not in rule.methods:
                    continue
                entry[1] += 1
                if entry[1] > rule.after and (rule.times is None or entry[2] < rule.times):
                    entry[2] += 1
                    self.struck[rule.fault] += 1
                    return rule
        return None

    def _forwarded(self, asked: Mapping[str, Any]) -> bytes:
        request = urllib.request.Request(
            self._upstream, json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_UPSTREAM_LIMIT_S) as answer:
                body: bytes = answer.read()
                return body
        except (urllib.error.URLError, OSError):
            return b"upstream is away"

    def _aged(self, asked: dict[str, Any], blocks: int) -> dict[str, Any]:
        head = json.loads(self._forwarded(asked | {"method": "eth_blockNumber", "params": []}))
        old = hex(max(0, int(head["result"], 16) - blocks))
        tags = {"latest", "pending"}
        aged = [old if isinstance(one, str) and one in tags else one for one in asked["params"]]
        return asked | {"params": aged}


def _error(asked: Mapping[str, Any], message: str) -> bytes:
    told = {"code": -32_000, "message": message}
    return json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "error": told}).encode()


def _result(asked: Mapping[str, Any], result: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "result": result}).encode()


_UNFORWARDED: dict[RpcFault, Callable[[dict[str, Any]], tuple[int, bytes] | None]] = {
    RpcFault.REQUEST_LOST: lambda asked: None,
    RpcFault.TOO_MANY: lambda asked: (429, b"slow down"),
    RpcFault.BROKEN: lambda asked: (502, b"<html>Bad Gateway</html>"),
    RpcFault.GARBAGE: lambda asked: (200, b"<!doctype html><p>maintenance"),
    RpcFault.NO_RESULT: lambda asked: (200, b'{"jsonrpc":"2.0","id":1}'),
    RpcFault.NULL: lambda asked: (200, _result(asked, None)),
    RpcFault.WRONG_CHAIN: lambda asked: (200, _result(asked, "0x1")),
}


def _spoilt(fault: RpcFault, asked: Mapping[str, Any], body: bytes) -> tuple[int, bytes] | None:
    if fault is RpcFault.REPLY_LOST:
        return None
    if fault is RpcFault.REFUSED_THOUGH_DONE:
        return 200, _error(asked, "transaction failed")
    if fault is RpcFault.FORKED:
        answer = json.loads(body)
        found = answer.get("result")
        if isinstance(found, dict) and "hash" in found:
            found["hash"] = "0x" + found["hash"][:1:-1]
            return 200, json.dumps(answer).encode()
    return 200, body


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else an answer in two parts waits 40 ms for its second

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            answer = proxy.answered(json.loads(self.rfile.read(length)))
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # who asked may be killed
                super().handle()

    return Handler
