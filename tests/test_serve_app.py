from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
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
from serve_app import ActorBackend, ServeArgs, _hold, application, http_options
from tests import planted_book as book
from tests.recorded_run import hourly

READ, READ_RECORD, _, _ = book.tokens()
ARGS = ServeArgs(run="r1", database_url="-", instruments=book.NAMES, simulated=True)
PARTS = ("forecast", "risk")


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


class StandIn:
    def health(self) -> dict[str, bool]:
        return {"ready": True}

    def latest(self, instrument: str) -> dict[str, Any]:
        return book.forecast(instrument)

    def view(self) -> dict[str, Any]:
        return book.risk_view()


def connect(args: ServeArgs) -> ActorBackend:
    from actors import runtime

    return ActorBackend(
        args, runtime.call, book.BookLedger([READ_RECORD]), SystemClock(), book.hold
    )


@pytest.fixture
def url() -> Iterator[str]:
    import ray
    from ray import cloudpickle, serve

    from actors import cluster, runtime
    from actors.sandbox import sandbox

    port = cluster.free_port()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with sandbox() as folder:
        cluster.start_local(folder, num_cpus=2)
        actor = ray.remote(num_cpus=0)(StandIn).options
        kept = [actor(name=name, namespace=runtime.NAMESPACE).remote() for name in PARTS]
        serve.start(http_options=http_options(port=port))
        serve.run(application(ARGS, connect), name="dexml", route_prefix="/")
        assert len(kept) == len(PARTS)
        yield f"http://127.0.0.1:{port}"
        serve.shutdown()
        ray.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.ray
@pytest.mark.slow
def test_the_application_runs_on_serve_and_reads_named_actors(url: str) -> None:
    import ray

    from actors import runtime

    headers = {"Authorization": f"Bearer {READ}"}
    with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        body = client.get("/v1/predictions/BTC-USDT").json()
        assert body["prediction"]["probability"] == 0.57
        assert client.get("/v1/risk", headers={"Authorization": "Bearer no"}).status_code == 401
        assert "dexml" in client.get("/").text
        assert client.post("/v1/risk", content=b"x" * 70_000).status_code == 413
        ray.kill(runtime.find("risk"))
        refused = client.get("/v1/risk")
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:dexml:problem:actor-not-ready"
        assert client.get("/v1/decisions").status_code == 200  # the ledger does not need actors
