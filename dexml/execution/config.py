"""How patient an engine is, and what it may pay."""

from __future__ import annotations

from dataclasses import dataclass, field

from dexml.errors import ConfigError
from dexml.execution.fees import FeePolicy

__all__ = ["EngineConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """How swaps are seen through.

    Attributes
    ----------
    confirmations : int
        Blocks, its own included, after which what is mined stays.
    patience_blocks : int
        Blocks after which a waiting transaction offers an eighth more.
    slippage_bps : int
        Least that is accepted below a fresh quote.
    deadline_s : int
        Chain seconds that a swap may wait to be mined.
    lookback_blocks : int
        How far back a new journal looks for transactions that an older one had; must span the
        time for which an intent may be repeated.
    """

    confirmations: int = 3
    patience_blocks: int = 3
    slippage_bps: int = 50
    deadline_s: int = 120
    lookback_blocks: int = 128
    fees: FeePolicy = field(default_factory=FeePolicy)

    def __post_init__(self) -> None:
        for name in ("confirmations", "patience_blocks", "deadline_s", "lookback_blocks"):
            if (was := getattr(self, name)) < 1:
                raise ConfigError(f"execution {name}", "must be at least 1", was, "Set it.")
