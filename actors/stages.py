"""The stages of a run on one screen: a bar for each, then its seconds and peak memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from actors.sandbox import MemoryWatch

__all__ = ["Stage", "Stages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a stage cost.

    Attributes
    ----------
    seconds : float
        Wall time.
    peak_mb : float
        Most memory in use by all processes of the run, shared pages divided among their users.
    """

    name: str
    seconds: float
    peak_mb: float


@dataclass(slots=True)
class Stages:
    """Shows and measures stages, one after the other."""

    console: Console
    memory: MemoryWatch
    done: list[Stage] = field(default_factory=list)

    def to_dict(self) -> list[dict[str, float | str]]:
        """Return name, seconds and peak memory of each stage that ended."""
        return [
            {"name": one.name, "seconds": one.seconds, "peak_rss_mb": one.peak_mb}
            for one in self.done
        ]

    def peak_mb(self) -> float:
        """Return the most memory that any stage used."""
        return max(one.peak_mb for one in self.done)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Step]:
        """Show a stage while its block runs; `total` steps fill its bar."""
        columns = (
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]:<26}"),
            TimeElapsedColumn(),
        )
        began = time.perf_counter()
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(name, total=total, note="")
            yield Step(progress, task)
            progress.update(task, total=1, completed=1)
        seconds = time.perf_counter() - began
        self.done.append(Stage(name=name, seconds=seconds, peak_mb=self.memory.take_peak()))


@dataclass(slots=True)
class Step:
    """Moves the bar of the stage that is running."""

    progress: Progress
    task: TaskID

    def advance(self, by: float = 1, note: str | None = None) -> None:
        """Move the bar, and say what is going on in a few words."""
        self.progress.advance(self.task, by)
        if note is not None:
            self.say(note)

    def say(self, note: str) -> None:
        """Say in a few words what is going on."""
        self.progress.update(self.task, note=note)
