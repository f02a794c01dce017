from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.dexml.conftest import Dexml
from tests.recorded_run import hourly, write_bars
from tests.refusals import nothing_left, one_sentence

LONG_ENOUGH = 1_200


def _missing(folder: Path) -> Path:
    return folder / "nowhere"


def _no_parquet(folder: Path) -> Path:
    folder.mkdir()
    (folder / "BTCUSDT.parquet").write_text("this is no parquet")
    return folder


def _text_file(folder: Path) -> Path:
    folder.mkdir()
    (folder / "BTCUSDT.txt").write_text("a letter")
    return folder / "BTCUSDT.txt"


def _empty_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _no_volume(folder: Path) -> Path:
    return write_bars(folder, "BTCUSDT.parquet", hourly(LONG_ENOUGH).drop(columns="volume"))


def _no_rows(folder: Path) -> Path:
    return write_bars(folder, "BTCUSDT.parquet", hourly(10).iloc[:0])


def _apart_in_time(folder: Path) -> Path:
    late = hourly(LONG_ENOUGH)
    late["timestamp"] += pd.Timedelta(days=900)
    write_bars(folder, "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    return write_bars(folder, "ETHUSDT.parquet", late)


def _contradicting(folder: Path) -> Path:
    write_bars(folder, "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    return write_bars(folder, "BTCUSDT_again.parquet", hourly(LONG_ENOUGH, seed=1))


def _many_nan(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame.loc[100:300, "close"] = float("nan")
    return write_bars(folder, "BTCUSDT.parquet", frame)


def _many_negative(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame.loc[100:300, "low"] *= -1
    return write_bars(folder, "BTCUSDT.parquet", frame)


def _one_nan(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame.loc[700, "close"] = float("nan")
    return write_bars(folder, "BTCUSDT.parquet", frame)


def _one_negative(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame.loc[700, "low"] *= -1
    return write_bars(folder, "BTCUSDT.parquet", frame)


def _from_the_future(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame["timestamp"] += pd.Timedelta(days=20_000)
    return write_bars(folder, "BTCUSDT.parquet", frame)


def _too_short(folder: Path) -> Path:
    return write_bars(folder, "BTCUSDT.parquet", hourly(400))


def _daily(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame["timestamp"] = pd.date_range("2019-01-01", periods=len(frame), freq="D", tz="UTC")
    return write_bars(folder, "BTCUSDT.parquet", frame)


def _two_timeframes(folder: Path) -> Path:
    write_bars(folder, "ETHUSDT.parquet", hourly(LONG_ENOUGH))
    return _daily(folder)


def _nameless(folder: Path) -> Path:
    return write_bars(folder, "prices.parquet", hourly(LONG_ENOUGH))


@pytest.mark.parametrize(
    ("spoil", "code", "sentence"),
    [
        (_missing, 2, "must exist"),
        (_no_parquet, 3, "must be parquet"),
        (_text_file, 3, "must end in .parquet"),
        (_empty_folder, 2, "must hold parquet or CSV files"),
        (_no_volume, 3, "must have the column volume"),
        (_no_rows, 3, "must have rows"),
        (
            _apart_in_time,
            3,
            "must overlap in time, was ETH/USDT from 2026-06-19 01:00, BTC/USDT until",
        ),
        (_contradicting, 3, "must agree with the files before it"),
        (_many_nan, 3, "first in row 100"),
        (_many_negative, 3, "first in row 100"),
        (
            _one_nan,
            3,
            "must have sound rows only, was 1 unsound (not a number: 1, first in row 700)",
        ),
        (_one_negative, 3, "was 1 unsound (price not positive: 1, first in row 700)"),
        (_from_the_future, 3, "in the future"),
        (_too_short, 2, "must have 1163 in common"),
        (_daily, 3, "must be hourly in the demo, was 1d"),
        (_two_timeframes, 3, "must be of one timeframe"),
        (_nameless, 3, "must name its instrument"),
    ],
)
def test_bars_that_cannot_be_used_are_refused_before_anything_starts(
    dexml: Dexml,
    empty: Path,
    tmp_path: Path,
    spoil: Callable[[Path], Path],
    code: int,
    sentence: str,
) -> None:
    said = dexml("demo", "--json", "--bars", spoil(tmp_path / "bars"))
    assert (said.code, said.last_line()["exit_code"]) == (code, code)
    assert sentence in said.err
    assert said.last_line()["error"] == said.err.strip()
    one_sentence(said.err)
    nothing_left(empty)


def test_a_symbol_that_no_file_has_is_named_with_those_there_are(
    dexml: Dexml, empty: Path, tmp_path: Path
) -> None:
    bars = write_bars(tmp_path / "bars", "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    said = dexml("demo", "--bars", bars, "--symbols", "FOO/USDT")
    assert said.code == 2
    assert "--symbols must be among BTC/USDT, was FOO/USDT" in said.err
    nothing_left(empty)


def test_a_history_that_the_files_cannot_give_is_answered_with_one_they_can(
    dexml: Dexml, empty: Path, tmp_path: Path
) -> None:
    bars = write_bars(tmp_path / "bars", "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    said = dexml("demo", "--bars", bars, "--history", "5000")
    assert said.code == 2
    assert "Give --history 1149" in said.err
    nothing_left(empty)
