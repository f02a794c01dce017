from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.sources.scorers import SCORERS, scorer_named
from dexml.errors import UsageError


@pytest.mark.parametrize("name", ["vader", "textblob"])
def test_scorers_tell_good_from_bad(name: str) -> None:
    scorer = scorer_named(name)
    good = scorer.score("A great success and a wonderful day for holders")
    bad = scorer.score("A terrible failure and an awful day for holders")
    assert -1 <= bad < 0 < good <= 1
    assert scorer.score("") == 0.0


@given(st.sampled_from(sorted(SCORERS)), st.text(max_size=60))
def test_any_text_has_a_tone_between_minus_one_and_one(name: str, text: str) -> None:
    scorer = scorer_named(name)
    assert -1.0 <= scorer.score(text) <= 1.0
    assert scorer.score(text) == scorer_named(name).score(text)


def test_an_unknown_scorer_is_a_mistake_of_the_user() -> None:
    with pytest.raises(UsageError, match="must be one of textblob, vader, was oracle"):
        scorer_named("oracle")
