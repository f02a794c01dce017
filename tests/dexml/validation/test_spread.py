from __future__ import annotations

import numpy as np
import pytest

from dexml.errors import DataError
from dexml.validation.spread import KEPT, Spread


def test_quantiles_are_exact_while_the_draws_are_kept() -> None:
    draws = np.random.default_rng(0).normal(size=(KEPT, 2))
    spread = Spread(2)
    for part in np.array_split(draws, 7):
        spread.add(part)
    assert spread.quantile(0.3) == np.quantile(draws, 0.3, axis=0).tolist()


def test_beyond_that_they_are_off_by_at_most_a_bin_and_memory_stays() -> None:
    draws = np.random.default_rng(1).normal(size=(50_000, 3))
    spread = Spread(3)
    sizes = set()
    for part in np.array_split(draws, 100):
        spread.add(part)
        sizes.add(spread._counts.nbytes)
    bins = 2 * np.ptp(draws[:KEPT], axis=0) / KEPT
    for share in (0.0, 0.025, 0.5, 0.975):
        apart = np.abs(spread.quantile(share) - np.quantile(draws, share, axis=0))
        assert (apart <= 1.01 * bins).all() or share == 0.0
    assert len(sizes) == 2  # nothing, and then always the same


def test_one_figure_that_never_moves_stays_itself() -> None:
    spread = Spread(1)
    spread.add(np.ones((KEPT + 1, 1)))
    assert spread.quantile(0.5) == pytest.approx([1.0], abs=1e-9)


def test_no_draws_are_named() -> None:
    with pytest.raises(DataError, match="draws must be at least one"):
        Spread(1).quantile(0.5)
