"""Versions in a bucket or a shared folder: copied to the home, verified there, then loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from dexml.errors import ConfigError, ModelError, ModelRefused
from dexml.folders import Folder, open_folder
from dexml.models.local_signer import LocalSigner
from dexml.models.registry import Registry
from dexml.models.retention import prune
from tests.model_versions import NOON, signed, unpickle, write_canary, write_model

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["s3", "gs", "folder"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "shared")
    name = {"s3": "bucket", "gs": "google_bucket"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.fixture
def registry(address: str, tmp_path: Path) -> Registry:
    return Registry.of(tmp_path / "home", address)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return tmp_path / "song"


@pytest.fixture
def digest(registry: Registry, tmp_path: Path, song: Path) -> str:
    model = write_canary(tmp_path / "made", song)
    return signed(registry, tmp_path / "home", model, {"target": "direction"})


@pytest.fixture
def version(address: str, digest: str) -> Folder:
    return open_folder(address).under(digest)


def elsewhere(address: str, tmp_path: Path) -> Registry:
    """Return the registry as another machine sees it, that trusts the first one's key."""
    home = tmp_path / "elsewhere"
    other = Registry.of(home, address)
    other.trust.add(LocalSigner(tmp_path / "home").public_key, "the other machine")
    return other


def test_what_one_machine_published_another_loads(
    address: str, registry: Registry, digest: str, tmp_path: Path, song: Path
) -> None:
    other = elsewhere(address, tmp_path)
    assert other.versions() == registry.versions() == (digest,)
    unpickle(other, digest)
    assert song.exists()
    folder, _ = other.open(digest)
    assert folder == tmp_path / "elsewhere" / "cache" / "models" / digest
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in folder.parent.iterdir()] == [digest]


def test_a_machine_that_trusts_nobody_fetches_no_file(
    address: str, digest: str, tmp_path: Path, song: Path
) -> None:
    other = Registry.of(tmp_path / "elsewhere", address)
    with pytest.raises(ModelRefused, match="by a key that this home trusts"):
        unpickle(other, digest)
    assert not song.exists()
    assert not list((tmp_path / "elsewhere").rglob("*.pkl"))


@pytest.mark.parametrize("harm", ["changed", "cut", "removed", "added", "manifest", "seal"])
def test_what_was_done_to_it_there_is_named_and_nothing_is_unpickled(
    address: str, version: Folder, digest: str, tmp_path: Path, song: Path, harm: str
) -> None:
    content = version.read("model.pkl")
    if harm == "changed":
        version.write("model.pkl", content[:-1] + b"!")
    elif harm == "cut":
        version.write("model.pkl", content[:-1])
    elif harm == "removed":
        version.remove("model.pkl")
    elif harm == "added":
        version.under("deep").write("more.pkl", content)
    elif harm == "manifest":
        version.write("manifest.json", version.read("manifest.json") + b" ")
    else:
        version.write("seal.json", version.read("seal.json") + b" ")
    named = {"added": "deep/more.pkl", "manifest": "manifest.json", "seal": "seal.json"}
    with pytest.raises(ModelRefused, match=named.get(harm, "model.pkl")):
        unpickle(elsewhere(address, tmp_path), digest)
    assert not song.exists()


def test_a_damaged_copy_is_fetched_again_and_a_damaged_original_is_told_by_verify(
    registry: Registry, version: Folder, digest: str, tmp_path: Path
) -> None:
    folder, _ = registry.open(digest)
    (folder / "weights.txt").write_text("0")
    registry.open(digest)
    assert (folder / "weights.txt").read_text() != "0"
    version.write("weights.txt", b"0")
    registry.open(digest)  # the copy is what was published
    with pytest.raises(ModelRefused, match=r"weights\.txt .* was 1 bytes of 500"):
        registry.verify(digest)


def test_a_publication_that_was_cut_short_is_no_version_and_is_made_whole(
    registry: Registry, version: Folder, digest: str, tmp_path: Path
) -> None:
    version.remove("seal.json")
    version.write("torn.txt", b"half")
    assert registry.versions() == ()
    with pytest.raises(ModelError, match="must be in the registry"):
        registry.verify(digest)
    assert registry.publish(tmp_path / "made", {"target": "direction"}) == digest
    registry.sign(digest, LocalSigner(tmp_path / "home"), NOON)
    registry.verify(digest)


def test_a_signature_that_came_later_is_seen_by_who_has_a_copy(
    registry: Registry, tmp_path: Path
) -> None:
    digest = registry.publish(write_model(tmp_path / "plain", a="one"), {})  # checks a copy
    with pytest.raises(ModelRefused, match="must be signed"):
        registry.open(digest)
    registry.sign(digest, LocalSigner(tmp_path / "home"), NOON)
    registry.open(digest)


def test_versions_are_removed_there_and_here(registry: Registry, tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = [
        signed(registry, home, write_model(tmp_path / str(k), a=str(k)), {}, k) for k in range(4)
    ]
    gone = prune(registry, {made[0]}, 1, NOON + timedelta(days=30))
    assert set(gone) == {made[1], made[2]}
    assert set(registry.versions()) == {made[0], made[3]}
    assert {one.name for one in registry.root.iterdir()} == {made[0], made[3]}


def test_a_child_process_opens_a_bucket_by_its_address(
    bucket: str, tmp_path: Path, song: Path
) -> None:
    home = tmp_path / "home"
    digest = signed(
        Registry.of(home, bucket), home, write_canary(tmp_path / "made", song), {"target": "x"}
    )
    code = (
        "import sys; from pathlib import Path; from dexml.models.registry import Registry; "
        "folder, manifest = Registry.of(Path(sys.argv[1]), sys.argv[2]).open(sys.argv[3]); "
        "print(manifest['target'], folder.name == sys.argv[3])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(home), bucket, digest],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["x", "True"]


def test_an_address_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be a folder or s3://bucket"):
        Registry.of(tmp_path, "ftp://models")
