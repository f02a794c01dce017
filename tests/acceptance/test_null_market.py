"""On a market without information nothing may beat chance: a leak shows here first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dexml.experiments.evidence import Judged, judge_forecasts
from dexml.experiments.folds import with_outcomes
from dexml.experiments.sources import plant_market
from dexml.experiments.specifications import specifications
from dexml.experiments.training import split_in_time
from dexml.features.panel import build_panel
from dexml.models.fits import FitRequest, run_fit, write_rows
from dexml.models.suite import ENSEMBLE, Suite, fit_ensemble, member_oof
from dexml.models.tabular import TabularForecaster
from dexml.targets import labels

DIRECTIONAL = ("direction", "sentiment", "macro", "joint")


@pytest.mark.whole
@pytest.mark.parametrize("seed", range(5))
def test_the_ensemble_stays_at_chance(seed: int, tmp_path: Path) -> None:
    market = plant_market((), n_bars=1_400, seed=seed, bayes_accuracy=0.5)
    panel, known = build_panel(market.history), labels(market.history.bars)
    split = split_in_time(panel)
    specs = specifications(tuple(panel.columns), seed)
    for name in DIRECTIONAL:
        spec = replace(specs[name], n_folds=3)
        label = known[spec.target].reindex(split.train.index)
        rows = write_rows(split.train[list(spec.columns)], label, tmp_path / f"{name}.parquet")
        run_fit(FitRequest(rows=str(rows), spec=spec), tmp_path / name)
    folders = {name: tmp_path / name for name in DIRECTIONAL}
    ensemble, _ = fit_ensemble(
        member_oof(folders),
        known["direction"],
        specs["direction"],
        DIRECTIONAL,
        panel=split.train,
    )
    members = {name: TabularForecaster.load(folder) for name, folder in folders.items()}
    forecast = Suite(members=members, ensemble=ensemble).forecast(split.test)[ENSEMBLE]
    truth = market.truth["direction"].reindex(split.test.index)
    assert np.allclose(truth, 0.5)
    said = forecast.to_frame()
    result = judge_forecasts(
        Judged(
            forecasts=with_outcomes(said, split.train, split.test, known).assign(fold=0),
            bars=market.history.bars,
            truth=market.truth,
            trials=tmp_path / "trials",
            configuration="null",
        )
    )
    scores = result["ensemble"]
    # the base rate of this market is known to be one half; the share in the test rows is luck
    assert abs(scores["accuracy"] - 0.5) <= 2 * scores["accuracy_standard_error"]
    assert result["edge"] is False
    assert result["verdict"].startswith("No evidence of an edge")
