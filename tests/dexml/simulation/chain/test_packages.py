from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path

import pytest

from dexml.errors import EnvironmentRefused
from dexml.simulation.chain.packages import Package, cache_folder, fetch, fetched
from tests.dexml.conftest import Dexml

ARTIFACT = {"abi": [], "evm": {"bytecode": {"object": "6001"}}, "source": "x" * 1_000}


def _archive(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/build/A.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that an `npm` of the test packs from; what it lacks, the registry lacks."""
    bin_folder, served = tmp_path / "bin", tmp_path / "served"
    for folder in (bin_folder, served):
        folder.mkdir()
    npm = bin_folder / "npm"
    npm.write_text(
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        "into = sys.argv[sys.argv.index('--pack-destination') + 1]\n"
        f"shutil.copy(r'{served}/a-1.0.0.tgz', into)\n"
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    return served


def _package(archive: bytes) -> Package:
    return Package(
        name="@x/a".removeprefix("@x/"),
        version="1.0.0",
        sha256=hashlib.sha256(archive).hexdigest(),
        kept=(("package/build/A.json", "A.json"),),
    )


def test_what_is_fetched_is_checked_and_kept_once(registry: Path, tmp_path: Path) -> None:
    archive = _archive(json.dumps(ARTIFACT).encode())
    (registry / "a-1.0.0.tgz").write_bytes(archive)
    package, cache = _package(archive), tmp_path / "cache"
    assert fetch(cache, [package]) == ["a 1.0.0"]
    assert json.loads((cache / "A.json").read_text()) == {"abi": [], "bytecode": "0x6001"}
    assert fetch(cache, [package]) == []
    assert fetched(cache, [package]) == cache


def test_a_package_that_is_not_the_pinned_one_is_refused(registry: Path, tmp_path: Path) -> None:
    package = _package(_archive(b"{}"))
    (registry / "a-1.0.0.tgz").write_bytes(_archive(json.dumps(ARTIFACT).encode()))
    with pytest.raises(EnvironmentRefused, match=f"must have the sha256 {package.sha256}"):
        fetch(tmp_path / "cache", [package])
    assert not (tmp_path / "cache" / "A.json").exists()


def test_a_registry_without_it_is_said_in_a_sentence(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentRefused, match=r"package a@1\.0\.0 must be fetched with npm"):
        fetch(tmp_path / "cache", [_package(b"")])


def test_what_is_missing_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentRefused, match=r"Run dexml chain fetch") as refused:
        fetched(tmp_path)
    assert "anvil" in str(refused.value)


def test_the_cache_follows_the_rule_of_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/dexml/chain-1")


def test_the_command_says_what_could_not_be_fetched(
    registry: Path, dexml: Dexml, tmp_path: Path
) -> None:
    assert registry.is_dir()
    said = dexml("chain", "fetch", XDG_CACHE_HOME=str(tmp_path), PATH=os.environ["PATH"])
    assert said.code == 3
    assert "anvil-linux-amd64@1.7.1 must be fetched with npm" in " ".join(said.err.split())
