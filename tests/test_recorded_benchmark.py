"""What the benchmark on recorded bars counts, where the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.recorded import RIVALS, _lines, judged

N_HOURS, NAMES = 400, ("BTC/USDT", "ETH/USDT")


def _said(ours: float, rivals: float) -> pd.DataFrame:
    """Return forecasts of labels that are 1 on three of four rows, by everybody the same."""
    hours = pd.date_range("2023-01-01", periods=N_HOURS, freq="h", tz="UTC")
    rows = pd.MultiIndex.from_product([hours, NAMES], names=["closed_at", "symbol"])
    y = (np.arange(len(rows)) % 8 < 6).astype(float)
    frame = pd.DataFrame({"y": y, "p": ours, **dict.fromkeys(RIVALS, rivals)}, rows)
    return frame.reset_index().sample(frac=1.0, random_state=0)


def test_what_ours_is_better_by_is_the_difference_of_the_mean_log_losses() -> None:
    found = judged(_said(0.75, 0.5))
    loss = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert found["rows"] == N_HOURS * len(NAMES)
    assert found["log_loss"]["p"] == pytest.approx(loss, abs=1e-5)
    mean, low, high = found["better_by"]["frozen"]
    assert mean == pytest.approx(np.log(2) - loss, abs=1e-5)
    assert low <= mean <= high
    assert found["instruments_better"] == dict.fromkeys(RIVALS, 2)


def test_what_is_worse_is_said_to_be_worse() -> None:
    found = judged(_said(0.25, 0.75))
    assert found["better_by"]["rule"][0] < 0
    assert found["instruments_better"]["rule"] == 0
    assert "0 of 2 instruments" in "\n".join(_lines({"direction": found}))


def test_a_row_without_outcome_or_forecast_is_not_counted() -> None:
    rows = _said(0.75, 0.5)
    rows.iloc[0, rows.columns.get_loc("y")] = np.nan
    rows.iloc[1, rows.columns.get_loc("p")] = np.nan
    assert judged(rows)["rows"] == len(rows) - 2
