"""PostgreSQL as a server that may go away at any time: every wait for it is bounded."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg import waiting
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

__all__ = ["ANSWER_S", "CONNECT_S", "POOL_SIZE", "connect_engine"]

CONNECT_S, STATEMENT_MS, LOCK_MS, IDLE_MS, POOL_SIZE = 2, 2_000, 500, 5_000, 5
# The server itself ends a statement before that, unless it is stopped or cut off.
ANSWER_S = 2.5


class _BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives up a server which takes a question and never answers."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(_bounded(gen), interval, timeout)
        except _NoAnswer:
            self.close()  # an answer that comes now would be taken for that of the next question
            raise


class _NoAnswer(psycopg.OperationalError):
    pass


def _bounded(gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    deadline = time.monotonic() + ANSWER_S
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready == waiting.READY_NONE and time.monotonic() > deadline:
                raise _NoAnswer(f"no answer in {ANSWER_S} s")
            wanted = gen.send(ready)
    except StopIteration as ended:
        return ended.value


def connect_engine(url: URL) -> Engine:
    """Return an engine for a server; of PostgreSQL every wait is bounded."""
    engine = create_engine(
        url,
        connect_args=_bounds() if url.get_driver_name() == "psycopg" else {},
        pool_pre_ping=True,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=CONNECT_S,
    )
    if url.get_driver_name() == "psycopg":
        event.listen(engine, "do_connect", _connect)
    return engine


def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    return _BoundedConnection.connect(*arguments, **options)


def _bounds() -> dict[str, Any]:
    limits = {
        "statement_timeout": STATEMENT_MS,
        "lock_timeout": LOCK_MS,
        # an owner that was stopped in the middle must not keep its stream locked for ever
        "idle_in_transaction_session_timeout": IDLE_MS,
    }
    return {
        "connect_timeout": CONNECT_S,
        "tcp_user_timeout": STATEMENT_MS,
        "keepalives_idle": 1,
        "keepalives_interval": 1,
        "keepalives_count": 2,
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
    }
