"""Users' indicators in a process of their own, which has seen nothing yet.

``python -m dexml.features.fresh FOLDER`` answers the question that lies in a folder.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from dexml.domain import Bars
from dexml.features.registry import INDICATORS, Indicator
from dexml.features.replaying import Answers, Closes, answers_in_order

__all__ = ["answers_of_a_fresh_process", "can_be_imported"]

_QUESTION, _ANSWERS = "question", "answers"
_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    modules: tuple[str, ...]
    names: tuple[str, ...]
    bars: Mapping[str, Bars]
    closes: Closes
    skip: int


def can_be_imported(one: Indicator) -> bool:
    """Tell whether another process finds an indicator by importing the module that holds it."""
    module = getattr(one.compute, "__module__", "__main__")
    holder = None if module == "__main__" else sys.modules.get(module)
    return getattr(holder, one.name, None) is one.compute


def answers_of_a_fresh_process(
    bars: Mapping[str, Bars], indicators: Sequence[Indicator], closes: Closes, skip: int
) -> Answers | None:
    """Ask indicators in order of time in a process that was never shown anything else.

    Parameters
    ----------
    indicators : sequence of Indicator
        Such as `can_be_imported` finds.

    Returns
    -------
    Answers or None
        None if their modules cannot be imported there.
    """
    modules = dict.fromkeys(one.compute.__module__ for one in indicators)
    question = _Question(
        modules=tuple(modules),
        names=tuple(one.name for one in indicators),
        bars=bars,
        closes=closes,
        skip=skip,
    )
    with TemporaryDirectory() as folder:
        place = Path(folder)
        place.joinpath(_QUESTION).write_bytes(pickle.dumps(question))
        ended = subprocess.run(
            [sys.executable, "-m", "dexml.features.fresh", folder],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if ended.returncode:
            return None
        answers: Answers = pickle.loads(place.joinpath(_ANSWERS).read_bytes())
        return answers


def main(folder: str) -> int:
    """Answer the question in a folder; 1 if an indicator is not there."""
    place = Path(folder)
    question: _Question = pickle.loads(place.joinpath(_QUESTION).read_bytes())
    for module in question.modules:
        import_module(module)
    if not set(question.names) <= set(INDICATORS):
        return 1
    indicators = [INDICATORS[name] for name in question.names]
    answers = answers_in_order(question.bars, indicators, question.closes, question.skip)
    place.joinpath(_ANSWERS).write_bytes(pickle.dumps(answers))
    return 0


if __name__ == "__main__":
    # Under its own name, so that what is pickled here can be read there.
    from dexml.features import fresh

    sys.exit(fresh.main(sys.argv[1]))
