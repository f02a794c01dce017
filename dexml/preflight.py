"""What a demo was asked for, checked before anything is started or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dexml.config import Settings
from dexml.data.feeds.venues import VENUES
from dexml.doctor import require_place, require_port, require_temporary_folder
from dexml.domain import Bars, Timeframe, check_instrument
from dexml.errors import ConfigError, DataError, UsageError
from dexml.experiments.sources import newest, shared_bars
from dexml.experiments.training import shortest_panel
from dexml.features.panel import warm_up
from dexml.ledger import Ledger
from dexml.models.registry import Registry

__all__ = ["Wanted", "check_machine", "check_symbols", "demo_bars", "refuse_unsupported"]

LONGEST_HISTORY = 8_000  # recorded bars that are learnt from unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A demand that can be met.

    Attributes
    ----------
    bars : mapping of instrument to Bars, or None
        Recorded bars, history and cycles together; None: plant a market.
    n_history : int
        Bars of history; 0: what suits the planted market.
    """

    bars: Mapping[str, Bars] | None
    n_history: int


def refuse_unsupported(settings: Settings, names: tuple[str, ...] = ()) -> None:
    """Refuse settings that a command would otherwise pass over in silence.

    Parameters
    ----------
    names : tuple of str
        Those that matter; by default all that matter to the demo.

    Raises
    ------
    ConfigError
        Naming the setting.
    """
    rules = (
        ("data.timeframe", settings.data.timeframe, ("1h",)),
        ("data.exchanges", settings.data.exchanges, tuple(VENUES)),
        ("policy.horizon", settings.policy.horizon, (1,)),
        ("serve.host", settings.serve.host, ("127.0.0.1",)),
        ("storage_uri", settings.storage_uri, (None,)),
    )
    for name, value, possible in (rule for rule in rules if not names or rule[0] in names):
        given = value if isinstance(value, tuple) else (value,)
        if not set(given) <= set(possible):
            allowed = ", ".join(str(one or "left out") for one in possible)
            raise ConfigError(name, f"must be {allowed} here", value, "Change it, or remove it.")


def check_machine(settings: Settings, port: int | None) -> None:
    """Refuse a home, ledger, registry, temporary folder or port that the demo could not use.

    Raises
    ------
    EnvironmentRefused, ConfigError or LedgerError
        Naming it and the fix.
    """
    require_place("home", settings.home.absolute())
    if settings.database_url is not None:  # by default it is made in the home
        Ledger.open(settings.database_url).close()
    if settings.registry_uri is not None:
        Registry.of(settings.home.absolute(), settings.registry_uri).versions()
    require_temporary_folder()
    if port is not None:
        require_port(port)


def check_symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols, unless one names no instrument or comes twice.

    Raises
    ------
    UsageError
        Naming the symbol.
    """
    for name in symbols:
        try:
            check_instrument(name)
        except DataError as error:
            raise UsageError("--symbols", error.rule, error.was, error.fix) from error
    if len(set(symbols)) < len(symbols):
        raise UsageError(
            "--symbols", "must name each instrument once", ", ".join(symbols), "Drop the repeats."
        )
    return symbols


def demo_bars(
    paths: tuple[Path, ...], symbols: tuple[str, ...], history: int, cycles: int
) -> Wanted:
    """Read what was asked for, and see that it is long enough to be learnt from.

    Raises
    ------
    UsageError
        If the history is too short, or a symbol is unknown or named twice.
    DataError
        If a file cannot be used.

    Examples
    --------
    >>> demo_bars((), ("BTC/USDT",), 0, 50)
    Wanted(bars=None, n_history=0)
    """
    check_symbols(symbols)
    least = shortest_panel() + warm_up(Timeframe.H1)
    if history and history < least:
        raise UsageError(
            "--history",
            f"must be at least {least} bars to learn and be judged",
            history,
            "Raise it, or leave it out for what suits.",
        )
    if not paths:
        return Wanted(bars=None, n_history=history)
    shared = shared_bars(paths, symbols)
    _refuse_other_timeframes(shared)
    shortest, live = min(map(len, shared.values())), cycles + 1
    n_history = history or min(LONGEST_HISTORY, shortest - live)
    if n_history < least or shortest < n_history + live:
        raise _too_short(shortest, max(n_history, least), live, least)
    return Wanted(bars=newest(shared, n_history + live), n_history=n_history)


def _refuse_other_timeframes(bars: Mapping[str, Bars]) -> None:
    for name, series in bars.items():
        if series.timeframe is not Timeframe.H1:
            raise DataError(
                f"bars of {name}",
                "must be hourly in the demo",
                series.timeframe,
                "Give hourly bars.",
            )


def _too_short(shortest: int, n_history: int, live: int, least: int) -> UsageError:
    enough = shortest - live >= least
    return UsageError(
        "recorded bars",
        f"must have {n_history + live} in common, {n_history} to learn from and {live} to live "
        f"through",
        shortest,
        f"Give --history {shortest - live}." if enough else "Give longer files or fewer --cycles.",
    )
