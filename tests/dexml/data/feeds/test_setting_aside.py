"""What an exchange sent and cannot be a bar is kept with its reason, by every way in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.data.feeds.keeping import Keeper
from dexml.data.feeds.rows import FeedUpdate, RefusedRow, checked
from dexml.data.feeds.track import Track
from dexml.data.health import reasons
from dexml.data.storage.quarantine import seen_late
from dexml.data.storage.store import Store
from dexml.domain import Timeframe

NOW = datetime(2024, 1, 2, 0, 20, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
OPENED = NOW_S // 3_600 * 3_600 - 3_600
GOOD = [OPENED * 1_000, 1.0, 2.0, 0.5, 1.5, 9.0]


def refused_of(*rows: list[object]) -> tuple[RefusedRow, ...]:
    return tuple(checked([*rows], 3_600, OPENED - 7_200, NOW_S, NOW_S).refused)


def kept(folder: Path, *rows: list[object]) -> pd.DataFrame:
    store = Store(folder)
    keeper = Keeper(store, "kraken", ("BTC/USDT",), Timeframe.H1)
    told = {"BTC/USDT": refused_of(*rows)}
    for _ in range(3):  # an exchange says it again at each poll
        keeper.keep(replace(FeedUpdate.empty(), refused=told, seen_at=NOW))
    return store.quarantine("kraken", "BTC/USDT", "1h")


def test_each_wrong_row_is_kept_once_with_its_numbers_and_its_reason(tmp_path: Path) -> None:
    found = kept(
        tmp_path,
        GOOD,
        [GOOD[0], None, *GOOD[2:]],
        [GOOD[0], -1.0, *GOOD[2:]],
        [GOOD[0], 1.0, 0.1, *GOOD[3:]],
        [OPENED, *GOOD[1:]],
        [GOOD[0] + 10 * 3_600_000, *GOOD[1:]],
        ["x", *GOOD[1:]],
    )
    assert sorted(found["reason"]) == [
        "must have a stamp in milliseconds, not in seconds",
        "must have low <= open, close <= high",
        "must have positive prices",
        "must hold a stamp and five numbers",
        "must hold a stamp and five numbers",
        "must not lie in the future",
    ]
    by_reason = found.drop_duplicates("reason").set_index("reason")
    assert by_reason.loc["must have positive prices", "open"] == -1.0
    assert by_reason.loc["must have low <= open, close <= high", "high"] == 0.1
    stamped = found[found["reason"] == "must hold a stamp and five numbers"]
    assert stamped["closed_at"].dt.year.tolist() == [1970, 2024]  # one of them had no stamp
    assert np.isnan(stamped["open"].iloc[1])
    assert (found["known_at"] == pd.Timestamp(NOW)).all()


def test_a_row_of_the_future_says_nothing_of_the_close_it_names(tmp_path: Path) -> None:
    later = [GOOD[0] + 24 * 3_600_000, *GOOD[1:]]
    kept(tmp_path, later, [GOOD[0], -1.0, *GOOD[2:]])
    refused = seen_late(Store(tmp_path).refused(["kraken"], ["BTC/USDT"], "1h"))
    assert list(reasons(refused, "BTC/USDT").values()) == ["must have positive prices"]


def test_what_is_only_older_than_asked_for_is_no_fault(tmp_path: Path) -> None:
    older = [GOOD[0] - 4 * 3_600_000, *GOOD[1:]]
    assert len(refused_of(older)) == 1
    assert kept(tmp_path, older).empty


def test_a_final_row_of_a_stream_that_cannot_be_is_handed_over_once() -> None:
    track = Track(3_600, OPENED - 3_600, says_final=True)
    bad = checked([GOOD], 3_600, None, None, None).rows[0]._replace(high=0.1)
    track.hear(bad, final=False, now=NOW_S)
    track.hear(bad, final=True, now=NOW_S)
    (row,) = track.refused()
    assert (row.opened_s, row.numbers[1]) == (OPENED, 0.1)
    assert track.refused() == []
    for _ in range(1_000):
        track.hear(bad, final=True, now=NOW_S)
    assert len(track.refused()) == 64
