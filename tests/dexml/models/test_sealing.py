from __future__ import annotations

import json

import pytest

from dexml.errors import ModelError
from dexml.models.sealing import Seal, Signature, canonical

SIGNED = Seal(facts={"seconds": 2.5}, signature=Signature(key="a" * 64, value="b" * 128))


def test_a_seal_comes_back_as_it_was_written() -> None:
    for seal in (SIGNED, Seal()):
        assert Seal.from_bytes(seal.to_bytes()) == seal


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b"\xff",
        SIGNED.to_bytes() + b"\n",
        SIGNED.to_bytes().replace(b"a" * 64, b"A" * 64),
        SIGNED.to_bytes().replace(b"b" * 128, b"b" * 126),
        SIGNED.to_bytes().replace(b"2.5", b"NaN"),
        json.dumps({"facts": {}, "signature": None}).encode(),
        canonical({"facts": {}}),
        canonical({"facts": {}, "signature": {"key": "a" * 64}}),
        canonical({"facts": {}, "signature": {"key": 1, "value": 2}}),
        canonical({"facts": [], "signature": None}),
        canonical({"facts": {}, "signature": None, "more": 1}),
    ],
)
def test_bytes_that_no_seal_has_are_none(content: bytes) -> None:
    with pytest.raises(ValueError, match="no seal"):
        Seal.from_bytes(content)


def test_what_is_no_finite_json_has_no_text() -> None:
    for value in (float("nan"), float("inf"), object()):
        with pytest.raises(ModelError, match="must be finite JSON"):
            canonical({"score": value})
