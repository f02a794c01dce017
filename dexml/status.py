"""What a run stands at, from its ledger and its store: it answers with everything else dead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dexml.clock import Clock, SystemClock
from dexml.data.heard import heard, heard_lines
from dexml.data.standing import standings
from dexml.data.storage.store import Store
from dexml.describe import describe
from dexml.events import VitalsSeen
from dexml.experiments.replay import restore
from dexml.ledger import Ledger
from dexml.universe import UniverseConfig

__all__ = [
    "data_lines",
    "heard_now",
    "status_lines",
    "status_of",
    "stored_data",
    "torn_files",
]


def status_of(
    ledger: Ledger,
    run: str,
    n_alerts: int = 5,
    store: Path | None = None,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Return the book, its risk figures, its data and the newest alerts as JSON-able values.

    Parameters
    ----------
    store : Path, optional
        Where the bars of the run are; without it `data` is empty.
    clock : Clock, optional
        Tells how old they are; the wall clock unless given.

    Raises
    ------
    UsageError
        If the ledger has no such run.
    LedgerError
        If the snapshot that the state is rebuilt from was changed.
    """
    state = restore(ledger, run)
    waiting = [row.intent_id for row in ledger.outbox(run)]
    alerts = [{**row, "at": str(row["at"])} for row in ledger.alerts(run, limit=n_alerts)]
    unwell = [book.instrument for book in state.books if not book.healthy]
    names = [book.instrument for book in state.books]
    now = (clock or SystemClock()).now()
    data = standings(Store(store), state.closed_at, names, now) if store and state.closed_at else []
    asked = ledger.newest_request(run)
    return {
        "run": run,
        "closed_at": state.closed_at.isoformat() if state.closed_at else None,
        **describe(state),
        "world": _world(state.watch.outside),
        "quarantine": {name: _why(ledger, run, name) for name in unwell},
        "data": [one.row() for one in data],
        "heard": heard(Store(store), state.closed_at) if store and state.closed_at else [],
        "unsent_intents": waiting,
        "asked": asked and {name: asked[name] for name in ("wanted", "by", "at")},
        "alerts": alerts[::-1],
    }


def _world(seen: VitalsSeen | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    told = {name: value for name, value in asdict(seen).items() if name != "kind"}
    return {**told, "at": seen.at.isoformat()}


def stored_data(
    store: str, clock: Clock | None = None, universe: UniverseConfig | None = None
) -> list[dict[str, Any]]:
    """Return how far each instrument's data in a store can be trusted, as JSON-able values.

    Each is judged twice: at its own end, and, under `live`, at the present of the clock (the wall
    clock unless given). With a universe it is told who is no member.
    """
    now = (clock or SystemClock()).now()
    return [one.row() for one in standings(Store(store), now=now, universe=universe)]


def heard_now(store: str, clock: Clock | None = None) -> list[dict[str, Any]]:
    """Return what a store has heard besides bars (`dexml.data.heard`), at the present."""
    return heard(Store(store), (clock or SystemClock()).now())


def torn_files(data: Sequence[dict[str, Any]]) -> list[str]:
    """Return the files of the store that a crash tore, of what `stored_data` returned."""
    return sorted({file for one in data for file in one["torn"]})


def _why(ledger: Ledger, run: str, instrument: str) -> str:
    texts = [row["text"] for row in ledger.alerts(run) if row["subject"] == "health_changed"]
    told = (text for text in reversed(texts) if text.startswith(f"{instrument} "))
    return next(told, f"{instrument} takes no new risk.")


def status_lines(seen: dict[str, Any]) -> Iterator[str]:
    """Yield what `status_of` returned as lines for people."""
    yield f"{seen['run']}, last bar closed {seen['closed_at']}: {seen['mode']}"
    yield (
        f"equity {float(seen['equity']):,.2f}, cash {float(seen['cash']):,.2f}, "
        f"drawdown {seen['drawdown']:.4f}, VaR {_measured(seen['value_at_risk'])}, "
        f"risk score {seen['risk_score']:.2f}"
    )
    if seen["world"]:
        yield _world_line(seen["world"])
    yield "positions:" if seen["positions"] else "no positions"
    for name, held in seen["positions"].items():
        quantity, entry, stop = float(held["quantity"]), held["entry_price"], held["stop"]
        yield (
            f"  {name:<10} {quantity:>12,.6g}  weight {held['weight']:.3f}  "
            f"entry {entry:,.6g}  stop {stop:,.6g}"
        )
    for why in seen["quarantine"].values():
        yield f"quarantine: {why}"
    yield from data_lines(seen["data"])
    yield from heard_lines(seen["heard"])
    asked = seen["asked"]
    if asked and asked["wanted"] != seen["mode"]:
        yield f"asked to be {asked['wanted']} by {asked['by']}: heard at its next bar"
    if seen["unsent_intents"]:
        yield f"{len(seen['unsent_intents'])} intents not sent yet"
    for alert in seen["alerts"]:
        yield f"{alert['severity']} at {alert['at']}: {alert['subject']}, {alert['text']}"


def _world_line(world: dict[str, Any]) -> str:
    told = (
        f"newest bar {_number(world['bars_behind'])} bars old",
        f"clock {_number(world['clock_skew_s'])} s off",
        f"book and account {_number(world['reconciliation_gap'])} apart",
        f"{_number(world['restarts'], '.0f')} restarts",
    )
    return f"seen at {world['at']}: {', '.join(told)}"


def _number(value: float | None, form: str = ".2f") -> str:
    return "unknown" if value is None else format(value, form)


def _measured(value: float | None) -> str:
    return "not measured yet" if value is None else f"{value:.4f}"


def data_lines(data: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield what `stored_data` returned as lines for people."""
    yield from ["data:"] if data else []
    for one in data:
        known = (_judged(one, f"at {one['closed_at'][:16].replace('T', ' ')}"), *_live(one["live"]))
        parts = (*known, f"from {', '.join(one['venues'])}", *_untested(one), *_aside(one))
        yield f"  {one['instrument']:<10} {one['timeframe']:<3} {'; '.join(parts)}"
    for file in torn_files(data):
        yield (
            f"  torn by a crash: {file} in the store. Fetch its range again (`dexml backfill` or "
            "`dexml import`), then delete it."
        )


def _judged(one: dict[str, Any], when: str) -> str:
    held = ", no new risk" if one["in_quarantine"] else ""
    why = f" ({one['reason']})" if one["reason"] else ""
    silent = one["outside"].startswith("no bar")  # which was said already
    out = f", not in the universe ({one['outside']})" if one["outside"] and not silent else ""
    return f"health {one['health']:.2f} {when}{held}{why}{out}"


def _live(live: dict[str, Any] | None) -> Iterator[str]:
    if live is None:
        return
    age_s = live["age_s"]
    yield _judged(live, "now") + (
        ", no bar" if age_s is None else f", newest bar {_span(age_s)} old"
    )


def _untested(one: dict[str, Any]) -> Iterator[str]:
    if one["untested"]:
        yield f"not tested with dexml: {', '.join(one['untested'])}"


def _aside(one: dict[str, Any]) -> Iterator[str]:
    n_rows = one["bars_in_quarantine"]
    if n_rows:
        why = ", ".join(f"{reason} {n:,}" for reason, n in one["refused"].items())
        yield f"{n_rows:,} bar{'s' * (n_rows > 1)} in quarantine: {why}"


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"
