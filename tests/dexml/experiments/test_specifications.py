from __future__ import annotations

from dexml.domain import Target
from dexml.experiments.specifications import specifications

COLUMNS = ("return_1", "volume_ratio_24", "macro_vix_change")


def test_a_joint_member_stands_only_where_several_views_speak_of_direction() -> None:
    price = specifications(COLUMNS, 0, (Target.DIRECTION, Target.VOLUME))
    assert list(price) == ["direction", "volume"]
    both = specifications(COLUMNS, 0, (Target.DIRECTION, Target.MACRO))
    assert list(both) == ["direction", "macro", "joint"]
    assert (both["joint"].target, both["joint"].columns) == ("direction", COLUMNS)


def test_a_target_without_inputs_is_absent_and_makes_no_joint_member() -> None:
    assert list(specifications(COLUMNS[:2], 0)) == ["direction", "volatility", "volume"]
