from __future__ import annotations

from pathlib import Path

from tests.dexml.conftest import Dexml
from tests.dexml.data.recordings import bar_table, write


def test_import_says_what_it_understood_and_adds_nothing_twice(dexml: Dexml, empty: Path) -> None:
    write(bar_table(), empty / "recorded" / "okx_BTCUSDT.csv")
    (empty / "recorded" / "notes.txt").write_text("no data")
    said = dexml("import", "recorded")
    assert said.code == 0
    assert "1 of 2 files understood, 299 new rows stored, 1 files refused." in said.out
    again = dexml("import", "recorded", "--json")
    result = again.last_line()
    assert (again.code, result["stored"], result["rows"], result["refused"]) == (0, 0, 299, 2)
    refused, taken = result["files"]
    assert refused["file"].endswith("notes.txt")
    assert (refused["understood_as"], refused["rows"], refused["refused"]) == ("", 0, 1)
    assert taken["understood_as"].startswith("okx BTC/USDT 1h bars")
    assert (taken["rows"], taken["refused"]) == (299, 1)
    assert (empty / ".dexml" / "store" / "bars" / "okx").is_dir()


def test_import_refuses_what_was_named_and_could_not_be_taken(dexml: Dexml, empty: Path) -> None:
    write(bar_table(), empty / "okx_BTCUSDT.csv")
    (empty / "broken.csv").write_text("")
    assert dexml("import", "okx_BTCUSDT.csv").code == 0
    said = dexml("import", "okx_BTCUSDT.csv", "broken.csv")
    assert said.code == 3
    assert "must be CSV" in said.out


def test_import_explains_mistakes_in_one_sentence(dexml: Dexml, empty: Path) -> None:
    write(bar_table(), empty / "okx_BTCUSDT.csv")
    for arguments, sentence in (
        (("missing",), "path missing must exist"),
        (("okx_BTCUSDT.csv", "--stamps", "middle"), "--stamps must be open or close"),
        (("okx_BTCUSDT.csv", "--timeframe", "7m"), "--timeframe must be one of 1m"),
        (("okx_BTCUSDT.csv", "--scorer", "oracle"), "scorer must be one of textblob, vader"),
    ):
        said = dexml("import", *arguments)
        assert (said.code, said.out) == (2, "")
        assert sentence in said.err
    assert dexml("import").code == 2
