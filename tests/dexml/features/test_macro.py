from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.features.macro import macro_features
from tests.dexml.features.histories import some_macro, walk


def test_values_changes_and_z_scores_match_brute_force() -> None:
    bars = walk(n=400)
    macro = some_macro(bars)
    found = macro_features(macro, bars.closed_at)["vix"]
    for t in range(0, 400, 13):
        now = pd.Timestamp(bars.closed_at[t], tz="UTC")
        rows = macro[(macro["series"] == "vix") & (macro["known_at"] <= now)]
        values = rows.sort_values("period_at")["value"].to_numpy()
        assert found["value"][t] == values[-1]
        assert found["change"][t] == values[-1] - values[-2]
        assert found["change_lag_1"][t] == values[-2] - values[-3]
        last = values[-21:]
        assert found["z"][t] == pytest.approx((last[-1] - last.mean()) / last.std())
        assert found["age"][t] == (now - rows["period_at"].max()) / pd.Timedelta(days=1)


def test_a_revision_counts_from_its_own_release_and_never_before() -> None:
    bars = walk(n=100)
    macro = some_macro(bars)
    vix = macro[macro["series"] == "vix"]
    released = pd.Timestamp(bars.closed_at[0], tz="UTC")
    row = vix[vix["known_at"] <= released].iloc[[-1]]
    revised = row.assign(known_at=released + pd.Timedelta(minutes=1), value=99.0)
    found = macro_features(pd.concat([revised, vix]), bars.closed_at)["vix"]["value"]
    assert found[0] == row["value"].item()
    assert found[1] == 99.0


def test_a_revision_of_an_older_period_changes_the_change_and_not_the_value() -> None:
    bars = walk(n=3)
    vix = some_macro(bars).query("series == 'vix'").iloc[:30]
    known = vix["known_at"].max() + pd.Timedelta(minutes=1)
    revised = vix.iloc[[-2]].assign(known_at=known, value=5.0)
    found = macro_features(pd.concat([vix, revised]), bars.closed_at)["vix"]
    last = vix["value"].iloc[-1]
    assert found["value"][-1] == last
    assert found["change"][-1] == last - 5.0


def test_a_series_that_stops_is_stale_and_keeps_its_age() -> None:
    bars = walk(n=400)
    macro = some_macro(bars)
    last = pd.Timestamp(bars.closed_at[100], tz="UTC")
    found = macro_features(macro[macro["known_at"] <= last], bars.closed_at)["vix"]
    assert found["stale"][101] == 0.0
    assert found["stale"][399] == 1.0
    assert found["age"][399] > 12
    assert np.isfinite(found["value"][399])


def test_before_the_first_release_everything_is_missing() -> None:
    bars = walk(n=100)
    macro = some_macro(bars)
    later = macro[macro["known_at"] > pd.Timestamp(bars.closed_at[30], tz="UTC")]
    for values in macro_features(later, bars.closed_at)["vix"].values():
        assert np.isnan(values[:31]).all()


def _series(hours: list[float], values: list[float], closes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the fields of a series whose periods begin, and are known, at these hours."""
    at = pd.Timestamp(closes[0], tz="UTC") + pd.to_timedelta(hours, unit="h")
    rows = {"series": "one", "period_at": at.as_unit("ns"), "known_at": at.as_unit("ns")}
    return macro_features(pd.DataFrame({**rows, "value": values}), closes)["one"]


def test_after_more_than_four_usual_periods_without_a_release_a_series_is_stale() -> None:
    closes = walk(n=100).closed_at
    gaps = [5, 9, 2, 3, 2, 8]  # three hours are usual
    hours = np.cumsum(gaps).tolist()
    stale = _series(hours, [float(k) for k in range(6)], closes)["stale"]
    assert stale[hours[-1] :].tolist() == [0.0] * 13 + [1.0] * (100 - hours[-1] - 13)


def test_of_a_series_with_one_value_a_week_is_the_usual_period() -> None:
    stale = _series([0], [1.0], walk(n=700).closed_at)["stale"]
    assert stale.tolist() == [0.0] * (4 * 7 * 24 + 1) + [1.0] * (700 - 4 * 7 * 24 - 1)


def test_a_series_that_never_changes_has_no_z_score() -> None:
    found = _series([*range(30)], [3.0] * 30, walk(n=40).closed_at)
    assert np.isnan(found["z"]).all()
    assert (found["change"][2:] == 0.0).all()


def test_a_z_score_wants_five_periods() -> None:
    z = _series([*range(9)], [1.0, 2.0, 4.0, 8.0, 16.0, 3.0, 1.0, 2.0, 4.0], walk(n=9).closed_at)[
        "z"
    ]
    assert np.isnan(z).tolist() == [True] * 4 + [False] * 5
