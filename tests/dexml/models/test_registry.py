from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dexml.errors import ModelError
from dexml.models.registry import Registry, file_digest, library_versions


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "inner" / "b.txt").write_text("two")
    return folder


def test_what_is_published_is_opened_with_its_manifest(tmp_path: Path, model: Path) -> None:
    registry = Registry(tmp_path / "models")
    digest = registry.publish(model, {"seed": 7})
    folder, manifest = registry.open(digest)
    assert manifest["seed"] == 7
    assert sorted(manifest["files"]) == ["a.txt", "inner/b.txt"]
    assert (folder / "inner" / "b.txt").read_text() == "two"
    assert registry.versions() == (digest,)


def test_the_same_bytes_have_the_same_name_and_others_another(tmp_path: Path, model: Path) -> None:
    registry = Registry(tmp_path / "models")
    first = registry.publish(model, {"seed": 7})
    assert registry.publish(model, {"seed": 7}) == first
    assert registry.publish(model, {"seed": 8}) != first
    (model / "a.txt").write_text("other")
    assert registry.publish(model, {"seed": 7}) != first
    assert len(registry.versions()) == 3


@pytest.mark.parametrize("harm", ["changed", "added", "removed", "manifest", "linked"])
def test_a_version_that_was_touched_is_refused_by_name(
    tmp_path: Path, model: Path, harm: str
) -> None:
    registry = Registry(tmp_path / "models")
    digest = registry.publish(model, {})
    folder = tmp_path / "models" / digest
    if harm == "changed":
        (folder / "a.txt").write_text("0ne")
    elif harm == "added":
        (folder / "c.pkl").write_text("payload")
    elif harm == "removed":
        (folder / "a.txt").unlink()
    elif harm == "linked":
        (folder / "c.txt").symlink_to(folder / "a.txt")
    else:
        (folder / "manifest.json").write_text('{"files": {}}')
    with pytest.raises(ModelError, match=r"was published|must hold no link"):
        registry.open(digest)


@pytest.mark.parametrize("name", ["", "0" * 64, "../models", "a.txt"])
def test_a_name_that_is_no_version_is_refused(tmp_path: Path, model: Path, name: str) -> None:
    registry = Registry(tmp_path / "models")
    registry.publish(model, {})
    with pytest.raises(ModelError, match="must be in the registry"):
        registry.open(name)


def test_a_refused_publication_leaves_nothing_behind(tmp_path: Path, model: Path) -> None:
    registry = Registry(tmp_path / "models")
    with pytest.raises(ModelError, match="finite JSON"):
        registry.publish(model, {"score": float("nan")})
    with pytest.raises(ModelError, match="must hold files"):
        registry.publish(tmp_path / "models-none", {})
    assert not list(tmp_path.glob("models/*"))


def test_a_file_has_one_digest_and_a_changed_byte_another(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"rows")
    other.write_bytes(b"row")
    assert file_digest(one) == hashlib.sha256(b"rows").hexdigest() != file_digest(other)
    assert library_versions()["lightgbm"]
