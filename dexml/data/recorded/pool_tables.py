"""A table of a Uniswap V3 pool by the minute, as demeter writes it, turned into a table of bars."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dexml.errors import DataError

__all__ = ["is_pool", "pool_as_bars"]

_COLUMNS = {"openTick", "closeTick", "lowestTick", "highestTick", "netAmount1", "inAmount1"}
_DECIMALS: Mapping[str, int] = {"DAI": 18, "USDC": 6, "USDT": 6, "WBTC": 8, "WETH": 18}
_UNWRAPPED = {"WBTC": "BTC", "WETH": "ETH"}


def is_pool(columns: list[str]) -> bool:
    """Tell whether a table is a pool's minutes in ticks."""
    return set(columns) >= _COLUMNS


def pool_as_bars(file: Path, table: pd.DataFrame) -> tuple[str, pd.DataFrame, tuple[str, ...]]:
    r"""Turn ticks into prices of token 1 in token 0, and flows into volumes of token 1.

    Returns
    -------
    venue : str
        The file's words before the tokens, and the fee: "uniswap_v3_polygon_005".
    table : DataFrame
        With columns symbol, open, high, low, close, volume.
    notes : tuple of str
        Why rows will be refused that traded beside their own close.

    Raises
    ------
    DataError
        If the file does not name two tokens whose decimals are known.

    Notes
    -----
    :math:`price = 10^{d_1 - d_0} / 1.0001^{tick}`, so the lowest tick is the highest price. What
    went through in a minute is what came in plus what went out: :math:`2\,in - net`.

    References
    ----------
    Adams et al. (2021), "Uniswap v3 Core", equation 6.1.
    """
    token0, token1, venue = _tokens(file)
    scale = 10.0 ** (_DECIMALS[token1] - _DECIMALS[token0])
    ticks = table[["openTick", "lowestTick", "highestTick", "closeTick"]].apply(
        pd.to_numeric, errors="coerce"
    )
    prices = scale / np.power(1.0001, ticks.astype("float64"))
    passed = [
        _through(came, net)
        for came, net in zip(table["inAmount1"], table["netAmount1"], strict=True)
    ]
    columns = {
        "symbol": f"{_UNWRAPPED.get(token1, token1)}/{_UNWRAPPED.get(token0, token0)}",
        "open": prices["openTick"],
        "high": prices["lowestTick"],
        "low": prices["highestTick"],
        "close": prices["closeTick"],
        "volume": np.array(passed) / 10.0 ** _DECIMALS[token1],
    }
    return venue, table.drop(columns=list(_COLUMNS)).assign(**columns), _stale(ticks)


# Which of the numbers is wrong nobody knows: the row is refused, and why is said.
def _stale(ticks: pd.DataFrame) -> tuple[str, ...]:
    close = ticks["closeTick"]
    beside = (close < ticks["lowestTick"]) | (close > ticks["highestTick"])
    n_stale = int((beside & (close == close.shift())).sum())
    why = f"{n_stale} minutes have the close of the minute before, beside their own high and low"
    return (why,) if n_stale else ()


# whole numbers of wei do not fit a float; their sum is rounded once
def _through(came: Any, net: Any) -> float:
    try:
        return float(2 * int(came) - int(net))
    except (TypeError, ValueError):
        return float("nan")


def _tokens(file: Path) -> tuple[str, str, str]:
    words = re.findall(r"[a-z0-9]+", file.name.lower())
    places = [place for place, word in enumerate(words) if word.upper() in _DECIMALS]
    if len(places) != 2 or places[1] != places[0] + 1 or not places[0]:
        raise DataError(
            f"file {file}",
            f"must name its two tokens ({', '.join(_DECIMALS)}) after its pool",
            file.name,
            "Call it uniswap_v3_polygon_usdc_weth_005.parquet.",
        )
    fee = [word for word in words[places[1] + 1 :][:1] if word.isdigit()]
    venue = "_".join([*words[: places[0]], *fee])
    return words[places[0]].upper(), words[places[1]].upper(), venue
