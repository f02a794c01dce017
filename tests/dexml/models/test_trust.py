from __future__ import annotations

from pathlib import Path

import pytest

from dexml.errors import EnvironmentRefused, UnsafeSetup, UsageError
from dexml.models.trust import Trust

ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path / "home" / "trust.json")


def test_keys_are_trusted_by_name_until_they_are_removed(trust: Trust) -> None:
    assert trust.trusted() == {}
    trust.add(ONE, "build machine")
    trust.add(OTHER, "ada")
    assert trust.trusted() == {ONE: "build machine", OTHER: "ada"}
    trust.remove(ONE)
    assert trust.trusted() == {OTHER: "ada"}


@pytest.mark.parametrize("key", ["", "1" * 63, "A" * 64, "1" * 64 + "\n"])
def test_what_is_no_public_key_is_refused(trust: Trust, key: str) -> None:
    with pytest.raises(UsageError, match="must be 64 hexadecimal digits"):
        trust.add(key, "ada")


def test_a_key_without_a_name_and_one_that_is_not_trusted_are_refused(trust: Trust) -> None:
    with pytest.raises(UsageError, match="must not be empty"):
        trust.add(ONE, " ")
    with pytest.raises(UsageError, match="must be one that is trusted"):
        trust.remove(ONE)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "keys": {"x": "ada"}}', '{"format": 9, "keys": {}}']
)
def test_a_damaged_file_trusts_nobody_and_says_so(trust: Trust, text: str) -> None:
    trust.add(ONE, "ada")
    trust.path.write_text(text)
    with pytest.raises(EnvironmentRefused, match="must be readable"):
        trust.trusted()


def test_a_file_that_others_may_write_trusts_nobody(trust: Trust) -> None:
    trust.add(ONE, "ada")
    trust.path.chmod(0o664)
    with pytest.raises(UnsafeSetup, match=r"must have mode 0644, was 0664"):
        trust.trusted()
