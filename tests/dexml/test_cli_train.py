"""`dexml train` as a person uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexml.models.registry import Registry
from tests.dexml.conftest import Dexml
from tests.refusals import nothing_left, one_sentence

SMALL = ("--planted", "--symbols", "BTC/USDT", "--history", "1000", "--workers", "1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--target", "luck"), "--target must be among direction, volatility, volume"),
        (("--profile", "heroic"), "--profile must be one of light, fast, standard, best"),
        (("--symbols", "btc"), "--symbols must"),
        (("--history", "10"), "--history"),
        (("--bars", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    dexml: Dexml, empty: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    said = dexml("train", *arguments)
    assert said.code == 2
    assert sentence in said.err
    one_sentence(said.err)
    nothing_left(empty)


@pytest.mark.slow
def test_a_target_is_fitted_signed_and_promoted_and_a_killed_fit_leaves_the_champion(
    dexml: Dexml, empty: Path
) -> None:
    first = dexml("train", *SMALL, "--target", "volume", "--promote", "--json")
    assert first.code == 0, first.err
    result = first.last_line()
    row, digest = result["targets"]["volume"], result["digests"]["volume"]
    assert row["log_loss"] < row["baseline"]
    assert row["gap_reached"] > 0.5
    assert result["champions"] == {"volume": digest}
    assert {one["model"] for one in result["leaderboard"]} >= {"forecaster", "base_rate"}
    assert result["audit"]["leaks"] == []
    assert (result["profile"], result["failed"], result["ensemble"]) == ("fast", {}, None)
    assert "Fits: volume; profile fast" in first.err
    assert "estimated time" in first.err
    registry = Registry.of(empty / ".dexml")
    assert registry.verify(digest)[0]["spec"]["profile"] == "fast"

    killed = dexml("train", *SMALL, "--target", "volume", "--limit", "0.1", "--promote", "--json")
    assert killed.code == 1
    told = killed.last_line()
    assert "must end within 0.1 s" in told["failed"]["volume"]
    assert (told["digests"], told["champions"]) == ({}, {"volume": digest})
    assert "volume failed" in killed.err
    assert registry.versions() == (digest,)
