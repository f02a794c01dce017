from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.access import AccessDenied, Scope, ScopeMissing, TokenRecord, check, new_token, token_id
from dexml.errors import UsageError

NOW = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_token_is_kept_only_as_the_sha256_of_its_whole_text() -> None:
    token, record = new_token(["read"], NOW, DAY)
    assert record.sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert token.split("_")[2] not in repr(record)
    assert token_id(token) == record.token_id


def test_two_tokens_are_never_the_same() -> None:
    assert len({new_token(["read"], NOW, DAY)[0] for _ in range(100)}) == 100


def test_a_good_token_passes_until_its_end_and_not_at_it() -> None:
    token, record = new_token(["read"], NOW, DAY)
    check(token, record, Scope.READ, NOW + DAY - timedelta(microseconds=1))
    with pytest.raises(AccessDenied, match="past its end"):
        check(token, record, Scope.READ, NOW + DAY)


def test_no_scope_implies_another() -> None:
    token, record = new_token(["admin", "trade"], NOW, DAY)
    with pytest.raises(ScopeMissing, match="must have the scope read, was admin trade"):
        check(token, record, Scope.READ, NOW)


@given(st.text(max_size=90))
def test_any_other_text_is_refused_and_never_repeated(text: str) -> None:
    _, record = new_token(["read"], NOW, DAY)
    with pytest.raises(AccessDenied) as caught:
        check(text, record, Scope.READ, NOW)
    assert str(caught.value) == (
        "bearer token must be one that was issued, was not known. "
        "Take the address that dexml printed."
    )


def test_a_token_of_another_record_an_unknown_one_and_a_revoked_one_are_refused_alike() -> None:
    token, record = new_token(["read"], NOW, DAY)
    _, other = new_token(["read"], NOW, DAY)
    revoked = TokenRecord.from_row(_row(record) | {"revoked": True})
    texts = set()
    for wrong in (other, None, revoked):
        with pytest.raises(AccessDenied) as caught:
            check(token, wrong, Scope.READ, NOW)
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_a_ledger_row_in_either_form_gives_the_record_back() -> None:
    _, record = new_token(["read", "trade"], NOW, DAY)
    assert TokenRecord.from_row(_row(record)) == record
    words = {"id": record.token_id, "scopes": "read trade", "expires_at": "2024-01-02T00:00:00Z"}
    assert TokenRecord.from_row(words | {"sha256": record.sha256}) == record


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "root"]])
def test_unknown_scopes_are_refused(scopes: list[str]) -> None:
    with pytest.raises(UsageError, match="must be among read, predict, trade, admin"):
        new_token(scopes, NOW, DAY)


def test_a_token_must_live_for_a_while() -> None:
    with pytest.raises(UsageError, match="must be positive"):
        new_token(["read"], NOW, timedelta(0))


def _row(record: TokenRecord) -> dict[str, object]:
    return {
        "token_id": record.token_id,
        "sha256": record.sha256,
        "scopes": [str(scope) for scope in record.scopes],
        "expires_at": record.expires_at,
    }
