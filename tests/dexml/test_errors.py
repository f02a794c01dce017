from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from dexml import errors
from dexml.errors import DexmlError, LookAheadError

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


def test_a_look_ahead_says_when_the_value_is_known() -> None:
    at, known = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, 3, tzinfo=UTC)
    again = pickle.loads(pickle.dumps(LookAheadError("vix", at, known)))
    assert str(again).startswith("vix was asked for at 2024-01-01 00:00 UTC but is only known from")
    assert again.known_at == known


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.__name__)
def test_exit_codes_are_those_of_the_documentation(kind: type[DexmlError]) -> None:
    assert kind.exit_code in {1, 2, 3, 78}
