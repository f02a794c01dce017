from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ModelError
from dexml.models.rules import (
    RULES,
    BaseRate,
    HourOfWeekVolume,
    Reversal,
    VolatilityClosedForm,
    rule_from_dict,
)


def panel(n_hours: int = 24 * 7 * 20) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    at = pd.date_range("2024-01-01 00:00", periods=n_hours, freq="h", tz="UTC")
    index = pd.MultiIndex.from_arrays(
        [at, ["BTC/USDT"] * n_hours], names=["closed_at", "instrument"]
    )
    frame = pd.DataFrame(
        {"return_1": rng.normal(size=n_hours), "volatility_closed_form": rng.random(n_hours)}, index
    )
    return frame, pd.Series((rng.random(n_hours) < 0.5).astype(float), index)


def test_the_reversal_rule_learns_both_frequencies() -> None:
    frame, _ = panel()
    y = (frame["return_1"] < 0).astype(float)
    rule = Reversal().fit(frame, y)
    assert rule.after_fall > 0.99
    assert rule.after_rise < 0.01
    assert ((rule.predict(frame) > 0.5) == (y == 1)).all()


def test_the_hour_rule_finds_the_hour_in_which_volume_always_rises() -> None:
    frame, _ = panel()
    at = frame.index.get_level_values("closed_at")
    y = pd.Series(((at.dayofweek == 2) & (at.hour == 13)).astype(float), frame.index)
    p = HourOfWeekVolume().fit(frame, y).predict(frame)
    assert set(np.argsort(-p, kind="stable")[:20]) == set(np.flatnonzero(y))


def test_an_hour_never_seen_gets_the_base_rate() -> None:
    frame, y = panel()
    rule = HourOfWeekVolume().fit(frame.iloc[:24], y.iloc[:24])
    assert rule.predict(frame.iloc[30:31])[0] == pytest.approx(rule.base)


def test_the_closed_form_says_its_feature_and_the_base_rate_where_it_is_missing() -> None:
    frame, y = panel()
    rule = VolatilityClosedForm().fit(frame, y)
    frame.iloc[0, 1] = np.nan
    p = rule.predict(frame)
    assert p[0] == rule.base
    np.testing.assert_array_equal(p[1:], frame["volatility_closed_form"].to_numpy()[1:])


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_ignores_unknown_labels_and_survives_json(name: str) -> None:
    frame, y = panel()
    unknown = y.copy()
    unknown.iloc[-50:] = np.nan
    rule = RULES[name]().fit(frame, unknown)
    assert rule == RULES[name]().fit(frame.iloc[:-50], y.iloc[:-50])
    again = rule_from_dict(json.loads(json.dumps(rule.to_dict())))
    np.testing.assert_array_equal(again.predict(frame), rule.predict(frame))
    assert ((rule.predict(frame) > 0) & (rule.predict(frame) < 1)).all()


def test_a_missing_column_and_an_unfitted_rule_are_refused() -> None:
    frame, _ = panel(48)
    with pytest.raises(ModelError, match="must have the columns return_1"):
        Reversal().predict(frame[[]])
    with pytest.raises(ModelError, match="must be fitted first"):
        HourOfWeekVolume().predict(frame)
    assert BaseRate().predict(frame).tolist() == [0.5] * 48


def test_the_hours_of_the_week_count_from_monday_midnight_utc() -> None:
    frame, _ = panel()  # twenty weeks
    at = frame.index.get_level_values("closed_at")
    y = pd.Series(((at.dayofweek == 2) & (at.hour == 13)).astype(float), frame.index)
    fitted = HourOfWeekVolume().fit(frame, y).by_hour
    base = 21 / 3362
    assert fitted[2 * 24 + 13] == pytest.approx((20 + 20 * base) / 40)
    assert fitted[2 * 24 + 12] == fitted[2 * 24 + 14] == pytest.approx(20 * base / 40)
    known = HourOfWeekVolume(by_hour=tuple(hour / 168 for hour in range(168)))
    said = known.predict(frame.iloc[[0, 61, 167, 168]]) * 168  # 1 January 2024 was a Monday
    assert said.tolist() == pytest.approx([0, 61, 167, 0])
