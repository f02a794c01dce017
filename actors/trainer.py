"""Owner of one target's models and of its queue of fits."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors import runtime
from dexml.errors import ActorNotReady, ModelError
from dexml.models.fits import FitLimits, FitRequest, run_fit
from dexml.models.registry import Registry
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
    actor, and Ray queues fits by the CPUs they ask for.
    """

    def __init__(self, target: str, home: str) -> None:
        self._target = target
        self._home = Path(home)
        self._epoch: int | None = None
        self._fits: dict[str, Any] = {}
        self._ended: dict[str, FitStatus] = {}

    def health(self) -> dict[str, Any]:
        """Say whether the actor is started, and how many fits run."""
        return {"ready": self._epoch is not None, "fits": len(self._fits)}

    def start(self, epoch: int) -> None:
        """Make the actor ready; fits of an earlier life are gone with it and left no artefact."""
        self._epoch = epoch

    def submit(self, fit_id: str, request: FitRequest, limits: FitLimits, num_cpus: int) -> None:
        """Queue a fit under its id; the same id again changes nothing."""
        self._require_ready()
        if fit_id not in self._fits and fit_id not in self._ended:
            self._fits[fit_id] = runtime.submit(
                run_fit, request, self._folder(fit_id), limits, num_cpus=num_cpus
            )

    def status(self, fit_id: str) -> FitStatus:
        """Say where a fit stands, publishing its model when it has just ended."""
        self._require_ready()
        if fit_id in self._ended:
            return self._ended[fit_id]
        if not runtime.is_ready(self._fits[fit_id]):
            return FitStatus(state="queued")
        self._ended[fit_id] = self._finish(fit_id)
        del self._fits[fit_id]
        return self._ended[fit_id]

    def _finish(self, fit_id: str) -> FitStatus:
        try:
            report: FitReport = runtime.result(self._fits[fit_id])
        except ModelError as error:
            return FitStatus(state="failed", reason=str(error))
        folder = self._folder(fit_id)
        manifest = {"target": report.target, "scores": report.scores, "models": report.models}
        digest = Registry(self._home / "models").publish(folder, manifest)
        shutil.rmtree(folder, ignore_errors=True)
        summary = {
            "n_rows": len(report.oof),
            "scores": report.scores,
            "seconds": report.seconds,
            "peak_rss_mb": report.peak_rss_mb,
        }
        return FitStatus(state="done", digest=digest, report=summary)

    def _folder(self, fit_id: str) -> Path:
        return self._home / "fits" / f"{fit_id}-{self._target}"

    def _require_ready(self) -> None:
        if self._epoch is None:
            raise ActorNotReady(
                f"trainer:{self._target}", "must be started", "new", "Call start(epoch) first."
            )
