from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ModelError
from dexml.models.sequence.windows import Scaler, lay_out

HOUR = pd.Timedelta("1h")


def panel(hours: dict[str, list[int]]) -> pd.DataFrame:
    rows = sorted((hour, name) for name, found in hours.items() for hour in found)
    at = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta([r[0] for r in rows], unit="h")
    index = pd.MultiIndex.from_arrays([at, [r[1] for r in rows]], names=["closed_at", "instrument"])
    return pd.DataFrame({"hour": [float(r[0]) for r in rows]}, index)


def test_a_window_holds_consecutive_bars_of_one_instrument() -> None:
    # Brute force over every window that the tape calls whole.
    rng = np.random.default_rng(0)
    hours = {n: sorted(rng.choice(200, 150, replace=False).tolist()) for n in ("A/B", "C/D", "E/F")}
    frame = panel(hours).sample(frac=1.0, random_state=1)
    tape, names = lay_out(frame, ("hour",), HOUR), frame.index.get_level_values("instrument")
    ends = tape.ends(5)
    for end in ends:
        window = tape.rows[end - 4 : end + 1]
        assert len(set(names[window])) == 1
        assert np.diff(frame["hour"].to_numpy()[window]).tolist() == [1.0] * 4
        assert np.array_equal(tape.values[end - 4 : end + 1, 0], frame["hour"].to_numpy()[window])
    whole = sum(
        all(h - back in set(found) for back in range(5)) for found in hours.values() for h in found
    )
    assert len(ends) == whole > 20


def test_a_bar_told_twice_and_bars_off_the_grid_end_a_window() -> None:
    frame = panel({"A/B": [0, 1, 2, 2, 3, 4]})
    assert lay_out(frame, ("hour",), HOUR).run.tolist() == [1, 2, 3, 1, 2, 3]
    assert lay_out(frame, ("hour",), 2 * HOUR).run.tolist() == [1] * 6
    assert lay_out(frame.iloc[:0], ("hour",), HOUR).ends(1).tolist() == []


def test_a_window_touches_the_rows_that_are_in_it() -> None:
    frame = panel({"A/B": list(range(10))})
    tape = lay_out(frame, ("hour",), HOUR)
    marked = np.zeros(10, dtype=bool)
    marked[4] = True
    ends = tape.ends(3)
    assert ends[tape.touches(ends, 3, marked)].tolist() == [4, 5, 6]


def test_scaling_is_by_the_training_rows_alone() -> None:
    rng = np.random.default_rng(0)
    train, later = rng.normal(7.0, 3.0, (500, 2)), rng.normal(-50.0, 1.0, (20, 2))
    scaler = Scaler.fit(train, clip=5.0, mask_missing=True)
    scaled = scaler.apply(train)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-5)
    assert (scaler.apply(later) == -5.0).all()
    both = scaler.apply(np.concatenate([train, later]))
    np.testing.assert_array_equal(both[:500], scaled)


def test_what_is_missing_is_the_mean_and_is_told() -> None:
    train = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])
    told = Scaler.fit(train, clip=5.0, mask_missing=True)
    assert told.masked == (1,)
    assert told.apply(train)[1].tolist() == [0.0, 0.0, 1.0]
    untold = Scaler.fit(train, clip=5.0, mask_missing=False)
    assert (untold.n_channels, untold.apply(train)[1].tolist()) == (2, [0.0, 0.0])
    # missing for the first time when it is asked: the mean, and no new column
    assert told.apply(np.array([[np.nan, 4.0]]))[0].tolist() == [0.0, 0.0, 0.0]


def test_a_column_that_never_varied_or_never_was_says_nothing() -> None:
    train = np.column_stack([np.full(9, 1e9), np.full(9, np.nan), np.arange(9.0)])
    scaled = Scaler.fit(train, clip=5.0, mask_missing=False).apply(np.full((1, 3), 77.0))
    assert scaled.tolist() == [[0.0, 0.0, 5.0]]


def test_infinity_is_missing_and_no_row_is_refused() -> None:
    frame = panel({"A/B": [0, 1]}).replace(1.0, np.inf)
    assert np.isnan(lay_out(frame, ("hour",), HOUR).values[1, 0])
    with pytest.raises(ModelError, match="must hold rows"):
        Scaler.fit(np.zeros((0, 3)), clip=5.0, mask_missing=True)
