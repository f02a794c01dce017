"""The seal of a model version: what differs from run to run, and a signature over everything.

The manifest names a version by its digest, so that the same fit has the same name. When it was
fitted and signed, and how long that took, differs; it stands in the seal, which the signature
covers together with the manifest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from dexml.errors import ModelError, ModelRefused

__all__ = ["Seal", "Signature", "Signer", "canonical", "check_signature", "statement"]

_KEY = re.compile(r"[0-9a-f]{64}")
_VALUE = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An Ed25519 signature (RFC 8032) and the public key that it is by, hexadecimal.

    Attributes
    ----------
    key : str
        64 digits.
    value : str
        128 digits.
    """

    key: str
    value: str


class Signer(Protocol):
    """Who holds a private key. It sees what it signs, and makes the statement itself."""

    def sign(self, manifest: bytes, facts: bytes) -> Signature:
        """Sign `statement(manifest, facts)`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What stands beside a manifest.

    Attributes
    ----------
    facts : mapping
        JSON-able: seconds and memory of the fit, when it was signed.
    signature : Signature or None
        None: nobody vouches for the version, and nobody loads it.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    signature: Signature | None = None

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        signed = None if self.signature is None else asdict(self.signature)
        return canonical({"facts": dict(self.facts), "signature": signed})

    @classmethod
    def from_bytes(cls, content: bytes) -> Seal:
        """Read a file's content; a byte that `to_bytes` would not write is refused.

        Raises
        ------
        ValueError
            If it is no seal.

        Examples
        --------
        >>> seal = Seal(facts={"seconds": 2.5})
        >>> Seal.from_bytes(seal.to_bytes()) == seal
        True
        """
        try:
            values = json.loads(content)
            signed = values["signature"]
            signature = None if signed is None else Signature(**signed)
            seal = cls(facts=dict(values["facts"]), signature=signature)
            same = seal.to_bytes() == content
        except (KeyError, ModelError, RecursionError, TypeError, ValueError) as error:
            raise ValueError("no seal") from error
        if not same or not _is_well_formed(seal.signature):
            raise ValueError("no seal")
        return seal


def canonical(content: Mapping[str, Any]) -> bytes:
    r"""Return the one JSON text of some values.

    Raises
    ------
    ModelError
        If they are no finite JSON.

    Examples
    --------
    >>> canonical({"b": 1, "a": 2})
    b'{\n "a": 2,\n "b": 1\n}'
    """
    try:
        return json.dumps(content, sort_keys=True, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ModelError("manifest", "must be finite JSON", error, "Use plain values.") from error


def statement(manifest: bytes, facts: bytes) -> bytes:
    """Return what is signed: it can be nothing but the statement of a model version."""
    parts = (hashlib.sha256(part).hexdigest() for part in (manifest, facts))
    return "\n".join(("dexml model version", *parts)).encode()


def check_signature(subject: str, manifest: bytes, seal: Seal, trusted: Mapping[str, str]) -> None:
    """Return quietly if a trusted key signed this manifest with these facts.

    Parameters
    ----------
    subject : str
        The version, in the words of an error.
    trusted : mapping of public key to name

    Raises
    ------
    ModelRefused
        If it is unsigned, signed by an unknown key, or the signature is of something else.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if seal.signature is None:
        fix = "Fit it again, or sign it with dexml models sign if you know where it is from."
        raise ModelRefused(subject, "must be signed", "unsigned", fix)
    key = seal.signature.key
    if key not in trusted:
        fix = "Fit it again, or trust that key with dexml models trust if you know whose it is."
        raise ModelRefused(subject, "must be signed by a key that this home trusts", key, fix)
    try:
        said = statement(manifest, canonical(seal.facts))
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
            bytes.fromhex(seal.signature.value), said
        )
    except (InvalidSignature, ValueError) as error:
        rule = f"must have a signature of {trusted[key]} that fits its manifest and facts"
        fix = "Do not use it; publish it again from a fit."
        raise ModelRefused(subject, rule, "a signature of something else", fix) from error


def _is_well_formed(signature: Signature | None) -> bool:
    if signature is None:
        return True
    parts = ((_KEY, signature.key), (_VALUE, signature.value))
    return all(isinstance(text, str) and pattern.fullmatch(text) for pattern, text in parts)
