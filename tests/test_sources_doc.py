"""The examples of docs/sources.md run, and do what the text says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from dexml.data.sources.scorers import SCORERS, scorer_named
from dexml.data.sources.series import SERIES, series_named
from dexml.data.sources.yahoo import YahooFeed

DOC = Path(__file__).resolve().parents[1] / "docs" / "sources.md"


@pytest.fixture
def _registries_are_left_as_they_were() -> Iterator[None]:
    kept = dict(SERIES), dict(SCORERS)
    yield
    for registry, before in zip((SERIES, SCORERS), kept, strict=True):
        registry.clear()
        registry.update(before)


@pytest.mark.usefixtures("_registries_are_left_as_they_were")
def test_the_examples_register_a_series_and_a_tone() -> None:
    for block in re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL):
        exec(block, {})
    assert scorer_named("shouting").score("BITCOIN") == 1.0
    nikkei = series_named(["n225_daily.csv"])
    assert nikkei is SERIES["nikkei"]
    known_at = nikkei.release.known_at(pd.DatetimeIndex(["2024-01-05"], tz="UTC"))
    assert known_at[0] == pd.Timestamp("2024-01-05 07:00", tz="UTC")
    assert YahooFeed(["nikkei"]).series == ("nikkei",)


def test_the_table_of_releases_names_every_series() -> None:
    table = DOC.read_text().split("| series | known |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(SERIES)
