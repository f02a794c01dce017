from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.data.storage.consolidation import consolidate
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from dexml.errors import DataError
from dexml.experiments.audited import built_in_market, not_audited, of_store
from dexml.experiments.consolidation_audit import audit_consolidation
from dexml.features.audit import audit
from dexml.features.cross_section import CROSS_SECTION_COLUMNS
from dexml.features.exchanges import EXCHANGE_COLUMNS
from dexml.features.health import HEALTH_COLUMN
from dexml.features.indicators import INDICATORS
from tests.dexml.features.histories import some_macro, some_news, some_social, walk

MARKET = built_in_market(("BTC/USDT", "ETH/USDT"), seed=3, n_bars=900)


def test_the_built_in_market_has_of_everything_that_features_are_made_from() -> None:
    facts = MARKET.facts()
    assert facts["exchanges"] == ["binance", "coinbaseexchange", "kraken"]
    assert {"social_btc", "vix", "fear_greed"} <= set(facts["series"])
    assert facts["headlines"] > 1_000
    assert facts["refused_bars"] == 6
    vix = MARKET.history.macro[MARKET.history.macro["series"] == "vix"]
    assert vix["period_at"].duplicated().any()


def test_its_exchanges_have_holes_and_quote_two_currencies() -> None:
    parts, quotes = MARKET.parts["BTC/USDT"]
    assert quotes == {"coinbaseexchange": "USD", "kraken": "USD"}
    lengths = {venue: len(bars) for venue, bars in parts.items()}
    consolidated = MARKET.history.bars["BTC/USDT"]
    assert max(lengths.values()) < len(consolidated) < 900
    assert np.diff(consolidated.closed_at).max() > np.timedelta64(3, "h")


def test_every_registered_column_is_audited_on_it() -> None:
    report = audit(MARKET.history)
    registered = {name for one in INDICATORS.values() for name in one.columns}
    registered |= {*CROSS_SECTION_COLUMNS, *EXCHANGE_COLUMNS, HEALTH_COLUMN}
    assert registered <= set(report.features)
    assert {name for one in INDICATORS.values() for name in one.raw} == set(report.raw)
    for kind in ("news_own_", "news_market_", "macro_", "social_"):
        assert any(name.startswith(kind) for name in report.features)
    assert (report.leaks, report.empty) == ((), ())
    assert not_audited(MARKET, report.empty) == {}


def test_the_same_seed_gives_the_same_market() -> None:
    again = built_in_market(("BTC/USDT", "ETH/USDT"), seed=3, n_bars=900)
    for name, bars in MARKET.history.bars.items():
        assert again.history.bars[name].frame().equals(bars.frame())


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    store = Store(tmp_path)
    for k, venue in enumerate(("binance", "kraken")):
        frame = walk("BTC/USDT", 900, 1).frame()
        kept = np.random.default_rng(k).random(900) > 0.05
        store.append_bars(venue, Bars.from_frame("BTC/USDT", Timeframe.H1, frame[kept]))
    store.append_bars("binance", walk("ETH/USDT", 800, 2))
    return tmp_path


def test_a_store_is_read_with_all_its_exchanges_and_series(stored: Path) -> None:
    bars = walk("BTC/USDT", 900, 1)
    Store(stored).append_news(some_news(bars))
    Store(stored).append_macro(pd.concat([some_macro(bars), some_social(bars)]))
    found = of_store(stored)
    assert found is not None
    assert found.source == f"the store {stored}"
    assert set(found.history.bars) == {"BTC/USDT", "ETH/USDT"}
    assert set(found.history.venue_closes) == {"BTC/USDT"}
    assert not_audited(found, ()) == {}
    assert audit(found.history).leaks == ()


def test_only_the_newest_bars_that_were_asked_for_are_read(stored: Path) -> None:
    found = of_store(stored, ("BTC/USDT",), n_bars=600)
    assert found is not None
    (bars,) = found.history.bars.values()
    whole = Store(stored).history(["binance", "kraken"], ["BTC/USDT"], "1h").bars["BTC/USDT"]
    assert bars.closed_at[-1] == whole.closed_at[-1]
    assert 560 < len(bars) <= 600


def test_what_a_store_lacks_is_said(stored: Path) -> None:
    found = of_store(stored, ("ETH/USDT",))
    assert found is not None
    assert set(not_audited(found, ("macro_x",))) == {
        *("venue_*", "consolidation", "news_*", "macro_*", "social_*", "macro_x")
    }


def test_an_instrument_that_is_not_stored_is_refused(stored: Path) -> None:
    with pytest.raises(DataError, match="must hold 1h bars of DOGE/USDT"):
        of_store(stored, ("DOGE/USDT",))


def test_a_store_without_bars_is_none(tmp_path: Path) -> None:
    assert of_store(tmp_path / "nowhere") is None
    assert not (tmp_path / "nowhere").exists()


def test_consolidation_does_not_leak() -> None:
    assert audit_consolidation(MARKET.parts, seed=1) == []


def _weighed_by_all(parts: Mapping[str, Bars], quotes: Mapping[str, str]) -> Bars:
    loudest = max(parts, key=lambda venue: float(parts[venue].volume.mean()))
    return parts[loudest]


def _filled_backwards(parts: Mapping[str, Bars], quotes: Mapping[str, str]) -> Bars:
    made = consolidate(parts, quotes).frame()
    whole = made.resample("1h").asfreq().bfill()
    return Bars.from_frame("BTC/USDT", Timeframe.H1, whole)


def _of_the_next(parts: Mapping[str, Bars], quotes: Mapping[str, str]) -> Bars:
    made = consolidate(parts, quotes).frame()
    return Bars.from_frame("BTC/USDT", Timeframe.H1, made.assign(volume=made.volume[::-1].cummax()))


@pytest.mark.parametrize("leaking", [_weighed_by_all, _filled_backwards, _of_the_next])
def test_a_consolidation_that_knows_the_future_is_named(leaking: object) -> None:
    parts = {"BTC/USDT": MARKET.parts["BTC/USDT"]}
    found = audit_consolidation(parts, seed=1, n_cuts=8, consolidate=leaking)
    assert any(leak.feature.startswith(("consolidated_", "(rows)")) for leak in found)
