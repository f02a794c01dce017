from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.models.summaries import judged, suite_manifest


def test_forecasts_are_judged_beside_the_base_rate() -> None:
    y = pd.Series([1.0, 0.0, 1.0, 1.0])
    said = judged(y, pd.Series([0.9, 0.2, 0.8, 0.4]), pd.Series([0.5] * 4))
    expected = -np.log([0.9, 0.8, 0.8, 0.4]).mean()
    assert said["log_loss"] == pytest.approx(expected, rel=1e-12)
    assert said["base_rate_log_loss"] == pytest.approx(np.log(2), rel=1e-12)
    assert said["accuracy"] == 0.75


def member(first: str, last: str, loss: float) -> dict[str, object]:
    row = {"accuracy": 0.6, "log_loss": loss}
    return {
        "spec": {"seed": 3},
        "libraries": {"numpy": "2", first: "1"},
        "scores": {"forecaster": row, "base_rate": {**row, "log_loss": 0.7}},
        "data": {"from": first, "to": last, "sha256": first},
    }


def test_a_suite_spans_its_members_and_keeps_their_scores() -> None:
    manifests = {
        "direction": member("2024-01", "2024-05", 0.65),
        "volume": member("2023", "2024-04", 0.6),
    }
    ensemble = {"accuracy": 0.7, "log_loss": 0.64, "base_rate_log_loss": 0.7}
    made = suite_manifest({"direction": "d", "volume": "v"}, manifests, ensemble)
    assert (made["data"]["from"], made["data"]["to"], made["seeds"]) == ("2023", "2024-05", [3])
    assert made["libraries"] == {"numpy": "2", "2024-01": "1", "2023": "1"}
    assert made["members"] == {"direction": "d", "volume": "v"}
    assert made["scores"]["volume"] == {
        "accuracy": 0.6,
        "log_loss": 0.6,
        "base_rate_log_loss": 0.7,
    }
    assert made["scores"]["ensemble"] == ensemble
    manifests["volume"] = member("2023", "2024-03", 0.6)
    assert suite_manifest({}, manifests, ensemble)["data"]["sha256"] != made["data"]["sha256"]
