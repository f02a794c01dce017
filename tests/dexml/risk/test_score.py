from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import ConfigError
from dexml.risk.score import REFUSAL, RiskParts, part, risk_score

UNIT = st.floats(0, 1)
PARTS = st.builds(RiskParts, **{field.name: UNIT for field in fields(RiskParts)})


@given(PARTS, st.sampled_from([field.name for field in fields(RiskParts)]), st.floats(1e-6, 1e6))
def test_any_part_at_its_limit_alone_refuses_new_risk(
    parts: RiskParts, name: str, limit: float
) -> None:
    values = {field.name: getattr(parts, field.name) for field in fields(RiskParts)}
    assert risk_score(RiskParts(**{**values, name: part(limit, limit)})) >= REFUSAL
    assert risk_score(RiskParts(**{name: part(limit, limit)})) >= REFUSAL


@given(PARTS)
def test_the_score_is_one_minus_the_product_within_zero_and_one(parts: RiskParts) -> None:
    product = 1.0
    for value in parts.values():
        product *= 1 - value
    assert risk_score(parts) == pytest.approx(1 - product, abs=1e-12)
    assert 0 <= risk_score(parts) <= 1


def test_half_of_every_limit_leaves_room() -> None:
    half = part(0.5, 1.0)
    assert risk_score(RiskParts(**{field.name: half for field in fields(RiskParts)})) < 0.3


def test_a_limit_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="risk limit must be positive"):
        part(1.0, 0.0)
