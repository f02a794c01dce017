from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from aiohttp import web

from dexml.clock import SimulatedClock
from dexml.data.http import Patience
from dexml.data.sources.macro import MacroFeed
from dexml.domain import MACRO_COLUMNS, History
from dexml.simulation.exchanges import ExchangeServers
from dexml.simulation.exchanges.server import LocalServers, stamped

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HASTY = Patience(sleep=lambda _s: None, jitter=random.Random(0))


def planted_macro(n_days: int = 400) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    days = pd.date_range(START, periods=n_days, freq="D").as_unit("ns")
    frames = [
        pd.DataFrame(
            {
                "series": name,
                "period_at": days,
                "known_at": days + pd.Timedelta(lag),
                "value": generator.lognormal(size=n_days),
            }
        )
        for name, lag in (("fear_greed", "24h30min"), ("vix", "31h"))
    ]
    table = pd.concat(frames).sort_values(["known_at", "series"], ignore_index=True)
    return table[list(MACRO_COLUMNS)]


def test_planted_values_come_back_to_the_bit_and_not_too_early() -> None:
    macro = planted_macro()
    clock = SimulatedClock(START + 100 * DAY + timedelta(hours=1))
    with ExchangeServers(History(bars={}, macro=macro), clock) as servers:
        update = MacroFeed(servers.urls["macro"], ("fear_greed", "vix")).fetch()
    known = macro[macro["known_at"] <= pd.Timestamp(clock.now())].reset_index(drop=True)
    pd.testing.assert_frame_equal(update.macro, known, check_exact=True)
    assert (len(known), update.failed) == (199, {})


def test_an_unknown_series_fails_alone_and_by_name() -> None:
    clock = SimulatedClock(START + 10 * DAY)
    with ExchangeServers(History(bars={}, macro=planted_macro()), clock) as servers:
        update = MacroFeed(servers.urls["macro"], ("nope", "vix")).fetch()
    assert list(update.failed) == ["nope"]
    assert set(update.macro["series"]) == {"vix"}


def test_the_index_as_alternative_me_gives_it_is_known_after_the_lag() -> None:
    body = (
        '{"name":"Fear and Greed Index","data":[{"value":"40","value_classification":"Fear",'
        '"timestamp":"1551157200","time_until_update":"68499"},{"value":"47",'
        '"value_classification":"Neutral","timestamp":"1551070800"}],"metadata":{"error":null}}'
    )

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(text=body)

    routes = stamped([web.get("/fng/", handle)], SimulatedClock(START))
    with LocalServers({"fng": routes}) as servers:
        macro = MacroFeed(servers.urls["fng"], ("fear_greed",)).fetch().macro
    assert list(macro["value"]) == [47.0, 40.0]
    assert macro["known_at"][1] == pd.Timestamp(1551157200, unit="s", tz="UTC") + pd.Timedelta(
        "25h"
    )


@pytest.mark.parametrize("body", ["", "<html>", "a,b\n1,2\n", "period_at,known_at,value\nx,y,z\n"])
def test_garbage_is_named_and_gives_no_values(body: str) -> None:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(text=body)

    routes = stamped([web.get("/{path:.*}", handle)], SimulatedClock(START))
    with LocalServers({"macro": routes}) as servers:
        feed = MacroFeed(servers.urls["macro"], ("fear_greed", "vix"), patience=HASTY)
        update = feed.fetch()
    assert set(update.failed) == {"fear_greed", "vix"}
    assert len(update.macro) == 0
