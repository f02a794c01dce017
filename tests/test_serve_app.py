from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dexml.clock import SystemClock
from dexml.costs import CostConfig
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from dexml.errors import ActorNotReady, UnsafeSetup
from dexml.ledger import Ledger
from dexml.records import encode
from dexml.state import KernelConfig
from dexml.system import initial_state
from serve_app import ActorBackend, ServeArgs, _hold, http_options
from tests import planted_book as book
from tests.own_process import said_by
from tests.recorded_run import hourly

ARGS = ServeArgs(run="r1", database_url="-", instruments=book.NAMES, simulated=True)


def test_a_service_that_others_can_reach_is_refused_without_a_proxy() -> None:
    with pytest.raises(UnsafeSetup, match="must be loopback"):
        http_options("0.0.0.0")
    assert http_options("0.0.0.0", behind_proxy=True).host == "0.0.0.0"
    assert http_options().host == "127.0.0.1"


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        ServeArgs(run="r", database_url="-", instruments=(), replicas=3)  # type: ignore[call-arg]


def test_a_name_that_no_actor_has_is_not_ready_rather_than_a_bug() -> None:
    def nobody(actor: str, method: str, *args: Any, timeout_s: float = 1.0) -> Any:
        raise ValueError("Failed to look up actor")

    backend = ActorBackend(ARGS, nobody, book.BookLedger(), SystemClock())
    with pytest.raises(ActorNotReady, match="actor risk must answer view within 3 s"):
        backend.risk()


@pytest.mark.parametrize("fee_bps", [5, 100])
def test_buy_and_hold_pays_the_pool_fee_of_the_run(tmp_path: Path, fee_bps: int) -> None:
    frame = hourly(3).set_index("timestamp").shift(freq="h")
    bars = Bars.from_frame("BTC/USDT", Timeframe.H1, frame)
    Store(tmp_path / "store").append_bars("binance", bars)
    config = KernelConfig(costs=CostConfig(pool_fee_bps=fee_bps))
    state = initial_state("r1", config, ("BTC/USDT",), Decimal(10_000))
    at = [one.to_pydatetime() for one in frame.index]
    place = {"storage_uri": str(tmp_path / "store"), "venues": ("binance",)}
    args = ServeArgs(run="r1", database_url="-", instruments=("BTC/USDT",), **place)
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        ledger.start_run("r1", at[0], {"initial_state": encode(state)}, 0)
        hold = _hold(args, ledger)
        assert hold is not None
        kept = 10_000 * (1 - fee_bps / 10_000)
        grown = frame["close"] / frame["close"].iloc[0]
        assert hold(at, 10_000.0) == pytest.approx(list(kept * grown))


@pytest.fixture(scope="module")
def seen() -> Any:
    return said_by("tests.serve_scene")


@pytest.mark.ray
@pytest.mark.slow
def test_the_application_runs_on_serve_and_reads_named_actors(seen: dict[str, Any]) -> None:
    assert seen["readyz"] == {"status": "ready"}
    assert seen["prediction"]["prediction"]["probability"] == 0.57
    assert "dexml" in seen["page"]


@pytest.mark.ray
@pytest.mark.slow
def test_on_serve_a_wrong_token_and_a_large_body_are_refused(seen: dict[str, Any]) -> None:
    assert (seen["wrong token"], seen["large body"]) == (401, 413)


@pytest.mark.ray
@pytest.mark.slow
def test_on_serve_a_dead_actor_is_not_ready_and_the_ledger_still_answers(
    seen: dict[str, Any],
) -> None:
    assert seen["risk of the dead"][0] == 503
    assert seen["risk of the dead"][1]["type"] == "urn:dexml:problem:actor-not-ready"
    assert seen["decisions"] == 200
