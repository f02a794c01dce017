"""What a ledger alone knows of a run, in the shape of a demo's result: nothing is made up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from dexml.experiments.replay import began
from dexml.ledger import Ledger
from dexml.records import decode_state
from dexml.state import KernelConfig

__all__ = ["recorded_result"]

Rows = Sequence[Mapping[str, Any]]
_ENSEMBLE = "ensemble"
_NO_VERDICT = (
    "The ledger keeps what was decided and earned. A verdict on the forecasts is said by the "
    "command that judged them: dexml demo, or dexml validate."
)


def recorded_result(ledger: Ledger, run: str, book: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `dexml.report.render_report` is to show of a recorded run.

    Parameters
    ----------
    book : mapping
        The run's book, as `book_view` gives it.

    Returns
    -------
    dict
        `run`, `seed`, `verdict`, `config`, `decisions`, `orders`, `fills`, `equity`, `curve`, and
        the scores of the models that were registered for this run. The curve of buy and hold, the
        backtest behind a verdict and the stages are not in a ledger, and not here.

    Raises
    ------
    UsageError
        If the ledger has no such run.
    """
    started = began(ledger, run)
    config = decode_state(started["config"]["initial_state"]).config
    marks, scores = ledger.equity(run), _scores(ledger.models(run))
    return {
        "run": run,
        "seed": started["seed"],
        "verdict": _NO_VERDICT,
        "config": TypeAdapter(KernelConfig).dump_python(config, mode="json"),
        "decisions": book["declined"]["of"],
        "orders": book["orders"]["n"],
        "fills": book["orders"]["filled"],
        "equity": marks[-1]["equity"] if marks else book["now"]["equity"],
        "curve": {
            "at": [str(row["at"]) for row in marks],
            "equity": [float(row["equity"]) for row in marks],
        },
        "ensemble": scores.pop(_ENSEMBLE, None),
        "targets": scores,
    }


def _scores(models: Rows) -> dict[str, Any]:
    manifests = {row["target"]: json.loads(row["manifest"]) for row in models}
    return {
        target: manifest["scores"] for target, manifest in manifests.items() if "scores" in manifest
    }
