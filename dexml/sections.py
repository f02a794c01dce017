"""The sections of the configuration that belong to no component."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dexml.data.listings import read_listings
from dexml.domain import Timeframe
from dexml.models.recipe import Recipe
from dexml.models.sequence.config import SequenceConfig
from dexml.universe import UniverseConfig

__all__ = ["DataSettings", "ModelSettings", "ServeSettings", "UniverseSettings"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Section):
    """What is collected."""

    exchanges: tuple[str, ...] = Field(
        default=("binance", "kraken", "coinbaseexchange"),
        min_length=1,
        description="ccxt names of the exchanges, the preferred one first.",
    )
    instruments: tuple[str, ...] = Field(
        default=("BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT", "LINK/USDT", "DOGE/USDT"),
        min_length=1,
        description="What is traded, as BASE/QUOTE.",
    )
    timeframe: Timeframe = Field(default=Timeframe.H1, description="Length of a bar.")


class UniverseSettings(_Section):
    """Which instruments may be traded, by what was known then."""

    listings: Path | None = Field(
        default=None, description="CSV with instrument, listed_at and delisted_at."
    )
    min_quote_volume: float = Field(
        default=0.0, ge=0, description="Least median volume of a bar in quote currency."
    )
    window_hours: int = Field(default=720, ge=1, description="Over which the median is taken.")
    silence_hours: int = Field(
        default=24, ge=1, description="No member is who has had no bar for so long."
    )

    def config(self) -> UniverseConfig:
        """Return what the kernel takes, the listings read."""
        given = self.model_dump(exclude={"listings"})
        listings = () if self.listings is None else read_listings(self.listings)
        return UniverseConfig(listings=listings, **given)


class ModelSettings(_Section):
    """How models are fitted."""

    profile: Literal["light", "fast", "standard", "best"] = Field(
        default="fast", description="How much work a fit may be."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of everything random.")
    ensemble: Literal["auto", "stacking", "weighted_vote", "bagging", "meta"] = Field(
        default="auto", description="How members are combined; auto: as unseen blocks say."
    )
    sequence: SequenceConfig = Field(
        default_factory=SequenceConfig, description="The CNN-LSTM; see docs/hyperparameters.md."
    )

    def recipe(self) -> Recipe:
        """Return what fits take."""
        method = None if self.ensemble == "auto" else self.ensemble
        return Recipe(profile=self.profile, sequence=self.sequence, ensemble=method)


class ServeSettings(_Section):
    """Where the HTTP endpoint listens."""

    host: str = Field(default="127.0.0.1", description="Address to bind; loopback by default.")
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port; 0 takes a free one.")
