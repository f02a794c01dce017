"""The HTTP application: routes over an injected backend, so that it runs with and without Ray.

Endpoints are plain functions, which FastAPI runs in threads: they wait for actors and the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from dexml.access import AccessDenied, Scope, TokenRecord, check, token_id
from dexml.book.trades import trades_csv
from dexml.clock import Clock
from dexml.dashboard import views
from dexml.dashboard.backend import Backend
from dexml.dashboard.guard import LOOPBACK_HOSTS, Guard
from dexml.dashboard.page import page
from dexml.dashboard.problems import NotFound, add_problem_handlers, problem

__all__ = ["make_app"]

Limit = Annotated[int, Query(ge=1, le=5_000, description="How many of the newest rows to return.")]
Cursor = Annotated[
    int | None,
    Query(ge=0, description="Rows older than the page that gave it as `next`; none: the newest."),
]


class FiniteJSON(JSONResponse):
    """JSON whose numbers are finite by construction."""

    def render(self, content: Any) -> bytes:
        return super().render(views.finite(content))


def make_app(backend: Backend, clock: Clock, hosts: Iterable[str] = LOOPBACK_HOSTS) -> Guard:
    """Return the guarded ASGI application.

    Parameters
    ----------
    backend : Backend
        What is read.
    clock : Clock
        The wall clock, against which tokens expire.
    hosts : iterable of str
        Names under which the service may be called.
    """
    app = FastAPI(
        title="dexml",
        docs_url=None,  # the stock pages load scripts from a CDN
        redoc_url=None,
        openapi_url=None,
        default_response_class=FiniteJSON,
    )
    app.state.backend, app.state.clock = backend, clock
    add_problem_handlers(app)
    app.include_router(_public)
    app.include_router(_v1)
    return Guard(app, hosts)


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


Source = Annotated[Backend, Depends(_backend)]


def _may_read(request: Request, backend: Source) -> None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        fix = "Send the header `Authorization: Bearer dxm_...`."
        raise AccessDenied("request", "must carry a bearer token", "without one", fix)
    identifier = token_id(token.strip())
    row = backend.token(identifier) if identifier else None
    record = TokenRecord.from_row(row) if row else None
    check(token.strip(), record, Scope.READ, request.app.state.clock.now())


_public = APIRouter()
_v1 = APIRouter(prefix="/v1", dependencies=[Depends(_may_read)])


@_public.get("/", include_in_schema=False)
def index() -> Response:
    """Return the page; there is no data in it."""
    document = page()
    return HTMLResponse(document.html, headers={"Content-Security-Policy": document.policy})


@_public.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok"}


@_public.get("/readyz")
def readyz(backend: Source) -> Response:
    """Say whether everything behind this process answers."""
    unwell = sorted(name for name, fault in backend.health().items() if fault)
    if unwell:
        detail = f"Not answering: {', '.join(unwell)}."
        return problem(503, "Not ready", detail, "Wait, or read /v1/health with a token.")
    return FiniteJSON({"status": "ready"})


@_v1.get("/health")
def health(backend: Source) -> dict[str, Any]:
    """Return each component and what is wrong with it."""
    return {"components": [_component(*item) for item in sorted(backend.health().items())]}


@_v1.get("/health/{component}")
def health_of(component: str, backend: Source) -> dict[str, Any]:
    """Return one component and what is wrong with it."""
    faults = backend.health()
    if component not in faults:
        raise _unknown("component", component, faults)
    return _component(component, faults[component])


@_v1.get("/predictions/{symbol}")
def predictions(symbol: str, backend: Source, timeframe: str | None = None) -> FiniteJSON:
    """Return probabilities, decision, position and risk of a symbol written as BTC-USDT."""
    known = {name.replace("/", "-"): name for name in backend.instruments}
    if symbol not in known:
        raise _unknown("symbol", symbol, known)
    if timeframe not in (None, backend.timeframe):
        raise _unknown("timeframe", timeframe, [backend.timeframe])
    latest = backend.latest(known[symbol])
    answer = views.prediction(latest, backend.risk(), backend.decisions(), backend.now())
    return FiniteJSON(answer)


@_v1.get("/data")
def data(backend: Source) -> FiniteJSON:
    """Return how far each instrument's data can be trusted, and how many bars are set aside."""
    return FiniteJSON({"data": backend.data()})


@_v1.get("/risk")
def risk(backend: Source) -> FiniteJSON:
    """Return mode, limits and every part of the risk score."""
    return FiniteJSON(
        {name: value for name, value in backend.risk().items() if name != "positions"}
    )


@_v1.get("/portfolio")
def portfolio(backend: Source) -> FiniteJSON:
    """Return the book, its positions, and its curve beside buy-and-hold."""
    rows = backend.equity()
    hold: Sequence[float | None] = []
    if rows:
        at = [views.instant(row["at"]) for row in rows]
        hold = backend.buy_and_hold(at, float(rows[0]["equity"]))
    return FiniteJSON(views.portfolio(backend.risk(), rows, hold, backend.instruments))


@_v1.get("/book")
def book(backend: Source) -> FiniteJSON:
    """Return the book over time: exposure, VaR beside losses, drawdown, score, stress, declined."""
    return FiniteJSON(backend.book())


@_v1.get("/trades")
def trades(
    backend: Source,
    limit: Limit = 200,
    cursor: Cursor = None,
    format: Literal["json", "csv"] = "json",
) -> Response:
    """Return a page of fills, oldest first, as JSON or CSV; the newest page without a cursor.

    `next` is the cursor of the page before, null where there is none; the header `Link` names its
    address. New fills move no page.
    """
    page = views.page_of(backend.trades(), limit, cursor)
    headers = {}
    if page.older is not None:
        address = f"/v1/trades?limit={limit}&cursor={page.older}&format={format}"
        headers["Link"] = f'<{address}>; rel="next"'
    if format == "csv":
        headers["Content-Disposition"] = 'attachment; filename="trades.csv"'
        return PlainTextResponse(trades_csv(page.rows), media_type="text/csv", headers=headers)
    body = {"trades": page.rows, "n": page.n, "next": page.older}
    return FiniteJSON(body, headers=headers)


@_v1.get("/decisions")
def decisions(backend: Source, limit: Limit = 200) -> FiniteJSON:
    """Return the newest decisions, oldest first."""
    rows = backend.decisions()
    return FiniteJSON({"decisions": rows[-limit:], "n": len(rows)})


@_v1.get("/alerts")
def alerts(backend: Source, limit: Limit = 200) -> FiniteJSON:
    """Return the newest alerts, oldest first."""
    return FiniteJSON({"alerts": backend.alerts()[-limit:]})


@_v1.get("/models")
def models(backend: Source) -> FiniteJSON:
    """Return each model version: reached, reachable and base rate side by side."""
    return FiniteJSON({"models": [views.model_row(row) for row in backend.models()]})


@_v1.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> FiniteJSON:
    """Return the description of this interface."""
    return FiniteJSON(request.app.openapi())


def _component(name: str, fault: str | None) -> dict[str, Any]:
    return {"component": name, "healthy": fault is None, "detail": fault}


def _unknown(kind: str, value: object, known: Iterable[str]) -> NotFound:
    choice = ", ".join(sorted(known)[:12])
    return NotFound(kind, "must be one of this run", repr(value), f"Known here: {choice}.")
