from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dexml.clock import SystemClock
from dexml.dashboard import views
from dexml.dashboard.api import make_app
from dexml.dashboard.guard import BODY_LIMIT
from dexml.data.storage.store import Store
from dexml.domain import to_datetime64
from dexml.errors import ActorNotReady
from serve_app import ActorBackend, ServeArgs, judge_of
from tests import planted_book as book
from tests.random_walk import some_bars

READ, READ_RECORD, TRADE, TRADE_RECORD = book.tokens()
PATHS = ("book", "risk", "portfolio", "trades", "decisions", "alerts", "models", "health", "data")
PRIVATE = [
    *(f"/v1/{path}" for path in (*PATHS, "openapi.json")),
    "/v1/predictions/BTC-USDT",
    "/v1/health/risk",
]


def answer(actor: str, method: str, *args: Any, timeout_s: float = 1.0) -> Any:
    if method == "health":
        return {"ready": True}
    return book.forecast(*args) if method == "latest" else book.risk_view()


def client(call: Any = answer, **changes: Any) -> TestClient:
    args = ServeArgs(run="r1", database_url="-", instruments=book.NAMES, simulated=True, **changes)
    ledger = book.BookLedger([READ_RECORD, TRADE_RECORD])
    backend = ActorBackend(args, call, ledger, SystemClock(), book.hold, book=book.book_view)
    app = make_app(backend, SystemClock())
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


def get(path: str, token: str = READ, call: Any = answer) -> Any:
    return client(call).get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("path", PRIVATE)
def test_nothing_under_v1_answers_without_a_token_that_may_read(path: str) -> None:
    assert client().get(path).status_code == 401
    assert get(path, "dxm_" + "0" * 12 + "_" + "0" * 64).status_code == 401
    assert get(path, TRADE).status_code == 403
    assert get(path).status_code == 200


def test_a_refusal_is_a_problem_document_that_says_what_to_do() -> None:
    response = client().get("/v1/risk")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"].startswith("Bearer")
    body = response.json()
    assert body["type"] == "urn:dexml:problem:access-denied"
    assert body["fix"] == "Send the header `Authorization: Bearer dxm_...`."
    assert body["request_id"] == response.headers["x-request-id"]


def test_a_prediction_joins_forecast_decision_position_and_risk() -> None:
    body = get("/v1/predictions/BTC-USDT").json()
    assert body["prediction"]["targets"] == {"direction": 0.58, "volatility": None, "macro": None}
    assert body["prediction"]["probability"] == 0.57
    assert body["prediction"]["decision"]["action"] in {"enter", "hold", "decline"}
    assert body["prediction"]["position"]["stop"] == 60_120.5
    assert body["risk"]["mode"] == "active"
    assert body["data_age_s"] == 0.0
    assert body["models"] == {"direction": "direction0a1b2c3d"}


@pytest.mark.parametrize("symbol", ["BTCUSDT", "btc-usdt", "%2e%2e", "<script>"])
def test_an_unknown_symbol_is_a_404_that_names_the_known_ones(symbol: str) -> None:
    response = get(f"/v1/predictions/{symbol}")
    assert response.status_code == 404
    assert "BTC-USDT" in response.json()["fix"]


def test_another_timeframe_than_that_of_the_run_is_not_pretended() -> None:
    assert get("/v1/predictions/BTC-USDT?timeframe=1h").status_code == 200
    assert get("/v1/predictions/BTC-USDT?timeframe=5m").status_code == 404


def test_the_portfolio_holds_the_curve_beside_buy_and_hold() -> None:
    body = get("/v1/portfolio").json()
    curve = body["curve"]
    assert len(curve["at"]) == len(curve["equity"]) == len(curve["buy_and_hold"]) == 300
    assert body["return"] == pytest.approx(curve["equity"][-1] / curve["equity"][0] - 1)
    assert [row["instrument"] for row in body["positions"]] == ["BTC/USDT", "ETH/USDT"]


def test_models_show_reached_reachable_and_base_rate_and_null_where_degraded() -> None:
    rows = {row["target"]: row for row in get("/v1/models").json()["models"]}
    assert rows["direction"]["reached"]["accuracy"] == 0.624
    assert rows["direction"]["reachable"]["accuracy"] == 0.668
    assert rows["direction"]["base_rate"] == 0.507
    assert rows["direction"]["rule"]["name"] == "reversal"
    assert rows["macro"]["degraded"] is True
    assert rows["macro"]["reached"]["accuracy"] is None


def test_the_book_is_small_enough_to_be_fetched_every_five_seconds() -> None:
    response = get("/v1/book")
    assert len(response.content) < 60_000
    assert set(response.json()) >= {"series", "days", "stress", "correlations", "declined"}


def test_trades_come_as_csv_too() -> None:
    response = get("/v1/trades?format=csv&limit=2")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["intent_id"] for row in rows] == ["i4", "i5"]
    assert response.headers["content-type"].startswith("text/csv")


