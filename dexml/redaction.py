"""What outsiders say, without the keys they say it with."""

from __future__ import annotations

import re

__all__ = ["redacted"]

_NAMES = r"api[_-]?key|apikey|key|token|secret|password|passwd|signature|access[_-]?key"
_NAMED = re.compile(
    rf"(?i)\b((?:[\w-]*[_-])?(?:{_NAMES}))(['\"]?\s*[=:]\s*['\"]?)([^\s&'\",;)}}\]]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")
_LOGIN = re.compile(r"(//)[^/\s:@]+:[^/\s@]+@")


def redacted(text: str) -> str:
    """Return `text` with the values of keys, tokens and passwords as ***.

    An exchange's answer or a library's error quotes the address that was asked, and with it the
    key; what is journalled, shown or logged of it goes through here.

    Examples
    --------
    >>> redacted("503 for https://ada:pw@host/v2?q=btc&apiKey=f00d (Authorization: Bearer f00d)")
    '503 for https://***@host/v2?q=btc&apiKey=*** (Authorization: Bearer ***)'
    """
    text = _LOGIN.sub(r"\1***@", text)
    text = _BEARER.sub(r"\1 ***", text)
    return _NAMED.sub(r"\1\2***", text)
