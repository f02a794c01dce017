from __future__ import annotations

from dataclasses import fields
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import ConfigError, DataError
from dexml.risk.score import REFUSAL, RiskParts, part, parts_shown, risk_score

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


NAMES = [field.name for field in fields(RiskParts)]


@given(st.sampled_from(NAMES), st.floats(1e-6, 1e6), st.floats(1, 1e6))
def test_a_part_at_or_above_its_limit_blocks_alone_and_is_shown_to(
    name: str, limit: float, over: float
) -> None:
    score, shown = parts_shown({name: limit * over}, {name: limit})
    assert score >= REFUSAL
    assert [(one.name, one.limit, one.refuses, one.share) for one in shown] == [
        (name, limit, True, 1.0)
    ]


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(0, 3), min_size=1))
def test_the_parts_shown_make_the_score_and_their_shares_make_one(values: dict[str, float]) -> None:
    score, shown = parts_shown(values, dict.fromkeys(NAMES, 1.0))
    product = 1.0
    for one in shown:
        assert one.part == part(values[one.name], 1.0)
        product *= 1 - one.part
    assert score == pytest.approx(1 - product, abs=1e-12)
    any_risk = any(one.part > 0 for one in shown)
    assert sum(one.share for one in shown) == pytest.approx(float(any_risk), abs=1e-9)
    assert [one.share for one in shown] == sorted((one.share for one in shown), reverse=True)


def test_parts_that_alone_are_everything_share_the_score() -> None:
    _, shown = parts_shown(
        {"drawdown": 9.0, "volatility": 9.0, "concentration": 0.9}, dict.fromkeys(NAMES, 1.0)
    )
    assert [(one.name, one.share) for one in shown] == [
        ("drawdown", 0.5),
        ("volatility", 0.5),
        ("concentration", 0.0),
    ]


@pytest.mark.parametrize("value", [nan, inf])
def test_what_is_not_known_or_endless_is_the_worst(value: float) -> None:
    assert part(value, 1.0) == 1.0
    assert parts_shown({"drawdown": value}, {"drawdown": 0.1})[0] == 1.0


@pytest.mark.parametrize("values", [{"luck": 0.1}, {"volatility": 0.1}])
def test_a_part_that_is_none_or_has_no_limit_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(DataError, match="part of the risk score must be one of"):
        parts_shown(values, {"drawdown": 0.1, "luck": 0.1})
