"""Reading over HTTP with limits: time, size, and a few patient retries."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TypeVar

from dexml.errors import DataError

__all__ = ["Answer", "NotAnswered", "Patience", "answered_at", "get", "retry_after_s"]

T = TypeVar("T")
TOO_BUSY = {408, 425, 429}


class NotAnswered(DataError):
    """A source gave no usable answer this time; asking again may help."""

    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Body and headers (names in small letters) of an answer."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Ask up to `n_tries` times, waiting a random time between (full jitter).

    Attributes
    ----------
    base_s, cap_s : float
        Before try k + 1 the wait is uniform in (0, base_s * 2**k), or what `Retry-After` says if
        that is longer; never above `cap_s`.

    References
    ----------
    Brooker (2015), "Exponential Backoff and Jitter", AWS Architecture Blog.

    Examples
    --------
    >>> Patience().call(lambda: 42)
    42
    """

    n_tries: int = 3
    base_s: float = 0.25
    cap_s: float = 30.0
    jitter: random.Random = field(default_factory=random.Random)
    sleep: Callable[[float], None] = time.sleep

    def call(self, read: Callable[[], T]) -> T:
        """Return what `read` returns; the last `NotAnswered` passes through."""
        for attempt in range(self.n_tries - 1):
            try:
                return read()
            except NotAnswered as error:
                self.sleep(self._wait_s(attempt, error.retry_after_s))
        return read()

    async def call_async(
        self,
        read: Callable[[], Awaitable[T]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> T:
        """Do the same without blocking the loop; `pause` waits between tries."""
        for attempt in range(self.n_tries - 1):
            try:
                return await read()
            except NotAnswered as error:
                await pause(self._wait_s(attempt, error.retry_after_s))
        return await read()

    def wait_s(self, n_failures: int) -> float:
        """Draw how long to leave a source alone that failed `n_failures` times in a row."""
        return self._wait_s(min(n_failures, 16), None)

    def _wait_s(self, attempt: int, asked_s: float | None) -> float:
        drawn = self.jitter.uniform(0.0, self.base_s * 2.0**attempt)
        return min(max(drawn, asked_s or 0.0), self.cap_s)


def get(
    url: str,
    query: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
    max_bytes: int = 64 << 20,
) -> Answer:
    """Read `url`, all of it within `timeout_s` and `max_bytes`.

    Raises
    ------
    NotAnswered
        If asking again may help: no connection, too slow, too busy, a fault of the server.
    DataError
        If it will not: a wrong address, a body too large.
    """
    import httpx

    try:
        with httpx.stream(
            "GET",
            url,
            params=query,
            timeout=timeout_s,
            verify=_trust(),
            trust_env=False,
            follow_redirects=True,
        ) as response:
            _check_status(url, response.status_code, response.headers)
            body = _bounded(url, response.iter_bytes(), timeout_s, max_bytes)
            return Answer(body=body, headers=dict(response.headers))
    except httpx.HTTPError as error:
        raise NotAnswered(url, "must answer", repr(error), "Check the address.") from error


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()  # once: loading the certificates takes 30 ms


def _bounded(url: str, chunks: Iterable[bytes], timeout_s: float, max_bytes: int) -> bytes:
    body, deadline = bytearray(), time.monotonic() + timeout_s
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise DataError(url, f"must be at most {max_bytes} bytes", "more", "Ask for less.")
        if time.monotonic() > deadline:
            raise NotAnswered(url, f"must answer within {timeout_s} s", "slower", "Try later.")
    return bytes(body)


def _check_status(url: str, status: int, headers: Mapping[str, str]) -> None:
    if status < 400:
        return
    if status in TOO_BUSY or status >= 500:
        error = NotAnswered(url, "must answer with 200", status, "Try again later.")
        error.retry_after_s = retry_after_s(headers)
        raise error
    raise DataError(url, "must answer with 200", status, "Check the address.")


def retry_after_s(headers: Mapping[str, str] | None) -> float | None:
    """Return the seconds that `Retry-After` asks for, or None (dates are not understood)."""
    text = (headers or {}).get("Retry-After") or (headers or {}).get("retry-after") or ""
    return float(text) if text.isdigit() else None


def answered_at(headers: Mapping[str, str] | None) -> datetime | None:
    """Return the server's own time of the answer, in whole seconds, from its `Date`.

    Examples
    --------
    >>> answered_at({"Date": "Mon, 01 Jan 2024 10:00:00 GMT"}).isoformat()
    '2024-01-01T10:00:00+00:00'
    """
    text = (headers or {}).get("Date") or (headers or {}).get("date")
    try:
        return None if text is None else parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
