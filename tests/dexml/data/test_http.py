from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.http import NotAnswered, Patience, get
from dexml.errors import DataError
from dexml.simulation.exchanges.server import LocalServers


def failing(n_times: int, asked_s: float | None = None) -> Callable[[], int]:
    calls = iter(range(100))

    def read() -> int:
        call = next(calls)
        if call < n_times:
            error = NotAnswered("it", "must answer", call, "Wait.")
            error.retry_after_s = asked_s
            raise error
        return call

    return read


def test_a_read_is_tried_three_times() -> None:
    patience = Patience(sleep=lambda _s: None)
    assert patience.call(failing(2)) == 2
    with pytest.raises(NotAnswered, match="was 2"):
        patience.call(failing(3))


@given(st.integers(), st.integers(1, 6), st.floats(0, 100) | st.none())
def test_waits_stay_within_their_bounds(seed: int, n_times: int, asked_s: float | None) -> None:
    waits: list[float] = []
    patience = Patience(n_tries=7, jitter=random.Random(seed), sleep=waits.append, cap_s=30)
    patience.call(failing(n_times, asked_s))
    for attempt, wait in enumerate(waits):
        assert wait <= 30
        assert wait <= max(0.25 * 2**attempt, asked_s or 0)
        assert wait >= min(asked_s or 0, 30)


def test_an_answer_too_large_is_not_asked_for_again() -> None:
    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5_000)

    application = web.Application()
    application.add_routes([web.get("/", large)])
    with LocalServers({"large": application}) as servers:
        with pytest.raises(DataError, match="at most 1000 bytes") as caught:
            get(servers.urls["large"], max_bytes=1_000)
        assert not isinstance(caught.value, NotAnswered)
        assert len(get(servers.urls["large"]).body) == 5_000
