from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from dexml.errors import ModelRefused, UnsafeSetup
from dexml.models.local_signer import LocalSigner
from dexml.models.sealing import Seal, check_signature, statement
from dexml.models.trust import Trust

ROOT = Path(__file__).resolve().parents[3]


def test_the_first_signature_makes_a_key_that_nobody_else_can_read(tmp_path: Path) -> None:
    signature = LocalSigner(tmp_path).sign(b"manifest", b"facts")
    key = tmp_path / "keys" / "models.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert list(Trust(tmp_path / "trust.json").trusted()) == [signature.key]
    assert LocalSigner(tmp_path).sign(b"manifest", b"facts") == signature  # RFC 8032: no nonce


def test_a_signature_is_ed25519_over_the_statement_and_nothing_else(tmp_path: Path) -> None:
    signature = LocalSigner(tmp_path).sign(b"manifest", b"facts")
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.key))
    public.verify(bytes.fromhex(signature.value), statement(b"manifest", b"facts"))
    with pytest.raises(InvalidSignature):
        public.verify(bytes.fromhex(signature.value), b"manifest")


def test_manifest_and_facts_cannot_be_cut_at_another_place() -> None:
    assert statement(b"ab", b"c") != statement(b"a", b"bc")
    assert statement(b"", b"abc").startswith(b"dexml model version\n")


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    LocalSigner(tmp_path).sign(b"", b"")
    (tmp_path / "keys" / "models.pem").chmod(0o640)
    with pytest.raises(UnsafeSetup, match=r"must have mode 0600, was 0640\. Run chmod 0600"):
        LocalSigner(tmp_path).sign(b"", b"")


def test_a_key_of_another_kind_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    LocalSigner(tmp_path).sign(b"", b"")
    file = tmp_path / "keys" / "models.pem"
    other = X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for content in (other, b"no key"):
        file.write_bytes(content)
        with pytest.raises(UnsafeSetup, match="must be an Ed25519 key"):
            LocalSigner(tmp_path).sign(b"", b"")


def test_a_key_that_was_taken_out_of_the_trust_file_stays_out(tmp_path: Path) -> None:
    signer, trust = LocalSigner(tmp_path), Trust(tmp_path / "trust.json")
    trust.remove(signer.public_key)
    seal = Seal(signature=signer.sign(b"manifest", b"{}"))
    with pytest.raises(ModelRefused, match="by a key that this home trusts"):
        check_signature("model", b"manifest", seal, trust.trusted())


def _public_key(home: str) -> str:
    return LocalSigner(Path(home)).public_key


def test_many_processes_that_sign_first_make_one_key(tmp_path: Path) -> None:
    with get_context("spawn").Pool(4) as pool:
        keys = pool.map(_public_key, [str(tmp_path)] * 8)
    assert list(Trust(tmp_path / "trust.json").trusted()) == [*set(keys)]


def test_nothing_that_serves_forecasts_or_fits_imports_the_key() -> None:
    code = (
        "import sys, serve_app, actors.forecast, actors.trainer, dexml.models.fits; "
        "print('dexml.models.local_signer' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["False"]
