"""A progress bar for people who wait for a fit."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dexml.models.sequence.fitting import Watch
from dexml.models.sequence.training import Progress as Trained

__all__ = ["ProgressBar"]


class ProgressBar(Watch):
    """One line for each network: windows seen, time left, log-loss of the block that may stop it.

    Use it as a context, and give it to `fit_sequence` as `watch`.

    Examples
    --------
    >>> from io import StringIO
    >>> told = StringIO()
    >>> with ProgressBar(Console(file=told, width=80)) as bar:
    ...     bar.begin("fold 1")
    ...     bar.report(Trained(samples=512, most=1_024, log_loss=0.6931))
    >>> [word in told.getvalue() for word in ("fold 1", "512/1024", "log-loss 0.6931")]
    [True, True, True]
    """

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("CNN-LSTM, {task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total} windows, log-loss {task.fields[log_loss]}"),
            TimeRemainingColumn(compact=True),
            console=console or Console(stderr=True),
        )
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, name: str) -> None:
        self._task = self._progress.add_task(name, total=None, log_loss="-")

    def report(self, progress: Trained) -> None:
        known = progress.log_loss == progress.log_loss
        self._progress.update(
            self._task,
            completed=progress.samples,
            total=progress.most,
            log_loss=f"{progress.log_loss:.4f}" if known else "-",
        )
