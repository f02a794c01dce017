"""Kill -9 between a paper fill and its commit: it is forgotten, and nothing is filled twice."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dexml.costs import CostConfig
from dexml.execution.paper import PaperBroker
from dexml.ledger import Ledger
from tests.actors.lives import RUN, Call, Files, Life, begin_run, recorded_calls


class Deadly(PaperBroker):
    """A broker after whose first fill the process is killed."""

    def execute(self, *arguments: Any) -> NoReturn:
        super().execute(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@pytest.fixture
def calls(tmp_path: Path) -> list[Call]:
    return recorded_calls(Files(tmp_path / "calls"))[:5]


def killed_after_the_fill(tmp_path: Path, calls: list[Call]) -> str:
    """Return the ledger of a life that died when the order was filled and not recorded."""
    url = Files(tmp_path).new()
    begin_run(url)
    with closing(Life(url)) as life:
        for call in calls[:3]:
            life.make(call)
    child = os.fork()
    if child == 0:
        try:
            life = Life(url)
            life.execution._broker = Deadly(CostConfig())
            life.make(calls[3])
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    with Ledger.open(url) as ledger:
        assert (len(ledger.outbox(RUN)), ledger.trades(RUN)) == (1, [])
    return url


def test_the_same_question_after_the_kill_is_filled_once_as_if_nothing_had_happened(
    tmp_path: Path, calls: list[Call]
) -> None:
    url, whole = killed_after_the_fill(tmp_path, calls), Files(tmp_path / "whole").new()
    begin_run(whole)
    with closing(Life(whole)) as undisturbed:
        for call in calls:
            undisturbed.make(call)
        wanted = undisturbed.ledger.trades(RUN)
    with closing(Life(url)) as life:
        first, again = life.make(calls[3]), life.make(calls[3])
        assert first == again
        life.make(calls[4])
        assert life.ledger.trades(RUN) == wanted
        assert len(wanted) == 1


def test_a_later_life_at_another_price_books_one_fill_at_the_price_it_met(
    tmp_path: Path, calls: list[Call]
) -> None:
    url = killed_after_the_fill(tmp_path, calls)
    prices, at = calls[3].arguments
    dearer = {name: price * Decimal("1.001") for name, price in prices.items()}
    later = replace(calls[3], arguments=(dearer, at + timedelta(minutes=5)))
    with closing(Life(url)) as life:
        (filled,) = life.make(later)
        assert life.make(calls[3]) == life.make(later) == [filled]  # the first that is kept stands
        life.risk.handle(filled)
        (trade,) = life.ledger.trades(RUN)
        (name,) = prices
        assert Decimal(trade["price"]) > dearer[name]  # the price of then, and the pool's fee
        assert life.risk.account_gap() == 0.0
        assert life.make(later) == []
        life.ledger.verify()
