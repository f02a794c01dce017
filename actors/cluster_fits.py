"""Fits as tasks of the cluster that this process has joined: Ray queues them by their CPUs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from actors import cluster, runtime
from actors.tuning import refuse_unshared
from dexml.errors import ModelError
from dexml.models.fits import FitLimits, FitRequest, run_fit
from dexml.models.tabular import FitReport

__all__ = ["fit_on_cluster", "joined"]

POLL_S = 0.2


@contextmanager
def joined(folder: Path, temp_dir: Path) -> Iterator[Path]:
    """Join the cluster of this job, and give a folder that all its nodes see.

    Raises
    ------
    EnvironmentRefused
        If a node does not see `folder`.
    """
    cluster.join_or_start(temp_dir)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        refuse_unshared(folder)
        yield folder
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def fit_on_cluster(
    request: FitRequest, folder: Path, limits: FitLimits, stop: threading.Event
) -> FitReport:
    """Do what `run_fit` does, on whatever node has a CPU to spare.

    Raises
    ------
    ModelError
        As `run_fit`; also when `stop` is set, after the task and its child are killed.
    EnvironmentRefused
        If the task's process was killed.
    """
    task = runtime.submit(run_fit, request, folder, limits, num_cpus=request.spec.num_cpus)
    while not runtime.is_ready(task):
        if stop.wait(POLL_S):
            ray.cancel(task, force=True)  # the child dies with the worker
            subject = f"fit of {request.spec.target}"
            raise ModelError(subject, "must be let to its end", "stopped", "Fit again.")
    report: FitReport = runtime.result(task)
    return report
