"""Every exception of the library: one sentence each, which says what to do next."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

__all__ = [
    "ActorNotReady",
    "ConfigError",
    "DataError",
    "DexmlError",
    "EnvironmentRefused",
    "ExecutionError",
    "LeakFound",
    "LedgerAway",
    "LedgerError",
    "LimitReached",
    "LookAheadError",
    "ModelError",
    "ModelRefused",
    "StaleEpoch",
    "UnsafeSetup",
    "UsageError",
    "sentence",
]


def sentence(text: str) -> str:
    """Return `text` with one full stop at its end, whether or not it had one.

    Examples
    --------
    >>> sentence("it is locked"), sentence("It is locked."), sentence("Why?")
    ('it is locked.', 'It is locked.', 'Why?')
    """
    said = text.rstrip()
    return said if said.endswith((".", "!", "?")) else f"{said}."


class DexmlError(Exception):
    """Base of all errors: a subject, the rule it broke, the value found, and the fix.

    Parameters
    ----------
    subject : str
        What is wrong, in the words of the user: a setting, a file, a column.
    rule : str
        What must hold, starting with a verb ("must be positive").
    was : object
        The value found; kept as text so that the error survives pickling through Ray.
    fix : str
        What to do, as a sentence.

    Examples
    --------
    >>> print(ConfigError("policy.min_edge", "must be at least 0", -1, "Write 10 bp as 0.001."))
    policy.min_edge must be at least 0, was -1. Write 10 bp as 0.001.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, subject: str, rule: str, was: object, fix: str) -> None:
        self.subject, self.rule, self.was, self.fix = subject, rule, str(was), fix
        super().__init__(subject, rule, self.was, fix)

    @property
    def problem(self) -> str:
        """What is wrong, as a sentence."""
        return sentence(f"{self.subject} {self.rule}, was {self.was}")

    def __str__(self) -> str:
        return f"{self.problem} {self.fix}"


class UsageError(DexmlError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(DexmlError):
    """A setting breaks its rule."""

    exit_code = 2


class DataError(DexmlError):
    """Data that must not be used as it is."""

    exit_code = 3


class EnvironmentRefused(DexmlError):
    """The machine lacks what the command needs: a free port, disk, a component."""

    exit_code = 3


class UnsafeSetup(DexmlError):
    """Running like this would be unsafe, so nothing was started."""

    exit_code = 78


class ModelError(DexmlError):
    """A model cannot be fitted, found or trusted."""


class ModelRefused(ModelError):
    """A model version that must not be loaded: changed, not vouched for, or not of this place."""

    exit_code = 3


class ExecutionError(DexmlError):
    """An order cannot be carried out as asked."""


class LedgerError(DexmlError):
    """The ledger cannot be written or does not add up."""


class LedgerAway(LedgerError):
    """The database does not answer just now; whether the last write counts it knows once back."""


class LimitReached(LedgerError):
    """Open intents would take more than there is; nothing was written."""


class StaleEpoch(LedgerError):
    """A newer owner of this state exists; the old one must stop."""


class ActorNotReady(DexmlError):
    """The actor has not been started since it was created."""


class LeakFound(DataError):
    """A feature uses what was not yet known."""


class LookAheadError(DataError):
    """A value was asked for before it was known."""

    def __init__(self, name: str, asked_at: datetime, known_at: datetime) -> None:
        self.name, self.asked_at, self.known_at = name, asked_at, known_at
        Exception.__init__(self, name, asked_at, known_at)

    def __str__(self) -> str:
        return (
            f"{self.name} was asked for at {self.asked_at:%Y-%m-%d %H:%M %Z} but is only known "
            f"from {self.known_at:%Y-%m-%d %H:%M %Z}. Shift it by its publication lag or read it "
            f"with `as_of`."
        )
