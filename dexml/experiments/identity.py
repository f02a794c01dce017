"""Names of data, of code and of configurations, so that equal work is known as equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dexml.domain import PRICE_COLUMNS, History
from dexml.extensions import imported

__all__ = ["code_digest", "configuration_digest", "data_digest"]

_LIBRARIES = ("autogluon.tabular", "catboost", "lightgbm", "numpy", "pandas", "ta-lib", "torch")


def data_digest(history: History) -> str:
    """Return the SHA-256 of every bar, headline and macro value, in hexadecimal.

    Examples
    --------
    >>> data_digest(History(bars={})) == data_digest(History(bars={}))
    True
    """
    chain = hashlib.sha256()
    for name, bars in sorted(history.bars.items()):
        chain.update(f"{name} {bars.timeframe}".encode())
        chain.update(np.ascontiguousarray(bars.closed_at.astype("datetime64[ns]")).tobytes())
        for column in PRICE_COLUMNS:
            chain.update(getattr(bars, column).tobytes())
    for frame in (history.news, history.macro):
        chain.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return chain.hexdigest()


@cache
def code_digest() -> str:
    """Return the SHA-256 of the source, extensions too, and of versions that decide a fit."""
    root = Path(__file__).resolve().parents[1]
    chain = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        chain.update(str(file.relative_to(root)).encode() + file.read_bytes())
    for name in _LIBRARIES:
        chain.update(f"{name} {version(name)}".encode())
    for name, module in imported().items():
        chain.update(name.encode() + (module.read_bytes() if module else b""))
    return chain.hexdigest()


def configuration_digest(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON-able values, whatever their order.

    Examples
    --------
    >>> configuration_digest({"a": 1, "b": 2}) == configuration_digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
