from __future__ import annotations

from collections.abc import Iterator

import pytest

from dexml.domain import Bars, Floats, Target
from dexml.errors import ConfigError
from dexml.experiments.specifications import specifications
from dexml.models.profiles import PROFILES, learners
from dexml.models.recipe import Recipe
from dexml.targets import TARGETS, rises, target

COLUMNS = ("return_1", "volume_ratio_24", "macro_vix_change")


def test_a_joint_member_stands_only_where_several_views_speak_of_direction() -> None:
    price = specifications(COLUMNS, 0, (Target.DIRECTION, Target.VOLUME))
    assert list(price) == ["direction", "volume"]
    both = specifications(COLUMNS, 0, (Target.DIRECTION, Target.MACRO))
    assert list(both) == ["direction", "macro", "joint"]
    assert (both["joint"].target, both["joint"].columns) == ("direction", COLUMNS)


def test_a_target_without_inputs_is_absent_and_makes_no_joint_member() -> None:
    assert list(specifications(COLUMNS[:2], 0)) == ["direction", "volatility", "volume"]


@pytest.fixture
def gap_up() -> Iterator[str]:
    @target("gap_up", view="volume")
    def opens_higher(bars: Bars, horizon: int) -> Floats:
        return rises(bars.open, horizon)

    yield "gap_up"
    del TARGETS["gap_up"]


def test_a_target_of_the_user_is_fitted_by_the_view_that_it_names(gap_up: str) -> None:
    specs = specifications(COLUMNS, 0, tuple(TARGETS))
    assert specs[gap_up].columns == specs["volume"].columns
    assert specs[gap_up].target == gap_up


def test_a_recipe_decides_profile_folds_and_horizon_of_every_member() -> None:
    for profile in PROFILES:
        specs = specifications(COLUMNS, 3, recipe=Recipe(profile=profile, horizon=30))
        for spec in specs.values():
            assert (spec.profile, spec.horizon, spec.seed) == (profile, 30, 3)
            assert spec.n_folds == PROFILES[profile].n_folds
            assert spec.embargo_bars == 30
            assert learners(spec) == PROFILES[profile].learners(spec.target)
    assert specifications(COLUMNS, 0)["volume"].embargo_bars == 24
    with pytest.raises(ConfigError, match="profile must be one of light, fast, standard, best"):
        Recipe(profile="heroic")
    with pytest.raises(ConfigError, match="horizon must be at least 1 bar"):
        Recipe(horizon=0)
