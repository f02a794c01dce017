"""A transport for `requests` that limits the whole answer: ccxt limits only each wait for bytes."""

from __future__ import annotations

import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter

__all__ = ["BoundedAdapter"]


class BoundedAdapter(HTTPAdapter):
    """Read answers within a total time and size, so that neither a drip nor a flood gets in.

    Parameters
    ----------
    timeout_s : float
        For headers and body together.
    max_bytes : int
        Of the decompressed body.
    """

    def __init__(self, timeout_s: float, max_bytes: int) -> None:
        super().__init__()
        self._timeout_s, self._max_bytes = timeout_s, max_bytes

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        deadline = time.monotonic() + self._timeout_s
        response = super().send(request, **(options | {"stream": True}))
        body = bytearray()
        while chunk := response.raw.read1(1 << 16, decode_content=True):
            body += chunk
            if len(body) > self._max_bytes or time.monotonic() > deadline:
                response.close()
                raise requests.exceptions.ReadTimeout("the answer is too long or too slow")
        response._content, response._content_consumed = bytes(body), True
        return response
