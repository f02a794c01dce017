from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from dexml.errors import ModelError, ModelRefused
from dexml.models.local_signer import LocalSigner
from dexml.models.registry import Registry, file_digest, library_versions
from tests.model_versions import NOON, Stranger, signed, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", a="one", inner__b="two")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.of(tmp_path)


def test_what_is_published_and_signed_is_opened_with_its_manifest(
    registry: Registry, tmp_path: Path, model: Path
) -> None:
    digest = registry.publish(model, {"seed": 7}, columns=("rsi_14",))
    registry.sign(digest, LocalSigner(tmp_path), NOON)
    folder, manifest = registry.open(digest)
    assert manifest["seed"] == 7
    assert sorted(manifest["files"]) == ["a.txt", "inner/b.txt"]
    assert manifest["files"]["a.txt"]["bytes"] == 3
    assert list(manifest["features"]) == ["rsi_14"]
    assert manifest["libraries"] == library_versions()
    assert (folder / "inner" / "b.txt").read_text() == "two"
    assert registry.versions() == (digest,)


def test_the_same_bytes_have_the_same_name_and_others_another(
    registry: Registry, model: Path
) -> None:
    first = registry.publish(model, {"seed": 7})
    assert registry.publish(model, {"seed": 7}) == first
    assert registry.publish(model, {"seed": 8}) != first
    (model / "a.txt").write_text("other")
    assert registry.publish(model, {"seed": 7}) != first
    assert len(registry.versions()) == 3


def test_the_same_fit_has_the_same_name_however_long_it_took(
    registry: Registry, tmp_path: Path, model: Path
) -> None:
    first = registry.publish(model, {"seed": 7}, facts={"seconds": 1.0})
    registry.sign(first, LocalSigner(tmp_path), NOON)
    assert registry.publish(model, {"seed": 7}, facts={"seconds": 2.0}) == first
    registry.sign(first, LocalSigner(tmp_path), NOON + timedelta(days=1))
    _, seal = registry.describe(first)
    assert seal.facts == {"seconds": 1.0, "signed_at": NOON.isoformat()}  # of the first fit


def test_many_that_publish_the_same_at_once_leave_one_whole_version(
    registry: Registry, tmp_path: Path, model: Path
) -> None:
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: registry.publish(model, {"seed": 7}), range(16)))
        (digest,) = digests
        list(pool.map(lambda _: registry.sign(digest, LocalSigner(tmp_path), NOON), range(16)))
    registry.open(digest)
    assert registry.leftovers() == ()


def test_nothing_is_signed_that_was_touched_before(
    registry: Registry, tmp_path: Path, model: Path
) -> None:
    digest = registry.publish(model, {})
    (tmp_path / "models" / digest / "a.txt").write_text("0ne")
    with pytest.raises(ModelRefused, match=r"must have the a\.txt that was published"):
        registry.sign(digest, LocalSigner(tmp_path), NOON)
    with pytest.raises(ModelRefused, match=r"must have the a\.txt that was published"):
        registry.publish(model, {})  # the same name, and other bytes under it


def test_a_version_of_a_stranger_can_be_vouched_for_by_the_home(
    registry: Registry, tmp_path: Path, model: Path
) -> None:
    digest = registry.publish(model, {})
    registry.sign(digest, Stranger(), NOON)
    with pytest.raises(ModelRefused, match="by a key that this home trusts"):
        registry.open(digest)
    registry.sign(digest, LocalSigner(tmp_path), NOON)
    registry.open(digest)


def test_a_version_is_described_before_anybody_vouches_for_it(
    registry: Registry, model: Path
) -> None:
    digest = registry.publish(model, {"seed": 7}, facts={"seconds": 1.0})
    manifest, seal = registry.describe(digest)
    assert (manifest["seed"], seal.facts, seal.signature) == (7, {"seconds": 1.0}, None)


def test_what_is_removed_is_gone_at_once(registry: Registry, tmp_path: Path, model: Path) -> None:
    digest = signed(registry, tmp_path, model, {})
    registry.remove(digest)
    assert registry.versions() == registry.leftovers() == ()
    with pytest.raises(ModelError, match="must be in the registry"):
        registry.remove(digest)


@pytest.mark.parametrize("name", ["", "0" * 64, "../models", "a.txt"])
def test_a_name_that_is_no_version_is_refused(registry: Registry, model: Path, name: str) -> None:
    registry.publish(model, {})
    with pytest.raises(ModelError, match="must be in the registry"):
        registry.open(name)


def test_a_refused_publication_leaves_nothing_behind(
    registry: Registry, tmp_path: Path, model: Path
) -> None:
    with pytest.raises(ModelError, match="finite JSON"):
        registry.publish(model, {"score": float("nan")})
    with pytest.raises(ModelError, match="must hold files"):
        registry.publish(tmp_path / "models-none", {})
    (model / "link").symlink_to(model / "a.txt")
    with pytest.raises(ModelError, match="must hold no link, was link"):
        registry.publish(model, {})
    assert not list(tmp_path.glob("models/*"))


def test_a_file_has_one_digest_and_a_changed_byte_another(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"rows")
    other.write_bytes(b"row")
    assert file_digest(one) == hashlib.sha256(b"rows").hexdigest() != file_digest(other)
    assert library_versions()["lightgbm"]
