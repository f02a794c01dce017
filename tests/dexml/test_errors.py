from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dexml import errors
from dexml.data.recorded.tables import read_table
from dexml.errors import DataError, DexmlError, LookAheadError

PLAIN = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, DexmlError) and kind is not LookAheadError
]


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_with_its_sentence(kind: type[DexmlError]) -> None:
    error = kind("bars of BTC/USDT", "must not be empty", 0, "Backfill them.")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == "bars of BTC/USDT must not be empty, was 0. Backfill them."


@pytest.mark.parametrize("was", ["damaged", "Not a parquet file.", "a file. ", "really?", "."])
def test_no_message_has_two_full_stops(was: str) -> None:
    said = str(DataError("file a.parquet", "must be readable", was, "Write it again."))
    assert ".." not in said
    assert re.search(r"[.?] Write it again\.$", said)


def test_the_reason_of_another_library_ends_a_sentence_once(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"[^.]\. [A-Z][^.]+\.$") as caught:
        read_table(tmp_path / "a.parquet")
    assert caught.value.was.endswith(".")  # else this test shows nothing
    assert ".." not in str(caught.value).replace("...", "")


def test_a_look_ahead_says_when_the_value_is_known() -> None:
    at, known = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, 3, tzinfo=UTC)
    again = pickle.loads(pickle.dumps(LookAheadError("vix", at, known)))
    assert str(again).startswith("vix was asked for at 2024-01-01 00:00 UTC but is only known from")
    assert again.known_at == known


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.__name__)
def test_exit_codes_are_those_of_the_documentation(kind: type[DexmlError]) -> None:
    assert kind.exit_code in {1, 2, 3, 78}
