from __future__ import annotations

from pathlib import Path

import pytest

from dexml.errors import ConfigError, EnvironmentRefused
from dexml.folders import LocalFolder, ObjectFolder, open_folder


def test_a_plain_path_and_a_file_address_are_the_same_folder(tmp_path: Path) -> None:
    open_folder(tmp_path / "a b").under("c").locked().__enter__()
    open_folder(f"file://{tmp_path}/a%20b").under("c").write("x", b"1")
    assert open_folder(str(tmp_path / "a b")).under("c").read("x") == b"1"


@pytest.mark.parametrize("uri", ["ftp://host/x", "azure://x", "s3://"])
def test_an_address_that_is_no_store_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="storage_uri must be"):
        open_folder(uri)


def test_a_google_bucket_is_opened_without_asking_anyone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    folder = open_folder("gs://anonymous@bars/live")
    assert isinstance(folder, ObjectFolder)
    assert str(folder.under("news")) == "gcs://bars/live/news"


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "none")
    assert folder.names() == set()
    assert folder.paths() == []
    folder.remove("nothing")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(EnvironmentRefused, match="must be writable"):
        LocalFolder(tmp_path / "file").locked().__enter__()


def test_an_object_appears_whole_and_can_be_moved_and_removed(bucket: str) -> None:
    folder = open_folder(bucket).under("bars", "BTC-USDT")
    assert folder.names() == set()
    folder.write("a.arrow", b"x" * 100_000)
    folder.under("deeper").write("b", b"")
    assert folder.names() == {"a.arrow"}
    assert folder.read("a.arrow") == b"x" * 100_000
    folder.rename("a.arrow", "a.torn")
    assert folder.paths() == [("a.torn",), ("deeper", "b")]
    folder.remove("a.torn")
    folder.remove("a.torn")
    assert folder.names() == set()
    with pytest.raises(FileNotFoundError):
        folder.read("a.torn")


def test_a_bucket_that_is_not_there_is_refused_with_its_name(bucket: str) -> None:
    nowhere = bucket.replace("//bars/", "//absent/")
    with pytest.raises(EnvironmentRefused, match="folder s3://absent"):
        open_folder(nowhere).write("a", b"1")
