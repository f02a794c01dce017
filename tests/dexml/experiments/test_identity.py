from __future__ import annotations

from dataclasses import replace

from dexml.domain import History
from dexml.experiments.identity import code_digest, data_digest
from dexml.simulation.market import MarketConfig, plant


def test_one_changed_bar_or_headline_makes_other_data() -> None:
    history = plant(MarketConfig(instruments=("BTC/USDT",), n_bars=200)).history
    again = plant(MarketConfig(instruments=("BTC/USDT",), n_bars=200)).history
    assert data_digest(again) == data_digest(history)
    bars = history.bars["BTC/USDT"]
    volume = bars.volume.copy()
    volume[100] += 1e-9
    changed = replace(bars, volume=volume)
    others = [
        History(bars={"BTC/USDT": changed}, news=history.news, macro=history.macro),
        History(bars=history.bars, news=history.news.iloc[1:], macro=history.macro),
        History(bars=history.bars, news=history.news, macro=history.macro.iloc[1:]),
    ]
    digests = {data_digest(one) for one in (history, *others)}
    assert len(digests) == 4


def test_the_code_is_named_by_a_full_digest() -> None:
    assert len(code_digest()) == 64
