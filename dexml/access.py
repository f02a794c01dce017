"""Bearer tokens: made once, kept only as a digest, checked in constant time.

A token reads `dxm_<id>_<secret>`. The id finds the record; the record holds the SHA-256 of the
whole token, what it may do and until when. The token itself is shown once and is never stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from dexml.clock import utc
from dexml.errors import DexmlError, UsageError

__all__ = ["AccessDenied", "Scope", "ScopeMissing", "TokenRecord", "check", "new_token", "token_id"]

_TOKEN = re.compile(r"dxm_([0-9a-f]{12})_[0-9a-f]{64}")
_NO_DIGEST = "0" * 64


class Scope(StrEnum):
    """What a token may do; no scope implies another."""

    READ = "read"
    PREDICT = "predict"
    TRADE = "trade"
    ADMIN = "admin"


class AccessDenied(DexmlError):
    """Nobody knows this caller: no token, a wrong one, or one that has ended."""


class ScopeMissing(AccessDenied):
    """The caller is known, but this token may not do that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What is kept of a token.

    Attributes
    ----------
    token_id : str
        Public part of the token, 12 hexadecimal digits.
    sha256 : str
        Digest of the whole token, hexadecimal.
    expires_at : datetime
        From this instant on the token is refused, UTC.
    """

    token_id: str
    sha256: str
    scopes: tuple[Scope, ...]
    expires_at: datetime
    revoked: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "expires_at", utc(self.expires_at))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> TokenRecord:
        """Build a record from a ledger row; scopes may be a list or a text, no end means never."""
        scopes, expires_at = row["scopes"], row["expires_at"] or datetime.max.replace(tzinfo=UTC)
        words = re.findall(r"[a-z]+", scopes) if isinstance(scopes, str) else scopes
        return cls(
            token_id=row.get("token_id") or row["id"],
            sha256=row["sha256"],
            scopes=tuple(Scope(word) for word in words),
            expires_at=datetime.fromisoformat(str(expires_at)),
            revoked=bool(row.get("revoked") or row.get("revoked_at")),
        )


def new_token(scopes: Iterable[str], now: datetime, ttl: timedelta) -> tuple[str, TokenRecord]:
    """Make a token and the record to keep of it.

    Parameters
    ----------
    scopes : iterable of str
        At least one of `Scope`.
    now : datetime
        Present instant, UTC.
    ttl : timedelta
        How long the token is good for; positive.

    Returns
    -------
    token : str
        To be shown once.
    record : TokenRecord
        To be stored.

    Raises
    ------
    UsageError
        If a scope is unknown, none is given, or the time to live is not positive.

    Examples
    --------
    >>> now = datetime(2024, 1, 1, tzinfo=UTC)
    >>> token, record = new_token(["read"], now, timedelta(days=1))
    >>> check(token, record, Scope.READ, now)
    >>> token in repr(record)
    False
    """
    known = _known_scopes(scopes)
    if ttl <= timedelta(0):
        raise UsageError("token life", "must be positive", ttl, "Write for example 30d.")
    identifier = secrets.token_hex(6)
    token = f"dxm_{identifier}_{secrets.token_hex(32)}"
    return token, TokenRecord(
        token_id=identifier, sha256=_digest(token), scopes=known, expires_at=utc(now) + ttl
    )


def _known_scopes(scopes: Iterable[str]) -> tuple[Scope, ...]:
    names = sorted(set(scopes))
    unknown = [name for name in names if name not in set(Scope)]
    if unknown or not names:
        choice = ", ".join(Scope)
        raise UsageError("token scopes", f"must be among {choice}", unknown or "none", "Name one.")
    return tuple(Scope(name) for name in names)


def token_id(token: str) -> str | None:
    """Return the public part of a token, or None if it has not the shape of one.

    Examples
    --------
    >>> token_id("dxm_0123456789ab_" + "f" * 64)
    '0123456789ab'
    >>> token_id("hunter2") is None
    True
    """
    match = _TOKEN.fullmatch(token)
    return match.group(1) if match else None


def check(token: str, record: TokenRecord | None, scope: Scope, now: datetime) -> None:
    """Return quietly if `token` is the one on record and may do `scope` now.

    An unknown token costs the same comparison as a known one, and no error repeats the token.

    Raises
    ------
    AccessDenied
        If the token is unknown, wrong, revoked or expired.
    ScopeMissing
        If it is good but lacks the scope.
    """
    expected = record.sha256 if record is not None else _NO_DIGEST
    matches = hmac.compare_digest(_digest(token).encode(), expected.encode())
    if record is None or not matches or record.revoked:
        raise AccessDenied(
            "bearer token",
            "must be one that was issued",
            "not known",
            "Take the address that dexml printed.",
        )
    if utc(now) >= record.expires_at:
        ended = f"good until {record.expires_at:%Y-%m-%d %H:%M}"
        raise AccessDenied("bearer token", "must not be past its end", ended, "Make a new one.")
    if scope not in record.scopes:
        raise ScopeMissing(
            "bearer token",
            f"must have the scope {scope}",
            " ".join(record.scopes),
            "Ask whoever runs dexml for a wider one.",
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
