"""What a user may choose of how models are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from dexml.errors import ConfigError
from dexml.models.profiles import PROFILES
from dexml.models.sequence.config import SequenceConfig

__all__ = ["Recipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How much work a fit is, how far it looks, who takes part, and how all are combined.

    Attributes
    ----------
    profile : str
        A name in `dexml.models.profiles.PROFILES`.
    horizon : int
        Bars that labels look ahead.
    ensemble : str or None
        A way in `dexml.ensemble.COMBINERS`; None: the one that unseen blocks speak for.
    """

    profile: str = "fast"
    horizon: int = 1
    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    ensemble: str | None = None

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            known = ", ".join(PROFILES)
            raise ConfigError("profile", f"must be one of {known}", self.profile, "Pick one.")
        if self.horizon < 1:
            raise ConfigError("horizon", "must be at least 1 bar", self.horizon, "Take 1.")
