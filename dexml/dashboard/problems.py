"""Errors as RFC 9457 problem documents: what is wrong and what to do, never a traceback."""

from __future__ import annotations

import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from dexml.access import AccessDenied, ScopeMissing
from dexml.errors import (
    ActorNotReady,
    ConfigError,
    DataError,
    DexmlError,
    LedgerError,
    UsageError,
    sentence,
)

__all__ = ["NotFound", "add_problem_handlers", "problem"]

_log = logging.getLogger(__name__)


class NotFound(DexmlError):
    """What the address names does not exist here."""


# The first class that fits decides, so special ones come before their bases.
_STATUS: tuple[tuple[type[DexmlError], int], ...] = (
    (ScopeMissing, 403),
    (AccessDenied, 401),
    (NotFound, 404),
    (ActorNotReady, 503),
    (LedgerError, 503),
    (DataError, 422),
    (ConfigError, 400),
    (UsageError, 400),
    (DexmlError, 500),
)
_HEADERS = {401: {"WWW-Authenticate": 'Bearer realm="dexml"'}, 503: {"Retry-After": "2"}}
_FIXES = {
    404: "Read the list of addresses at /v1/openapi.json.",
    405: "Use GET.",
    413: "Send less at a time.",
    500: "Look for the request id in the log of the Ingress deployment.",
}


def problem(status: int, title: str, detail: str, fix: str, request_id: str = "") -> JSONResponse:
    """Return a problem document.

    Parameters
    ----------
    status : int
        HTTP status.
    title : str
        The kind of problem, the same words each time.
    detail, fix : str
        What is wrong in this case, and what to do.

    References
    ----------
    RFC 9457 (2023), Problem Details for HTTP APIs.

    Examples
    --------
    >>> problem(404, "Not found", "No such symbol.", "Write BTC-USDT.").media_type
    'application/problem+json'
    """
    kind = "-".join(re.findall(r"[a-z]+", title.lower()))
    body: dict[str, Any] = {"type": f"urn:dexml:problem:{kind}", "title": title, "status": status}
    body |= {"detail": detail, "fix": fix, "request_id": request_id}
    headers = _HEADERS.get(status)
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(DexmlError, _dexml_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _unexpected)


def _dexml_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, DexmlError):
        raise error
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status == 500:
        return _unexpected(request, error)
    kind = next(kind for kind, _ in _STATUS if isinstance(error, kind))
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).capitalize()
    return problem(status, title, error.problem, error.fix, _request_id(request))


def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    fix = _FIXES.get(error.status_code, "Change the request.")
    detail = f"{request.method} {request.url.path} cannot be answered."
    return problem(error.status_code, str(error.detail), detail, fix, _request_id(request))


def _validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    detail = sentence(f"{where}: {first['msg']}")
    return problem(422, "Invalid request", detail, "Change that field.", _request_id(request))


def _unexpected(request: Request, error: Exception) -> Response:
    request_id = _request_id(request)
    _log.error("request %s failed", request_id, exc_info=error)
    return problem(500, "Internal error", "This is our fault.", _FIXES[500], request_id)


def _request_id(request: Request) -> str:
    return str(request.scope.get("dexml_request_id", ""))
