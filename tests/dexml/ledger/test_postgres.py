"""The ledger on PostgreSQL: the same rows, bounded waits, one state for a reader."""

from __future__ import annotations

from dexml.ledger import Ledger
from tests.dexml.ledger.examples import commit


def test_a_step(any_url: str) -> None:
    with Ledger.open(any_url) as ledger:
        epoch = ledger.acquire_epoch("risk", "a")
        assert commit(ledger, epoch, 1)
        ledger.verify()
