from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from actors.sandbox import MemoryWatch
from actors.stages import Stages


def _shown(width: int, *, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    with MemoryWatch() as memory:
        stages = Stages(console, memory)
        with stages.stage("backfill", total=2) as step:
            step.advance(1, "coinbaseexchange: 18,000 bars, and a note that never ends")
        with stages.stage("leak audit") as step:
            step.say("[165] checked, 0 leaks")
    return file.getvalue()


def test_without_a_terminal_each_stage_is_one_plain_line() -> None:
    lines = _shown(80, terminal=False).splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"leak audit +\d+\.\d s +[\d,]+ MB  \[165\] checked, 0 leaks", lines[1])


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_on_a_terminal_no_line_is_wider_than_it(width: int) -> None:
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", _shown(width, terminal=True))
    lines = re.split(r"[\r\n]", text)
    assert max(map(len, lines)) <= width
    assert sum("MB" in line for line in lines) >= 2


def test_what_a_failed_stage_said_is_not_shown_as_done() -> None:
    file = io.StringIO()
    with MemoryWatch() as memory:
        stages = Stages(Console(file=file), memory)
        with pytest.raises(ValueError, match="no"), stages.stage("training"):
            raise ValueError("no")
    assert file.getvalue() == ""
    assert stages.done == []
