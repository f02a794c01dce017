"""Point an unmodified client of a fixed address at another one, with limits on what it reads."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests

from dexml.data.bounded import BoundedAdapter

__all__ = ["forwarding_session"]

_MAX_BYTES = 32 << 20


class _Forwarding(BoundedAdapter):
    def __init__(self, url: str, timeout_s: float) -> None:
        super().__init__(timeout_s, _MAX_BYTES)
        self._to = urlsplit(url)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        asked = urlsplit(str(request.url))
        path = self._to.path.rstrip("/") + asked.path
        request.url = urlunsplit((self._to.scheme, self._to.netloc, path, asked.query, ""))
        return super().send(request, **options)


def forwarding_session(url: str | None, timeout_s: float = 10.0) -> requests.Session:
    """Return a session whose every answer is bounded; with `url`, all requests go there.

    Examples
    --------
    >>> session = forwarding_session("http://127.0.0.1:1")
    >>> session.get("https://example.com/path")
    Traceback (most recent call last):
    requests.exceptions.ConnectionError: ...
    """
    session = requests.Session()
    session.trust_env = False  # neither a proxy nor a .netrc may see what is asked
    adapter = BoundedAdapter(timeout_s, _MAX_BYTES) if url is None else _Forwarding(url, timeout_s)
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session
