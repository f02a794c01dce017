"""Faults of ccxt's drivers as the two kinds that the feeds know: not answered, and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dexml.data.http import NotAnswered
from dexml.errors import DataError

__all__ = ["translated", "translating"]


def translated(read: Callable[[], Any], subject: str) -> Any:
    """Run a call of the driver; its faults come out as `NotAnswered` or `DataError`."""
    with translating(subject):
        return read()


@contextmanager
def translating(subject: str) -> Iterator[None]:
    """Let faults of the driver come out as `NotAnswered` or `DataError`."""
    import aiohttp
    import ccxt

    try:
        yield
    except ccxt.NetworkError as error:
        raise NotAnswered(subject, "must answer", repr(error)[:200], "Try again later.") from error
    except ccxt.BaseError as error:
        if isinstance(error.__cause__, aiohttp.ClientError):  # a broken answer, not a refusal
            raise NotAnswered(subject, "must answer", repr(error)[:200], "Try again.") from error
        raise DataError(
            subject, "must be served", repr(error)[:200], "Check the instrument."
        ) from error
    except (OSError, aiohttp.ClientError) as error:
        raise NotAnswered(subject, "must answer", repr(error)[:200], "Try again later.") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # drivers stumble over empty bodies and wrong types with errors of Python itself
        raise NotAnswered(subject, "must be readable", repr(error), "Try again later.") from error
