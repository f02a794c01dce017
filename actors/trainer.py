"""Owner of one target's models and of its queue of fits."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors import runtime
from dexml.errors import ActorNotReady, DexmlError, UsageError
from dexml.models.fits import FitLimits, FitRequest, run_fit
from dexml.models.registry import Registry
from dexml.models.summaries import member_manifest
from dexml.models.tabular import FitReport

__all__ = ["FitStatus", "TrainerActor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitStatus:
    """Where a fit stands.

    Attributes
    ----------
    state : "queued", "done" or "failed"
    digest : str or None
        Of the published model version, once done.
    report : dict or None
        What the fit reported, once done.
    reason : str
        Why it failed.
    """

    state: str
    digest: str | None = None
    report: dict[str, Any] | None = None
    reason: str = ""


class TrainerActor:
    """Queues fits of one target and publishes what they yield; the old model serves meanwhile.

    A fit is a Ray task that starts a limited child process, so nothing it does can wedge this
    actor, and Ray queues fits by the CPUs they ask for. What was asked and how it ended is kept in
    the home, so that a new life of this actor begins a lost fit again, and repeats no ended one.
    What it publishes is unsigned: it holds no key, and nobody loads it until the driver vouches.

    Parameters
    ----------
    registry : str, optional
        Address of the registry; by default in the home.
    """

    def __init__(self, target: str, home: str, registry: str = "") -> None:
        self._target = target
        self._home = Path(home)
        self._registry = registry
        self._epoch: int | None = None
        self._fits: dict[str, Any] = {}

    def health(self) -> dict[str, Any]:
        """Say whether the actor is started, and how many fits run."""
        return {"ready": self._epoch is not None, "fits": len(self._fits)}

    def start(self, epoch: int) -> None:
        """Make the actor ready; fits of an earlier life died with it and are begun when asked."""
        self._epoch = epoch

    def submit(self, fit_id: str, request: FitRequest, limits: FitLimits, num_cpus: int) -> None:
        """Queue a fit under its id; the same id again changes nothing."""
        self._require_ready()
        if not self._file(fit_id, "asked").exists():
            asked = {"request": request.to_dict(), "limits": asdict(limits), "num_cpus": num_cpus}
            _write(self._file(fit_id, "asked"), asked)
        self._begin(fit_id)

    def status(self, fit_id: str) -> FitStatus:
        """Say where a fit stands, publishing its model when it has just ended.

        Raises
        ------
        UsageError
            If no such fit was ever submitted.
        """
        self._require_ready()
        self._begin(fit_id)
        if fit_id in self._fits and runtime.is_ready(self._fits[fit_id]):
            _write(self._file(fit_id, "ended"), asdict(self._finish(fit_id)))
            del self._fits[fit_id]
        ended = self._file(fit_id, "ended")
        return FitStatus(**_read(ended)) if ended.exists() else FitStatus(state="queued")

    def _begin(self, fit_id: str) -> None:
        if fit_id in self._fits or self._file(fit_id, "ended").exists():
            return
        if not self._file(fit_id, "asked").exists():
            raise UsageError(
                f"fit {fit_id} of {self._target}", "must be known", "unknown", "Submit it first."
            )
        asked = _read(self._file(fit_id, "asked"))
        shutil.rmtree(self._folder(fit_id), ignore_errors=True)  # of a life that did not publish it
        self._fits[fit_id] = runtime.submit(
            run_fit,
            FitRequest.from_dict(asked["request"]),
            self._folder(fit_id),
            FitLimits(**asked["limits"]),
            num_cpus=asked["num_cpus"],
        )

    def _finish(self, fit_id: str) -> FitStatus:
        try:
            report: FitReport = runtime.result(self._fits[fit_id])
        except DexmlError as error:
            return FitStatus(state="failed", reason=str(error))
        folder = self._folder(fit_id)
        request = FitRequest.from_dict(_read(self._file(fit_id, "asked"))["request"])
        digest = Registry.of(self._home, self._registry).publish(
            folder,
            member_manifest(request, report),
            columns=request.spec.columns,
            facts={"seconds": report.seconds, "peak_rss_mb": report.peak_rss_mb},
        )
        shutil.rmtree(folder, ignore_errors=True)
        summary = {
            "n_rows": len(report.oof),
            "scores": report.scores,
            "seconds": report.seconds,
            "peak_rss_mb": report.peak_rss_mb,
        }
        return FitStatus(state="done", digest=digest, report=summary)

    def _folder(self, fit_id: str) -> Path:
        return self._home / "fits" / f"{fit_id}-{self._target}-{self._epoch}"

    def _file(self, fit_id: str, kind: str) -> Path:
        return self._home / "fits" / f"{fit_id}-{self._target}.{kind}.json"

    def _require_ready(self) -> None:
        if self._epoch is None:
            raise ActorNotReady(
                f"trainer:{self._target}", "must be started", "new", "Call start(epoch) first."
            )


def _write(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(values))
    partial.replace(path)


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text())
    return values
