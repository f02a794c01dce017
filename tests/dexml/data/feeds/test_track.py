"""Which bars count: the rules one by one, by hand."""

from __future__ import annotations

from dexml.data.feeds.hearing import Row
from dexml.data.feeds.rows import Fetched, RefusedRow
from dexml.data.feeds.track import CLEAN_ASKS, GRACE_S, REMEMBERED, Track

STEP = 60


def row(number: int, close: float = 100.0) -> Row:
    return Row(number * STEP, 100.0, 110.0, 90.0, close, 1.0)


def told(track: Track, *numbers: int) -> list[int]:
    for number in numbers:
        track.hear(row(number), final=True, now=(number + 1) * STEP)
    return [r.opened_s // STEP for r in track.counted()]


def answered(track: Track, numbers: list[int], now: float, refused: int = 0) -> list[int]:
    spoilt = [RefusedRow(row="?", reason="must hold")] * refused
    fetched = Fetched([row(number) for number in numbers], spoilt, int(now))
    return [r.opened_s // STEP for r in track.answered(fetched, now, now)]


def test_a_final_bar_counts_only_after_the_one_before_it() -> None:
    track = Track(STEP, last=5 * STEP, says_final=True)
    assert told(track, 7, 8) == []
    assert track.due(9 * STEP)
    assert told(track, 6) == [6, 7, 8]


def test_a_bar_that_is_not_final_waits_for_rest() -> None:
    track = Track(STEP, last=5 * STEP, says_final=False)
    for number in (6, 7):
        track.hear(row(number), final=False, now=7 * STEP + 3)
    assert (track.counted(), track.due(7 * STEP + 3)) == ([], True)
    assert answered(track, [5, 6, 7], 7 * STEP + 3) == [5, 6]


def test_a_stream_is_given_some_time_before_rest_is_asked() -> None:
    track = Track(STEP, last=5 * STEP, says_final=True)
    track.hear(row(6), final=False, now=6 * STEP + 1)
    assert [track.due(7 * STEP + late) for late in (0, GRACE_S - 1, GRACE_S)] == [
        False,
        False,
        True,
    ]


def test_what_the_stream_told_is_looked_up_a_bar_later() -> None:
    track = Track(STEP, last=5 * STEP, says_final=True)
    assert (told(track, 6), track.due(7 * STEP)) == ([6], False)
    assert (told(track, 7), track.due(8 * STEP)) == ([7], True)
    assert (track.asks(8 * STEP) or 0) <= 5 * STEP
    assert answered(track, [4, 5, 6, 7, 8], 8 * STEP) == [4, 5]  # of 6 and 7 it knew
    assert not track.due(8 * STEP + 1)


def test_a_bar_said_again_and_otherwise_is_looked_up() -> None:
    track = Track(STEP, last=5 * STEP, says_final=True)
    told(track, 6, 7)
    answered(track, [5, 6, 7], 8 * STEP + 3)
    track.hear(row(6, close=105.0), final=True, now=8 * STEP + 3)
    assert track.counted() == []
    assert track.due(8 * STEP + 30)
    shown = Fetched([row(5), row(6, close=104.0), row(7)], [], None)
    assert track.answered(shown, 8 * STEP + 30, 8 * STEP + 30) == [row(6, close=104.0)]
    track.hear(row(6 - REMEMBERED - 1, close=105.0), final=True, now=8 * STEP + 3)
    assert (track.asks(8 * STEP + 30) or 0) > 0  # what is long past is left alone


def test_an_open_bar_is_closed_by_the_slower_of_two_clocks() -> None:
    for asked_at, shown_at in ((7 * STEP, 9 * STEP), (9 * STEP, 7 * STEP)):
        track = Track(STEP, last=5 * STEP, says_final=False)
        fetched = Fetched([row(6), row(7)], [], shown_at)
        assert [r.opened_s // STEP for r in track.answered(fetched, asked_at, 9 * STEP)] == [6]


def test_a_hole_that_the_exchange_insists_on_is_a_fact_and_asked_for_again() -> None:
    track = Track(STEP, last=5 * STEP, says_final=False)
    now = 8 * STEP + 5.0
    waited = [answered(track, [5, 7], now) for _ in range(CLEAN_ASKS)]
    assert waited == [[5], *[[]] * (CLEAN_ASKS - 2), [7]]
    assert (track.asks(9 * STEP + 5) or 0) < 6 * STEP
    assert answered(track, [5, 6, 7, 8], 9 * STEP + 5) == [6, 8]


def test_a_spoilt_row_holds_the_next_bars_back_for_two_bars_only() -> None:
    track = Track(STEP, last=5 * STEP, says_final=False)
    waited = [answered(track, [5, 7], 8 * STEP + 5, refused=1) for _ in range(CLEAN_ASKS + 2)]
    assert waited == [[5], *[[]] * (CLEAN_ASKS + 1)]
    assert answered(track, [5, 7, 8], 9 * STEP + 5, refused=1) == [7, 8]


def test_answers_in_vain_and_failures_make_it_wait_longer() -> None:
    track = Track(STEP, last=5 * STEP, says_final=False)
    now, waits = 7 * STEP + 3.0, []
    for _ in range(5):
        answered(track, [4, 5], now)
        waits.append(next(s for s in range(100) if track.due(now + s)))
    assert waits == [5, 10, 20, 40, 60]
    track.failed(now, 7.0)
    assert (track.n_failures, track.due(now + 6), track.due(now + 7)) == (1, False, True)


def test_trades_that_rest_shows_and_the_stream_did_not_tell_make_it_deaf() -> None:
    track = Track(STEP, last=5 * STEP, says_final=False)
    track.begin_listening(6 * STEP)
    answered(track, [5, 6], 7 * STEP + 3)
    assert track.deaf
    track.begin_listening(7 * STEP)
    track.hear(row(7), final=False, now=7 * STEP + 1)
    answered(track, [6, 7], 8 * STEP + 3)
    assert not track.deaf


def test_rows_that_cannot_be_bars_are_counted_and_dropped() -> None:
    track = Track(STEP, last=5 * STEP, says_final=True)
    bad = (row(6)._replace(close=float("nan")), row(6)._replace(opened_s=361), row(600))
    for spoilt in bad:
        track.hear(spoilt, final=True, now=7 * STEP)
    assert (track.n_refused, track.counted(), track.newest) == (3, [], None)
    assert not track.hear_trade(60.0, float("nan"), 100.0)
