"""Several small web applications in one thread, each on a free port of the loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Middleware

from dexml.clock import Clock
from dexml.errors import EnvironmentRefused
from dexml.simulation.exchanges.spoiling import SKEW

__all__ = ["LocalServers", "stamped"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def stamped(
    routes: Iterable[web.RouteDef], clock: Clock, middlewares: Iterable[Middleware] = ()
) -> web.Application:
    """Make an application whose answers carry the clock's time as their `Date`."""

    async def stamp(request: web.Request, response: web.StreamResponse) -> None:
        shown = clock.now() + request.get(SKEW, timedelta(0))
        response.headers["Date"] = format_datetime(shown, usegmt=True)

    application = web.Application(middlewares=tuple(middlewares))
    application.add_routes(list(routes))
    application.on_response_prepare.append(stamp)
    return application


class LocalServers:
    """Serve applications from a thread of their own while the context is open.

    Parameters
    ----------
    applications : mapping of name to aiohttp application
        Each gets a port of 127.0.0.1 chosen by the system; `urls` tells them.

    Raises
    ------
    EnvironmentRefused
        On entering, if the system gives no port.
    """

    def __init__(self, applications: Mapping[str, web.Application]) -> None:
        self._applications = applications
        self._urls: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="local-servers", daemon=True)
        self._ready = threading.Event()
        self._fault: OSError | None = None
        self._runners: list[web.AppRunner] = []

    @property
    def urls(self) -> dict[str, str]:
        """Base address of each application, without a slash at the end."""
        return dict(self._urls)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._fault is not None:
            self._thread.join()
            raise EnvironmentRefused(
                "a local server", "must get a free port", self._fault, "Close other programs."
            )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
        except OSError as fault:
            self._fault = fault
        self._ready.set()
        if self._fault is None:
            self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> None:
        for name, application in self._applications.items():
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._urls[name] = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
