"""dexml: machine learning that trades on a DEX, and honest evidence of whether it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dexml.api import Model, Tested, backtest, fit, load

__all__ = ["Model", "Tested", "__version__", "backtest", "fit", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # what a notebook calls loads pandas and more; the command line must start without
    if name not in __all__:
        raise AttributeError(f"module 'dexml' has no attribute {name!r}")
    from dexml import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