def test_pages_of_trades_lead_back_to_the_first_and_new_fills_move_none() -> None:
    rows = book.trade_rows()
    page, seen = get("/v1/trades?limit=4").json(), list[str]()
    assert (page["n"], page["next"]) == (6, 2)
    seen = [row["intent_id"] for row in page["trades"]]
    older = get(f"/v1/trades?limit=4&cursor={page['next']}")
    assert (older.json()["next"], "link" in older.headers) == (None, False)
    seen = [row["intent_id"] for row in older.json()["trades"]] + seen
    assert seen == [row["intent_id"] for row in rows]
    grown = views.page_of([*rows, {"intent_id": "i6"}], 4, page["next"])
    assert list(grown.rows) == older.json()["trades"]
    assert get("/v1/trades?limit=4&cursor=99").json()["trades"] == page["trades"]


def test_a_page_of_csv_names_the_address_of_the_one_before() -> None:
    address, n_pages = "/v1/trades?format=csv&limit=2", 0
    rows: list[str] = []
    while address:
        answered = get(address)
        rows = [row["intent_id"] for row in csv.DictReader(io.StringIO(answered.text))] + rows
        address, n_pages = answered.links.get("next", {}).get("url", ""), n_pages + 1
    assert (n_pages, rows) == (3, [f"i{k}" for k in range(6)])


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "format=xml", "cursor=-1", "limit=5001"])
def test_a_bad_query_is_a_422_problem(query: str) -> None:
    response = get(f"/v1/trades?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


def test_the_page_and_the_probes_are_public_and_the_page_holds_no_data() -> None:
    page = client().get("/")
    assert page.status_code == 200
    assert "BTC" not in page.text
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert client().get("/healthz").json() == {"status": "ok"}
    assert client().get("/readyz").json() == {"status": "ready"}


def test_every_answer_forbids_framing_sniffing_and_caching() -> None:
    for path in ("/", "/healthz", "/v1/risk", "/nowhere"):
        headers = client().get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_an_actor_that_is_not_ready_is_a_503_and_readyz_says_so() -> None:
    def not_ready(actor: str, method: str, *args: Any, timeout_s: float) -> Any:
        raise ActorNotReady("RiskActor", "must be started", "not started", "Wait.")

    response = get("/v1/risk", call=not_ready)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert client(not_ready).get("/readyz").status_code == 503
    health = get("/v1/health", call=not_ready).json()["components"]
    assert {row["component"]: row["healthy"] for row in health} == {
        "forecast": False,
        "ledger": True,
        "risk": False,
    }


def test_a_bug_behind_the_door_is_a_500_without_its_words() -> None:
    def broken(actor: str, method: str, *args: Any, timeout_s: float) -> Any:
        raise KeyError("secret detail")

    response = get("/v1/risk", call=broken)
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["request_id"]


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    response = client().post("/v1/risk", content=b"x" * (BODY_LIMIT + 1))
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


def test_a_page_that_rebinds_its_name_to_us_reads_nothing() -> None:
    response = client().get("/healthz", headers={"Host": "evil.example:8000"})
    assert response.status_code == 421


def test_every_number_that_goes_out_is_finite() -> None:
    def infinite(actor: str, method: str, *args: Any, timeout_s: float) -> Any:
        return {"drawdown": float("inf"), "parts": {"volatility": float("nan")}}

    body = json.loads(get("/v1/risk", call=infinite).text, parse_constant=pytest.fail)
    assert body == {"drawdown": None, "parts": {"volatility": None}}


def test_the_description_lists_every_address() -> None:
    paths = get("/v1/openapi.json").json()["paths"]
    assert "/v1/predictions/{symbol}" in paths


def test_a_token_ends_with_its_life() -> None:
    class Later(SystemClock):
        def now(self) -> Any:
            return super().now() + timedelta(days=2)

    args = ServeArgs(run="r1", database_url="-", instruments=book.NAMES)
    backend = ActorBackend(args, answer, book.BookLedger([READ_RECORD]), SystemClock())
    late = TestClient(make_app(backend, Later()), base_url="http://127.0.0.1")
    assert late.get("/v1/risk", headers={"Authorization": f"Bearer {READ}"}).status_code == 401


def test_the_health_of_the_data_is_told_at_the_books_last_close(tmp_path: Path) -> None:
    last = to_datetime64(views.instant(book.BookLedger([]).equity("r1")[-1]["at"]))
    bars = some_bars("BTC/USDT", 100)
    store, shift = Store(tmp_path), last - bars.closed_at[-1]
    late = replace(bars.take(slice(0, 98)), closed_at=bars.closed_at[:98] + shift)
    store.append_bars("binance", late)
    args = ServeArgs(
        run="r1", database_url="-", instruments=("BTC/USDT",), storage_uri=str(tmp_path)
    )
    ledger = book.BookLedger([READ_RECORD])
    backend = ActorBackend(args, answer, ledger, SystemClock(), judge=judge_of(args))
    app = TestClient(make_app(backend, SystemClock()), base_url="http://127.0.0.1:8000")
    body = app.get("/v1/data", headers={"Authorization": f"Bearer {READ}"}).json()
    (row,) = body["data"]
    assert (row["instrument"], row["reason"], row["in_quarantine"]) == ("BTC/USDT", "no bar", True)
    assert row["health"] == pytest.approx(22 / 24)
