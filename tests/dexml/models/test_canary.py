"""Whatever is done to a version, nothing of it is unpickled, and the error names what is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from pathlib import Path

import pytest

from dexml.errors import ModelError, ModelRefused
from dexml.models.local_signer import LocalSigner
from dexml.models.registry import Registry
from dexml.models.sealing import Seal, canonical
from dexml.models.verification import FORMAT
from tests.model_versions import NOON, Stranger, signed, unpickle, write_canary, write_model

FILES = ("manifest.json", "seal.json", "model.pkl", "weights.txt", "inner/notes.txt")
FLIPS, CUTS = 60, 25


class Nest:
    """A home with one signed version that sings when it is unpickled."""

    def __init__(self, home: Path) -> None:
        self.home, self.song = home, home / "song"
        self.registry = Registry.of(home)
        model = write_canary(home / "made", self.song)
        self.digest = signed(self.registry, home, model, {"target": "direction"})
        self.folder = home / "models" / self.digest

    def refused(self, match: str, digest: str = "") -> None:
        with pytest.raises(ModelRefused, match=match):
            unpickle(self.registry, digest or self.digest)
        assert not self.song.exists()

    def forge(self, **changes: object) -> str:
        """Give the version another manifest, whose digest is its name, and return that."""
        manifest = {**json.loads((self.folder / "manifest.json").read_bytes()), **changes}
        return self.put(canonical(manifest))

    def put(self, manifest: bytes) -> str:
        digest = hashlib.sha256(manifest).hexdigest()
        shutil.copytree(self.folder, self.home / "models" / digest)
        (self.home / "models" / digest / "manifest.json").write_bytes(manifest)
        return digest


@pytest.fixture
def nest(tmp_path: Path) -> Nest:
    return Nest(tmp_path)


def test_the_canary_sings_when_nothing_was_done_to_it(nest: Nest) -> None:
    unpickle(nest.registry, nest.digest)
    assert nest.song.exists()


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_refused_by_the_name_of_its_file(nest: Nest, name: str) -> None:
    path = nest.folder / name
    whole, dice = path.read_bytes(), random.Random(name)
    places = {0, len(whole) - 1, *(dice.randrange(len(whole)) for _ in range(FLIPS))}
    for place in sorted(places):
        harmed = bytearray(whole)
        harmed[place] ^= 1 << dice.randrange(8)
        path.write_bytes(harmed)
        # a seal may still be one, of another key or another signature
        nest.refused(name if name != "seal.json" else r"seal\.json|signature|signed by a key")
    path.write_bytes(whole)
    unpickle(nest.registry, nest.digest)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_to_any_length_or_made_longer_is_refused(nest: Nest, name: str) -> None:
    path = nest.folder / name
    whole, dice = path.read_bytes(), random.Random(name)
    lengths = {0, 1, len(whole) - 1, *(dice.randrange(len(whole)) for _ in range(CUTS))}
    for content in (*(whole[:length] for length in sorted(lengths)), whole + b" "):
        path.write_bytes(content)
        nest.refused(f"must have the {name} that was published")


def test_a_cut_file_is_refused_with_its_lengths(nest: Nest) -> None:
    (nest.folder / "weights.txt").write_text("0123456789")
    nest.refused("was 10 bytes of 500")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(nest: Nest, name: str) -> None:
    (nest.folder / name).unlink()
    nest.refused(f"{name} that was published, was .*missing")


@pytest.mark.parametrize("name", ["more.pkl", "inner/more.pkl", "a/b/c.txt", ".hidden"])
def test_an_added_file_is_named(nest: Nest, name: str) -> None:
    (nest.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (nest.folder / name).write_bytes(b"")
    nest.refused(f"{name} that was published, was added")


def test_two_files_that_changed_places_are_refused(nest: Nest) -> None:
    one, other = nest.folder / "model.pkl", nest.folder / "weights.txt"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    nest.refused(r"model\.pkl that was published")


@pytest.mark.parametrize("name", [*FILES[2:], "added.txt"])
def test_a_link_is_refused_even_to_the_same_bytes(nest: Nest, name: str) -> None:
    path, outside = nest.folder / name, nest.home / "outside"
    outside.write_bytes(path.read_bytes() if path.exists() else b"")
    path.unlink(missing_ok=True)
    path.symlink_to(outside)
    nest.refused(f"must hold no link, was {name}")


@pytest.mark.parametrize("name", FILES[:2])
def test_a_linked_manifest_or_seal_is_not_followed(nest: Nest, name: str) -> None:
    path = nest.folder / name
    path.rename(nest.home / "outside")
    path.symlink_to(nest.home / "outside")
    nest.refused(f"must have the {name} that was published")


def test_a_linked_folder_is_refused(nest: Nest) -> None:
    nest.folder.rename(nest.home / "outside")
    nest.folder.symlink_to(nest.home / "outside")
    nest.refused("was a link")
    nest.folder.unlink()
    shutil.copytree(nest.home / "outside", nest.folder)
    shutil.move(nest.folder / "inner", nest.home / "inner")
    (nest.folder / "inner").symlink_to(nest.home / "inner")
    nest.refused("must hold no link, was inner")


def test_a_pipe_is_refused_without_waiting_for_what_comes_out_of_it(nest: Nest) -> None:
    for name in ("weights.txt", "manifest.json"):
        (nest.folder / name).unlink()
        os.mkfifo(nest.folder / name)
        nest.refused("no special file" if name == "weights.txt" else r"manifest\.json")


def test_a_version_under_the_name_of_another_is_refused(nest: Nest) -> None:
    model = write_model(nest.home / "other", weights="other")
    other = signed(nest.registry, nest.home, model, {"target": "volume"})
    shutil.rmtree(nest.folder)
    shutil.copytree(nest.home / "models" / other, nest.folder)
    nest.refused(r"must have the manifest\.json that was published")


def test_an_unsigned_version_is_refused(nest: Nest) -> None:
    digest = nest.registry.publish(nest.home / "made", {"target": "direction", "seed": 1})
    nest.refused("must be signed, was unsigned", digest)


def test_a_version_signed_by_an_unknown_key_is_refused_by_that_key(nest: Nest) -> None:
    digest = nest.registry.publish(nest.home / "made", {"target": "direction", "seed": 1})
    stranger = Stranger()
    nest.registry.sign(digest, stranger, NOON)
    nest.refused(f"trusts, was {stranger.sign(b'', b'').key}", digest)
    nest.registry.trust.add(stranger.sign(b"", b"").key, "a friend after all")
    unpickle(nest.registry, digest)


def test_the_signature_of_another_version_is_refused(nest: Nest) -> None:
    model = write_model(nest.home / "other", weights="other")
    other = signed(nest.registry, nest.home, model, {"target": "direction"})
    shutil.copy(nest.home / "models" / other / "seal.json", nest.folder)
    nest.refused("signature of .* that fits its manifest and facts")


def test_a_fact_that_was_signed_cannot_be_changed(nest: Nest) -> None:
    path = nest.folder / "seal.json"
    seal = Seal.from_bytes(path.read_bytes())
    younger = Seal(facts={**seal.facts, "signed_at": "2030-01-01"}, signature=seal.signature)
    path.write_bytes(younger.to_bytes())
    nest.refused("that fits its manifest and facts")


def test_a_key_that_is_trusted_no_longer_opens_nothing(nest: Nest) -> None:
    for key in nest.registry.trust.trusted():
        nest.registry.trust.remove(key)
    nest.refused("must be signed by a key that this home trusts")


def test_a_forged_manifest_has_another_name_and_no_signature_of_its_own(nest: Nest) -> None:
    nest.refused("that fits its manifest", nest.forge(files={}))
    nest.refused("that fits its manifest", nest.forge(target="volume"))


@pytest.mark.parametrize("version", [FORMAT + 1, FORMAT - 1, "2", None])
def test_a_signed_manifest_of_another_format_is_refused(nest: Nest, version: object) -> None:
    digest = deceived(nest, nest.forge(format=version))
    nest.refused(f"must have a manifest of format {FORMAT}, was {version}", digest)


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        (b"", "must have a manifest"),
        (b"[]", "must have a manifest"),
        (b"\xff\xfe", "must have a manifest"),
        (b"[" * 100_000, "must have a manifest"),
        (b'{"format": 2}', "must have features in its manifest"),
        (b'{"format": 2, "features": [], "files": {}}', "must have features in its manifest"),
    ],
)
def test_a_signed_manifest_that_is_none_is_refused(nest: Nest, manifest: bytes, match: str) -> None:
    digest = deceived(nest, nest.put(manifest))
    nest.refused(match, digest)


@pytest.mark.parametrize("name", ["../made/model.pkl", "/etc/passwd", "a//b", "./a", "a\\b"])
def test_a_signed_manifest_cannot_name_files_elsewhere(nest: Nest, name: str) -> None:
    digest = deceived(nest, nest.forge(files={name: {"bytes": 0, "sha256": "0"}}))
    nest.refused("must name files inside its folder", digest)


@pytest.mark.parametrize("facts", [None, "0", {"bytes": 0}, {"bytes": "0", "sha256": "0"}])
def test_a_signed_manifest_must_say_how_long_and_what_each_file_is(
    nest: Nest, facts: object
) -> None:
    digest = deceived(nest, nest.forge(files={"model.pkl": facts}))
    nest.refused("must give length and digest of its files, was model.pkl", digest)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"python": "2.7"}, "must be loaded with Python 2.7, was 3"),
        ({"libraries": {"numpy": "0.1"}}, "loaded with numpy 0.1, .* Install numpy==0.1, or fit"),
        ({"libraries": {"no-such": "1.0"}}, "must be loaded with no-such 1.0, .* was none"),
        ({"features": {"rsi_14": "0" * 16}}, "given the features rsi_14 .* declared otherwise"),
        ({"features": {"gone": "0" * 16}}, "given the features gone .* was not declared"),
    ],
)
def test_what_was_fitted_elsewhere_is_refused_with_what_to_do(
    nest: Nest, changes: dict[str, object], match: str
) -> None:
    digest = deceived(nest, nest.forge(**changes))
    nest.refused(match, digest)
    folder, _ = nest.registry.open(digest, compatible=False)  # a deep replay compares what it says
    assert folder.name == digest


def test_a_name_that_is_no_version_is_told(nest: Nest) -> None:
    for name in ("", "0" * 64, "../models", nest.digest[:12], nest.digest.upper()):
        with pytest.raises(ModelError, match="must be in the registry"):
            unpickle(nest.registry, name)
    assert not nest.song.exists()


def deceived(nest: Nest, digest: str) -> str:
    """Have the home's own key sign whatever stands under a name, and return the name."""
    folder = nest.home / "models" / digest
    text = (folder / "manifest.json").read_bytes()
    signature = LocalSigner(nest.home).sign(text, canonical({}))
    (folder / "seal.json").write_bytes(Seal(signature=signature).to_bytes())
    return digest
