"""Model versions for tests: signed ones, and one that tells when it is unpickled."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dexml.models.local_signer import LocalSigner
from dexml.models.registry import Registry
from dexml.models.sealing import Signature, statement

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


class Stranger:
    """A signer that nobody trusts."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def sign(self, manifest: bytes, facts: bytes) -> Signature:
        public = self._key.public_key().public_bytes_raw().hex()
        return Signature(key=public, value=self._key.sign(statement(manifest, facts)).hex())


class Canary:
    """An object that makes a file when it is unpickled."""

    def __init__(self, song: Path) -> None:
        self._song = str(song)

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self._song, "w"))


def write_model(folder: Path, **files: str) -> Path:
    """Write a folder of plain files; `inner__b` is `inner/b.txt`."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def write_canary(folder: Path, song: Path) -> Path:
    """Write a folder with a pickle that sings, and a few files beside it."""
    write_model(folder, weights="0123456789" * 50, inner__notes="a note")
    (folder / "model.pkl").write_bytes(pickle.dumps(Canary(song)))
    return folder


def unpickle(registry: Registry, digest: str) -> None:
    """Load a version as a careless consumer does, once the registry has let it through."""
    folder, _ = registry.open(digest)
    pickle.loads((folder / "model.pkl").read_bytes()).close()


def signed(
    registry: Registry, home: Path, folder: Path, manifest: dict[str, Any], after_s: float = 0
) -> str:
    """Publish a folder, signed by the home's own key so many seconds after noon."""
    digest = registry.publish(folder, manifest)
    registry.sign(digest, LocalSigner(home), NOON + timedelta(seconds=after_s))
    return digest
