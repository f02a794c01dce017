from __future__ import annotations

import pytest

from benchmarks.arrival import N_INSTRUMENTS, VENUES, arrival
from dexml.data.storage.bar_log import RECEIPTS_KEPT
from dexml.data.storage.segment_files import COMPACT_AT

N_CLOSES = 520


@pytest.mark.soak
def test_500_closes_of_50_instruments_at_3_exchanges_leave_memory_flat_and_files_few() -> None:
    said = arrival("1h", n_history=800, n_closes=N_CLOSES)
    assert said["same"]
    assert said["n_opened"] == 1
    grown = said["uss_last_third_max_mb"] - said["uss_middle_third_max_mb"]
    # MB for each close, of four processes; the rows of bars that they keep are 0.03
    assert grown / (N_CLOSES / 3) < 0.08, said
    arriving = COMPACT_AT + 16 + RECEIPTS_KEPT + 2  # a fold ends within 16 closes
    months = 3  # 1,320 hours
    assert said["n_files"] <= len(VENUES) * (arriving + N_INSTRUMENTS * (months + 1))
