"""A signer whose key is a file of this home, for one machine without a signer process.

Only the driver of a training and the promotion doors make one, and nothing that serves, forecasts
or fits: an import contract says so.
"""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from dexml.errors import UnsafeSetup
from dexml.folders import LocalFolder, write_durably
from dexml.models.sealing import Signature, statement
from dexml.models.trust import FILE, Trust, refuse_loose

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["LocalSigner"]

_MINE = stat.S_IRWXG | stat.S_IRWXO


class LocalSigner:
    """Signs model versions with the key of a home.

    Parameters
    ----------
    home : Path
        Its `keys/models.pem` (mode 0600) is made at the first signature, and trusted then. Taken
        out of the trust file later, it stays out.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     signature = LocalSigner(Path(folder)).sign(b"manifest", b"facts")
    ...     signature.key in Trust(Path(folder, "trust.json")).trusted()
    True
    """

    def __init__(self, home: Path) -> None:
        self._file = home / "keys" / "models.pem"
        self._trust = Trust(home / FILE)

    def sign(self, manifest: bytes, facts: bytes) -> Signature:
        """Sign a version.

        Raises
        ------
        UnsafeSetup
            If others may read the key, or it is no Ed25519 key.
        """
        key = self._key()
        return Signature(key=_public(key), value=key.sign(statement(manifest, facts)).hex())

    @property
    def public_key(self) -> str:
        """The key that others must trust, 64 hexadecimal digits; made if there is none."""
        return _public(self._key())

    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if not self._file.exists():
            self._make()
        refuse_loose(self._file, _MINE)
        try:
            key = load_pem_private_key(self._file.read_bytes(), password=None)
        except (TypeError, ValueError) as error:
            raise self._foreign(error) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise self._foreign(type(key).__name__)
        return key

    def _make(self) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with LocalFolder(self._file.parent).locked():
            if self._file.exists():
                return
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            # trusted first: a key that is trusted and lost in a crash signs nothing
            self._trust.add(_public(key), f"{socket.gethostname()}, this home")
            write_durably(self._file, pem, mode=0o600)

    def _foreign(self, was: object) -> UnsafeSetup:
        fix = "Restore it from a backup, or remove it: a new one is made at the next signature."
        return UnsafeSetup(f"file {self._file}", "must be an Ed25519 key", was, fix)


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()
