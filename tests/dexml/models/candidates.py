"""Every forecaster that there is, in its lightest form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from dexml.models.base import Forecaster
from dexml.models.checks import Candidate
from dexml.models.loading import load_forecaster
from dexml.models.profiles import FitSpec
from dexml.models.rules import RULES, Rule
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.fitting import fit_sequence
from dexml.models.tabular import fit_tabular

TINY = SequenceConfig.from_dict(
    {
        "model": {"cnn_channels": [4], "lstm_hidden": 4},
        "trainer": {"epochs": 1, "batch_size": 128, "learning_rate": 0.01, "device": "cpu"},
        "data": {"sequence_length": 6},
    }
)
COLUMNS = ("edge", "return_1", "flags", "noise")


def spec(seed: int) -> FitSpec:
    return FitSpec(
        target="direction", columns=COLUMNS, n_folds=3, embargo_bars=4, seed=seed, sequence=TINY
    )


def tabular(rows: pd.DataFrame, y: pd.Series[float], seed: int, folder: Path) -> Forecaster:
    fit_tabular(rows, y, replace(spec(seed), sequence=None), folder)
    return load_forecaster(folder)


def sequence(rows: pd.DataFrame, y: pd.Series[float], seed: int, folder: Path) -> Forecaster:
    fit_sequence(rows, y, spec(seed), folder)
    return load_forecaster(folder)


def ruled(rule: type[Rule]) -> Candidate:
    return Candidate(
        name=rule.name,
        columns=rule().columns,
        fit=lambda rows, y, seed, folder: rule().fit(rows, y),
    )


LOAD = "dexml.models.loading:load_forecaster"
CANDIDATES = (
    Candidate(name="tabular", columns=COLUMNS, fit=tabular, load=LOAD),
    Candidate(name="cnn_lstm", columns=COLUMNS, fit=sequence, load=LOAD),
    *(ruled(rule) for rule in RULES.values()),
)
