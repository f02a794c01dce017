"""Opens a fitted folder, whichever kind of forecaster is in it."""

from __future__ import annotations

import json
from pathlib import Path

from dexml.models.flat import FILE, TabularForecaster
from dexml.models.sequence.forecaster import KIND, SequenceForecaster

__all__ = ["Filed", "load_forecaster"]

Filed = TabularForecaster | SequenceForecaster
"""A forecaster that stands in a folder of plain files."""


def load_forecaster(folder: Path) -> Filed:
    """Read a forecaster; nothing is unpickled, and torch is imported for a CNN-LSTM only.

    Raises
    ------
    ModelError
        If the folder holds no forecaster of the present format.
    """
    path = folder / FILE
    sequence = path.is_file() and json.loads(path.read_text()).get("kind") == KIND
    return SequenceForecaster.load(folder) if sequence else TabularForecaster.load(folder)
