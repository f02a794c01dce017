from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dexml.errors import ModelRefused
from dexml.features.registry import INDICATORS, Group, indicator
from dexml.models.requirements import (
    feature_schema,
    library_versions,
    python_version,
    refuse_incompatible,
)


@pytest.fixture
def own() -> Iterator[None]:
    declare(warm_up=3)
    yield
    del INDICATORS["own_gap"]


def declare(warm_up: int) -> None:
    @indicator(Group.PRICE, "own_gap_1", warm_up=warm_up, unit="fraction")
    def own_gap(bars: object) -> dict[str, np.ndarray]:
        """Gap of one's own."""
        return {}


def manifest(**changes: object) -> dict[str, object]:
    here = {"python": python_version(), "libraries": library_versions(), "features": {}}
    return {**here, **changes}


def test_what_was_fitted_here_loads_here(own: None) -> None:
    features = feature_schema(["rsi_14", "macro_vix_value", "relative_return_1", "own_gap_1"])
    refuse_incompatible("model", manifest(features=features))
    assert "none" not in features.values()
    assert len(set(features.values())) == 4


def test_a_feature_that_was_declared_anew_is_named(own: None) -> None:
    features = feature_schema(["own_gap_1", "rsi_14"])
    del INDICATORS["own_gap"]
    with pytest.raises(ModelRefused, match=r"features own_gap_1 .*, was not declared.*extensions"):
        refuse_incompatible("model", manifest(features=features))
    declare(warm_up=5)
    with pytest.raises(ModelRefused, match=r"features own_gap_1 .*, was declared otherwise"):
        refuse_incompatible("model", manifest(features=features))


def test_many_features_are_counted(own: None) -> None:
    wanted = {f"gone_{number}": "0" * 16 for number in range(5)}
    with pytest.raises(ModelRefused, match="gone_0, gone_1, gone_2 and 2 more"):
        refuse_incompatible("model", manifest(features=wanted))


def test_the_libraries_that_decide_bits_are_those_that_are_installed() -> None:
    import lightgbm
    import talib

    versions = library_versions()
    assert versions["lightgbm"] == lightgbm.__version__
    assert versions["ta-lib"] == talib.__version__
    assert library_versions(["no-such"]) == {"no-such": "none"}
