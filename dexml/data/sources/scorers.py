"""The tone of a headline, by several scorers behind one protocol."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, TypeVar

from dexml.errors import UsageError

__all__ = [
    "SCORERS",
    "SentimentScorer",
    "TextBlobScorer",
    "VaderScorer",
    "scorer",
    "scorer_named",
]

_KEPT = 4_096


class SentimentScorer(Protocol):
    """Whatever gives a headline a tone in [-1, 1]; the same title always gets the same."""

    def score(self, title: str) -> float: ...


SCORERS: dict[str, Callable[[], SentimentScorer]] = {}
Made = TypeVar("Made", bound=Callable[[], SentimentScorer])


def scorer(name: str) -> Callable[[Made], Made]:
    """Register a scorer under a name, so that `--scorer NAME` finds it.

    Examples
    --------
    >>> @scorer("shouting")
    ... class Shouting:
    ...     def score(self, title: str) -> float:
    ...         return 1.0 if title.isupper() else 0.0
    >>> scorer_named("shouting").score("BITCOIN")
    1.0
    >>> del SCORERS["shouting"]
    """

    def register(made: Made) -> Made:
        SCORERS[name] = made
        return made

    return register


def scorer_named(name: str) -> SentimentScorer:
    """Make the scorer of that name.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in SCORERS:
        known = ", ".join(sorted(SCORERS))
        raise UsageError("scorer", f"must be one of {known}", name, "Register yours with @scorer.")
    return SCORERS[name]()


@scorer("vader")
class VaderScorer:
    """Compound score of VADER.

    References
    ----------
    Hutto and Gilbert (2014), "VADER: a parsimonious rule-based model for sentiment analysis of
    social media text", ICWSM.

    Examples
    --------
    >>> VaderScorer().score("Bitcoin drops as traders worry")
    -0.4404
    """

    def __init__(self) -> None:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        self._scored = lru_cache(maxsize=_KEPT)(SentimentIntensityAnalyzer().polarity_scores)

    def score(self, title: str) -> float:
        return float(self._scored(title)["compound"])


@scorer("textblob")
class TextBlobScorer:
    """Polarity of TextBlob's lexicon: the mean tone of the adjectives and adverbs it knows.

    References
    ----------
    Loria (2013), "TextBlob: simplified text processing"; De Smedt and Daelemans (2012), "Pattern
    for Python", JMLR 13.

    Examples
    --------
    >>> TextBlobScorer().score("A great and wonderful day for Bitcoin")
    0.9
    """

    def __init__(self) -> None:
        from textblob.en import sentiment

        self._scored = lru_cache(maxsize=_KEPT)(lambda title: sentiment(title)[0])

    def score(self, title: str) -> float:
        return max(-1.0, min(1.0, float(self._scored(title))))
