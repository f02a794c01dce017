"""What coins did in five bad days: a small table of returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["EPISODES", "Episode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A stretch of market history.

    Attributes
    ----------
    since, until : str
        The first and the last close that count, UTC.
    moves : mapping of coin to float
        Lowest hourly close of the stretch over the first one, minus one. Every coin at its own
        low is worse than any single moment was.
    quote : float
        What the stablecoin that was in trouble lost against the dollar.
    """

    name: str
    since: str
    until: str
    moves: Mapping[str, float] = field(default_factory=dict)
    quote: float = 0.0


def _moves(text: str) -> Mapping[str, float]:
    pairs = (pair.split("=") for pair in text.split())
    return MappingProxyType({coin: float(move) for coin, move in pairs})


# Measured by `python -m benchmarks.portfolio episodes` on hourly closes of Binance: perpetuals of
# BTC, ETH, BNB, SOL, DOGE, LINK and MATIC, spot of the others; coins not listed yet are absent.
# The bars hold no price of USDC: 0.88 dollars on 2023-03-11 is what the exchanges' press reported.
EPISODES = (
    Episode(
        name="2020-03 covid crash",
        since="2020-03-12 00:00Z",
        until="2020-03-13 12:00Z",
        moves=_moves("BNB=-0.535 BTC=-0.488 ETH=-0.509 LINK=-0.572"),
    ),
    Episode(
        name="2021-05 deleveraging",
        since="2021-05-18 12:00Z",
        until="2021-05-20 00:00Z",
        moves=_moves(
            "BNB=-0.370 BTC=-0.227 DOGE=-0.451 ETH=-0.340 LINK=-0.391 MATIC=-0.244 SOL=-0.422 "
            "ADA=-0.407 LTC=-0.427 UNI=-0.440 XRP=-0.367"
        ),
    ),
    Episode(
        name="2022-05 Luna and UST",
        since="2022-05-08 00:00Z",
        until="2022-05-13 00:00Z",
        moves=_moves(
            "BNB=-0.369 BTC=-0.236 DOGE=-0.428 ETH=-0.304 LINK=-0.430 MATIC=-0.472 SOL=-0.486 "
            "ADA=-0.457 LTC=-0.396 UNI=-0.430 XRP=-0.380"
        ),
    ),
    Episode(
        name="2022-11 FTX",
        since="2022-11-07 00:00Z",
        until="2022-11-10 12:00Z",
        moves=_moves(
            "BNB=-0.222 BTC=-0.249 DOGE=-0.372 ETH=-0.297 LINK=-0.271 MATIC=-0.312 SOL=-0.693 "
            "ADA=-0.223 LTC=-0.280 UNI=-0.323 XRP=-0.296"
        ),
    ),
    Episode(
        name="2023-03 USDC depeg",
        since="2023-03-09 00:00Z",
        until="2023-03-11 12:00Z",
        moves=_moves(
            "BNB=-0.072 BTC=-0.096 DOGE=-0.109 ETH=-0.100 LINK=-0.090 MATIC=-0.092 SOL=-0.121 "
            "ADA=-0.055 LTC=-0.206 UNI=-0.130 XRP=-0.072"
        ),
        quote=-0.12,
    ),
)
