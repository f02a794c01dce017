"""The Serve application: a typed builder and one ingress that reads actors and the ledger.

It only reads, so its going down never stops the loop, and any number of replicas is safe. Ray's
token does not guard Serve's port; the bearer tokens of `dexml.access` do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.exceptions import GetTimeoutError, RayError
from ray.serve.config import BackpressureConfig, HTTPOptions

from dexml.clock import Clock, SystemClock
from dexml.dashboard.api import make_app
from dexml.dashboard.backend import Backend, Row
from dexml.dashboard.guard import LOOPBACK_HOSTS, Guard
from dexml.dashboard.views import hold_curve, instant
from dexml.domain import Timeframe
from dexml.errors import ActorNotReady, DexmlError, UnsafeSetup
from dexml.records import decode_state
from dexml.state import KernelConfig

if TYPE_CHECKING:
    from dexml.ledger import Ledger

__all__ = [
    "ActorBackend",
    "ServeArgs",
    "application",
    "build",
    "connect",
    "http_options",
    "judge_of",
]


class ServeArgs(BaseModel):
    """What the application must know; `serve run serve_app:build run=... database_url=...`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str = Field(description="Run whose book is shown.")
    database_url: str = Field(description="SQLAlchemy URL of the ledger.")
    instruments: tuple[str, ...] = Field(description="Instruments of the run, BASE/QUOTE.")
    timeframe: str = Field("1h", description="Length of a bar.")
    forecast_actor: str = Field("forecast", description="Name of the ForecastActor.")
    risk_actor: str = Field("risk", description="Name of the RiskActor.")
    storage_uri: str | None = Field(None, description="Store of bars, for buy-and-hold.")
    venues: tuple[str, ...] = Field((), description="Venues to read bars from, first preferred.")
    simulated: bool = Field(False, description="Age data against the run's own time.")
    hosts: tuple[str, ...] = Field(LOOPBACK_HOSTS, description="Names the service answers to.")
    num_cpus: float = Field(0.0, ge=0, description="CPUs reserved for a replica; 0 shares.")
    num_replicas: int = Field(1, ge=1, description="Replicas; all of them only read.")
    call_timeout_s: float = Field(3.0, gt=0, description="Limit of one actor call.")


class Call(Protocol):
    """`actors.runtime.call`: one remote method with a time-out."""

    def __call__(self, actor: str, method: str, /, *args: Any, timeout_s: float = ...) -> Any: ...


class ReadLedger(Protocol):
    """The reads of `dexml.ledger.Ledger` that are shown."""

    def token(self, id: str, /) -> Any: ...
    def equity(self, run: str, /) -> Any: ...
    def decisions(self, run: str, /) -> Any: ...
    def trades(self, run: str, /) -> Any: ...
    def alerts(self, run: str, /) -> Any: ...
    def models(self) -> Any: ...


Hold = Callable[[Sequence[datetime], float], Sequence[float | None]]
Judge = Callable[[datetime], Sequence[Row]]
Book = Callable[[], Row]


class ActorBackend:
    """Reads named actors through `call` and everything durable from the ledger.

    Parameters
    ----------
    call : Call
        How an actor's method is called; anything it raises that is not an error of dexml means
        that the actor does not answer.
    hold : callable, optional
        Worth of buy and hold at given instants; None where it cannot be known.
    judge : callable, optional
        How far the data of each instrument can be trusted at a close.
    book : callable, optional
        The book as the ledger has it.
    """

    def __init__(
        self,
        args: ServeArgs,
        call: Call,
        ledger: ReadLedger,
        clock: Clock,
        hold: Hold | None = None,
        judge: Judge | None = None,
        book: Book | None = None,
    ) -> None:
        self._args, self._call, self._ledger = args, call, ledger
        self._clock, self._hold, self._judge, self._book = clock, hold, judge, book

    @property
    def instruments(self) -> tuple[str, ...]:
        return self._args.instruments

    @property
    def timeframe(self) -> str:
        return self._args.timeframe

    def now(self) -> datetime:
        rows = self.equity() if self._args.simulated else ()
        return instant(rows[-1]["at"]) if rows else self._clock.now()

    def token(self, token_id: str) -> Row | None:
        row: Row | None = self._ledger.token(token_id)
        return row

    def latest(self, instrument: str) -> Row:
        return self._ask(self._args.forecast_actor, "latest", instrument)

    def risk(self) -> Row:
        return self._ask(self._args.risk_actor, "view")

    def book(self) -> Row:
        return self._book() if self._book else {}

    def equity(self) -> Sequence[Row]:
        return list(self._ledger.equity(self._args.run))

    def decisions(self) -> Sequence[Row]:
        return list(self._ledger.decisions(self._args.run))

    def trades(self) -> Sequence[Row]:
        return list(self._ledger.trades(self._args.run))

    def alerts(self) -> Sequence[Row]:
        return list(self._ledger.alerts(self._args.run))

    def models(self) -> Sequence[Row]:
        return list(self._ledger.models())

    def data(self) -> Sequence[Row]:
        rows = self.equity() if self._judge else ()
        return self._judge(instant(rows[-1]["at"])) if self._judge and rows else []

    def buy_and_hold(self, at: Sequence[datetime], start: float) -> Sequence[float | None]:
        return self._hold(at, start) if self._hold else [None] * len(at)

    def health(self) -> Mapping[str, str | None]:
        args = self._args
        reads: dict[str, Callable[[], Any]] = {
            "forecast": lambda: self._ask(args.forecast_actor, "health"),
            "risk": lambda: self._ask(args.risk_actor, "health"),
            "ledger": lambda: self._ledger.equity(args.run),
        }
        return {name: _fault(read) for name, read in reads.items()}

    def _ask(self, actor: str, method: str, *args: Any) -> Row:
        try:
            row: Row = self._call(actor, method, *args, timeout_s=self._args.call_timeout_s)
        except DexmlError:
            raise
        except (RayError, GetTimeoutError, ValueError) as error:  # ValueError: no such name
            raise ActorNotReady(
                f"actor {actor}",
                f"must answer {method} within {self._args.call_timeout_s:g} s",
                type(error).__name__,
                "Ask again in a moment; if it stays, read `dexml status`.",
            ) from error
        return row


