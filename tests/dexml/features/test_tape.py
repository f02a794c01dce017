from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.features.tape import BEFORE, Tape


@given(seed=st.integers(0, 10_000), n_rows=st.integers(1, 7), n_columns=st.integers(1, 4))
@settings(max_examples=60)
def test_each_column_holds_its_own_last_rows(seed: int, n_rows: int, n_columns: int) -> None:
    generator = np.random.default_rng(seed)
    tape = Tape(("a", "b"), n_columns, n_rows)
    heard: list[list[tuple[np.datetime64, float]]] = [[] for _ in range(n_columns)]
    for hour in range(3 * n_rows + 2):
        present = generator.random(n_columns) < 0.7
        values, stamp = generator.random(n_columns), np.datetime64(hour, "h")
        tape.push(present, stamp, {"a": values})
        tape.set("b", present, -values)
        for column in np.flatnonzero(present):
            heard[column].append((stamp, values[column]))
        for column, rows in enumerate(heard):
            expected = [(BEFORE, np.nan)] * n_rows + rows
            stamps, numbers = zip(*expected[-n_rows:], strict=True)
            np.testing.assert_array_equal(tape.closed_at[:, column], np.array(stamps, "M8[ns]"))
            np.testing.assert_array_equal(tape["a"][:, column], numbers)
            np.testing.assert_array_equal(tape["b"][:, column], -np.array(numbers))


def test_a_series_longer_than_the_tape_leaves_its_last_rows() -> None:
    tape = Tape(("a",), 2, 3)
    stamps = np.datetime64("2024-01-01", "ns") + np.arange(5) * np.timedelta64(1, "h")
    tape.load(1, stamps, {"a": np.arange(5.0)})
    np.testing.assert_array_equal(tape["a"][:, 1], [2.0, 3.0, 4.0])
    assert np.isnan(tape["a"][:, 0]).all()
