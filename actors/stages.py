"""The stages of a run on one screen: a bar for each, then its seconds and peak memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from actors.sandbox import MemoryWatch

__all__ = ["Stage", "Stages", "Step"]

NAME_WIDTH, COST_WIDTH, BAR_WIDTH = 20, 17, 14
ROOM_FOR_A_BAR = 76  # columns of the terminal below which the note needs the bar's place


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

    @property
    def cost(self) -> str:
        """Seconds and memory in `COST_WIDTH` characters."""
        return f"{self.seconds:6.1f} s {self.peak_mb:5,.0f} MB"


@dataclass(slots=True)
class Stages:
    """Shows and measures stages, one after the other.

    On a terminal each is a bar on one line; elsewhere each is one plain line when it has ended.
    """

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
        began = time.perf_counter()
        with Progress(
            *_columns(self.console.width),
            console=self.console,
            disable=not self.console.is_terminal,
        ) as progress:
            step = Step(progress, progress.add_task(name, total=total, note="", cost=""))
            yield step
            seconds = time.perf_counter() - began
            self.done.append(Stage(name=name, seconds=seconds, peak_mb=self.memory.take_peak()))
            cost = self.done[-1].cost
            progress.update(step.task, total=1, completed=1, cost=cost)
        if not self.console.is_terminal:
            line = f"{name:<{NAME_WIDTH}} {cost:>{COST_WIDTH}}  {step.note}".rstrip()
            self.console.print(line, soft_wrap=True, markup=False)


@dataclass(slots=True)
class Step:
    """Moves the bar of the stage that is running."""

    progress: Progress
    task: TaskID
    note: str = ""

    def advance(self, by: float = 1, note: str | None = None) -> None:
        """Move the bar, and say what is going on in a few words."""
        self.progress.advance(self.task, by)
        if note is not None:
            self.say(note)

    def say(self, note: str) -> None:
        """Say in a few words what is going on."""
        self.note = note
        self.progress.update(self.task, note=note)


# Every column but the note has a fixed width, so that lines begin alike and none is ever wrapped.
def _columns(width: int) -> list[ProgressColumn]:
    with_bar = width >= ROOM_FOR_A_BAR
    gaps = 3 if with_bar else 2
    rest = width - NAME_WIDTH - COST_WIDTH - gaps - (BAR_WIDTH if with_bar else 0)
    columns = [
        TextColumn("{task.description}", table_column=_fixed(NAME_WIDTH)),
        TextColumn("{task.fields[note]}", table_column=_fixed(max(1, rest)), markup=False),
        _Cost(table_column=_fixed(COST_WIDTH)),
    ]
    bar = BarColumn(bar_width=BAR_WIDTH, table_column=Column(width=BAR_WIDTH))
    return [columns[0], bar, *columns[1:]] if with_bar else [*columns]


def _fixed(width: int) -> Column:
    return Column(width=width, no_wrap=True, overflow="ellipsis")


class _Cost(ProgressColumn):
    """Seconds while the stage runs; then what it cost."""

    def render(self, task: Task) -> Text:
        elapsed = f"{task.elapsed or 0.0:6.1f} s"
        return Text(task.fields["cost"] or elapsed, style="dim")
