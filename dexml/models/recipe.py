"""What a user may choose of how models are made."""

from __future__ import annotations

from dataclasses import dataclass, field

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