def _fault(read: Callable[[], Any]) -> str | None:
    try:
        answer = read()
    except DexmlError as error:
        return str(error)
    if isinstance(answer, Mapping) and answer.get("ready") is False:
        return "It is not started yet."
    return None


def connect(args: ServeArgs) -> Backend:
    """Return the backend of a running system: its actors by name, its ledger by URL."""
    from actors.cluster import keep_replica_private
    from actors.runtime import call
    from dexml.book.reading import BookReader
    from dexml.ledger import Ledger

    keep_replica_private()
    ledger = Ledger.open(args.database_url)
    hold, judge, book = _hold(args, ledger), judge_of(args), BookReader(ledger, args.run).view
    return ActorBackend(args, call, ledger, SystemClock(), hold, judge, book)


def _hold(args: ServeArgs, ledger: Ledger) -> Hold | None:
    if args.storage_uri is None or not args.venues:
        return None
    from dexml.data.storage.store import Store

    store = Store(args.storage_uri)

    def hold(at: Sequence[datetime], start: float) -> Sequence[float | None]:
        bars = store.history(args.venues, args.instruments, Timeframe(args.timeframe)).bars
        if len(bars) < len(args.instruments):
            return [None] * len(at)
        return hold_curve(bars, at, start, _entry_fee_bps(ledger.run(args.run)))

    return hold


def _entry_fee_bps(run: Row | None) -> float:
    state = (run or {"config": {}})["config"].get("initial_state")
    config = decode_state(state).config if state else KernelConfig()
    return config.costs.pool_fee_bps


def judge_of(args: ServeArgs) -> Judge | None:
    """Return what judges the data of a run's instruments; None without a store."""
    if args.storage_uri is None:
        return None
    from dexml.data.standing import standings
    from dexml.data.storage.store import Store

    store = Store(args.storage_uri)
    return lambda at: [one.row() for one in standings(store, at, args.instruments)]


@serve.ingress()
class Ingress:
    """Builds the HTTP application inside its replica, where the backend lives."""

    def __init__(self, args: ServeArgs, connect: Callable[[ServeArgs], Backend]) -> None:
        self._args, self._connect = args, connect

    def __serve_build_asgi_app__(self) -> Guard:  # Serve calls this after the constructor
        return make_app(self._connect(self._args), SystemClock(), self._args.hosts)


def application(args: ServeArgs, connect: Callable[[ServeArgs], Backend]) -> serve.Application:
    """Return the application over the backend that `connect` makes in each replica."""
    deployment = serve.deployment(
        Ingress,
        num_replicas=args.num_replicas,
        max_ongoing_requests=8,
        max_queued_requests=32,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=2),
        graceful_shutdown_timeout_s=3,
        ray_actor_options={"num_cpus": args.num_cpus},
    )
    return deployment.bind(args, connect)


def build(args: ServeArgs) -> serve.Application:
    """Return the application of a running system; the entry point of `serve run`."""
    return application(args, connect)


def http_options(
    host: str = "127.0.0.1", port: int = 8000, *, behind_proxy: bool = False
) -> HTTPOptions:
    """Return where Serve listens: loopback, unless a TLS proxy is said to stand in front.

    Raises
    ------
    UnsafeSetup
        If the host can be reached from elsewhere and nothing encrypts the way.
    """
    if host not in {"127.0.0.1", "localhost", "::1"} and not behind_proxy:
        raise UnsafeSetup(
            "serve.host",
            "must be loopback unless a TLS proxy stands in front",
            host,
            "Use 127.0.0.1, or set behind_proxy once the proxy is there.",
        )
    return HTTPOptions(host=host, port=port, request_timeout_s=10.0, keep_alive_timeout_s=30)
