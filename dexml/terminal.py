"""How the command line speaks: sentences to people, one JSON object to programs, exit codes."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console

from dexml.errors import DexmlError

__all__ = ["Screen", "run", "screen"]

# typer carries its own copy of click; the base class of both is found through a public name
_ClickException: Any = typer.BadParameter.__mro__[2]
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(slots=True, kw_only=True)
class Screen:
    """Where a command speaks.

    Attributes
    ----------
    console : Console
        For people: standard output or, when that belongs to a program, standard error.
    result : dict or None
        For programs: printed as the last line when the command ends and JSON was asked for.
    """

    console: Console
    result: dict[str, Any] | None = None


@contextmanager
def screen(as_json: bool) -> Iterator[Screen]:
    """Give a command its screen; with `as_json` nothing but one object reaches standard output.

    The file descriptor itself is turned to standard error meanwhile, so that neither a library
    nor a child process can put a line of its own before the object.
    """
    if not as_json:
        yield Screen(console=Console(highlight=False))
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    mine = Screen(console=Console(stderr=True, highlight=False))
    try:
        yield mine
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        if mine.result is not None:
            print(json.dumps(mine.result, sort_keys=True, allow_nan=False))  # noqa: T201


def run(app: typer.Typer) -> int:
    """Run the command line and return its exit code; every failure is one sentence."""
    try:
        code = app(standalone_mode=False, prog_name="dexml")
        sys.stdout.flush()
    except BrokenPipeError:
        return _deaf()
    except KeyboardInterrupt:
        code = 130
    except typer.Abort:
        return _failed("Stopped before it began.", 1)
    except Exception as error:
        return _explained(error)
    if code == 130:
        return _failed("Stopped. Nothing is left running.", 130)
    return code if isinstance(code, int) else 0


def _explained(error: Exception) -> int:
    if isinstance(error, _ClickException):
        if not error.format_message():  # a command group without a command has printed its help
            return 2
        return _failed(_usage(error), 2)
    cause = getattr(error, "cause", None)  # what an actor raised comes wrapped in Ray's traceback
    ours = cause if isinstance(cause, DexmlError) else error
    if isinstance(ours, DexmlError):
        return _failed(str(ours), ours.exit_code)
    if isinstance(error, OSError) and error.errno in _DISK:
        place = error.filename or "the disk"
        fix = "Free space there or give another --home."
        return _failed(f"{place} must be writable, was refused: {error.strerror}. {fix}", 3)
    raise error


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "dexml"
    sentence = " ".join(error.format_message().split()).rstrip(".")
    for theirs, ours in (("Invalid value for ", ""), (": Input should", " must"), ("'", "")):
        sentence = sentence.replace(theirs, ours)
    return f"{sentence}. See {command} --help."


def _failed(sentence: str, code: int) -> int:
    Console(stderr=True, highlight=False).print(sentence, markup=False, soft_wrap=True)
    if "--json" in sys.argv:
        print(json.dumps({"error": sentence, "exit_code": code}, sort_keys=True))  # noqa: T201
    return code


def _deaf() -> int:
    # nobody reads any more: point the descriptor elsewhere, so that the flush at exit is quiet too
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 128 + 13
