"""The fits of a suite, several at a time, each in a child of its own; none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dexml.errors import DexmlError
from dexml.models.fits import FitLimits, FitRequest, limits_of, run_fit, write_rows
from dexml.models.profiles import FitSpec, estimated_seconds
from dexml.models.summaries import member_manifest
from dexml.models.tabular import FitReport

__all__ = ["FitOutcome", "Run", "estimated_wall_s", "fit_members"]

Run = Callable[[FitRequest, Path, FitLimits, threading.Event], FitReport]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitOutcome:
    """How the fit of a member ended.

    Attributes
    ----------
    spec : FitSpec
    n_rows : int
        Rows with a known label.
    folder : Path or None
        The model; None if the fit failed.
    report : FitReport or None
    manifest : mapping
        What a registry is told of it; empty if the fit failed.
    reason : str
        Why it failed; "" if it did not.
    """

    spec: FitSpec
    n_rows: int
    folder: Path | None = None
    report: FitReport | None = None
    manifest: Mapping[str, Any]
    reason: str = ""


def estimated_wall_s(specs: Mapping[str, FitSpec], n_rows: int, workers: int) -> float:
    """Return about how long `fit_members` takes, by figures of one measured core.

    Examples
    --------
    >>> one = {"volume": FitSpec(target="volume", columns=("a",))}
    >>> two = one | {"macro": FitSpec(target="macro", columns=("a",))}
    >>> estimated_wall_s(two, 9_000, 1) > estimated_wall_s(two, 9_000, 2)
    True
    """
    seconds = [estimated_seconds(spec, n_rows) for spec in specs.values()]
    return max(sum(seconds) / workers, max(seconds, default=0.0))


def fit_members(
    panel: pd.DataFrame,
    labels: pd.DataFrame,
    specs: Mapping[str, FitSpec],
    folder: Path,
    *,
    workers: int = 1,
    limits: FitLimits | None = None,
    run: Run = run_fit,
    ended: Callable[[str, FitOutcome], None] = lambda _name, _outcome: None,
) -> dict[str, FitOutcome]:
    """Fit members on all rows of a panel whose label is known.

    Parameters
    ----------
    panel : DataFrame
        Index (closed_at, instrument).
    labels : DataFrame
        A column for each target of `specs`; may hold more rows.
    folder : Path
        Where models and training rows are left.
    workers : int
        Fits at a time.
    limits : FitLimits, optional
        Of each fit; by default what suits it.
    run : callable
        Does what `run_fit` does, there or elsewhere; whoever does it must see `folder`.
    ended : callable
        Told of each fit that has ended, well or not.

    Returns
    -------
    dict of member to FitOutcome
        In the order of `specs`. A fit that broke a limit, died or refused is among them with its
        reason, and changed nothing for the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stop, done = threading.Event(), {}

    def fit(name: str, spec: FitSpec) -> FitOutcome:
        label = labels[spec.target].reindex(panel.index)
        n_rows = int(label.notna().sum())
        rows = write_rows(panel[list(spec.columns)], label, folder / f"{name}.parquet")
        request, most = FitRequest(rows=str(rows), spec=spec), limits or limits_of(spec, n_rows)
        try:
            report = run(request, folder / name, most, stop)
            manifest = member_manifest(request, report)
        except DexmlError as error:
            return FitOutcome(spec=spec, n_rows=n_rows, manifest={}, reason=str(error))
        finally:
            rows.unlink()
        where = folder / name
        return FitOutcome(spec=spec, n_rows=n_rows, folder=where, report=report, manifest=manifest)

    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        asked = {pool.submit(fit, name, spec): name for name, spec in specs.items()}
        for future in as_completed(asked):
            name = asked[future]
            done[name] = future.result()
            ended(name, done[name])
    finally:  # Ctrl-C must not wait for fits to end by themselves
        stop.set()
        pool.shutdown(cancel_futures=True)
    return {name: done[name] for name in specs}
