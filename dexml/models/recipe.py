"""What a user may choose of how models are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from dexml.models.sequence.config import SequenceConfig

__all__ = ["Recipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Members beside those of the targets, and how all are combined.

    Attributes
    ----------
    ensemble : str or None
        A way in `dexml.ensemble.COMBINERS`; None: the one that unseen blocks speak for.
    """

    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    ensemble: str | None = None
