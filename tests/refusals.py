"""What every refusal of the command line keeps: one sentence, and nothing half-written."""

from __future__ import annotations

from pathlib import Path


def one_sentence(text: str) -> None:
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1, text


def nothing_left(folder: Path) -> None:
    assert [path for path in folder.rglob("*") if path.name != "dexml.toml"] == []
