from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dexml.book.reading import BookReader
from dexml.book.recorded import recorded_result
from dexml.book.trades import trades_csv
from dexml.domain import Mode
from dexml.errors import UsageError
from dexml.events import ModeRequested
from dexml.experiments.replay import restore
from dexml.ledger import Ledger, StepRows
from dexml.records import encode
from dexml.risk.gaps import with_peers
from tests.recorded_run import RUN, copied, hourly, record_bars


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three instruments, of which one lacks bars, that trades."""
    place: Path = tmp_path_factory.mktemp("home")
    frames = {}
    for k, name in enumerate(("BTC/USDT", "ETH/USDT", "SOL/USDT")):
        frames[name] = hourly(90, seed=k).set_index("timestamp").shift(freq="h")
    frames["ETH/USDT"] = frames["ETH/USDT"].drop(frames["ETH/USDT"].index[40:44])
    chances = {
        name: np.where(frame["close"].shift(-1) > frame["close"], 0.9, 0.1)
        for name, frame in frames.items()
    }
    record_bars(place, frames, chances)
    return place


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}") as opened:
        yield opened


def test_every_figure_is_that_of_the_tables_of_the_ledger(ledger: Ledger) -> None:
    view = BookReader(ledger, RUN).view()
    marks, decisions = ledger.equity(RUN), ledger.decisions(RUN)
    series, n = view["series"], len(marks)
    assert view["closes"] == {"decided": n, "asked": n}
    assert (n, len(series["at"])) == (90, 90)
    worth = np.array([float(row["equity"]) for row in marks])
    cash = np.array([float(row["cash"]) for row in marks])
    assert series["exposure"] == pytest.approx(list(1 - cash / worth), abs=1e-4)
    for name in ("drawdown", "value_at_risk", "risk_score"):
        assert series[name] == pytest.approx([row[name] for row in marks], rel=1e-3, abs=1e-12)
    lost = 1 - worth[24:] / worth[:-24]
    assert series["next_day_loss"][:-24] == pytest.approx(list(lost), rel=1e-3, abs=1e-9)
    refused = Counter(row["reason"] for row in decisions if row["action"] == "decline")
    assert {row["reason"]: row["n"] for row in view["declined"]["reasons"]} == refused
    assert view["declined"]["of"] == len(decisions)
    assert view["orders"]["filled"] == len(ledger.trades(RUN)) > 10
    assert view["alerts"]["n"] == len(ledger.alerts(RUN))


def test_the_shares_of_the_parts_add_up_to_the_score_they_were_made_of(ledger: Ledger) -> None:
    series = BookReader(ledger, RUN).view()["series"]
    sums = np.sum([values for values in series["shares"].values()], axis=0)
    some = np.array(series["risk_score"]) > 1e-6
    assert some.sum() > 30
    assert sums[some] == pytest.approx(1.0, abs=1e-3)


def test_the_book_as_it_stands_is_that_of_the_restored_state(ledger: Ledger) -> None:
    view, state = BookReader(ledger, RUN).view(), restore(ledger, RUN)
    assert view["now"]["equity"] == str(round(state.equity, 2))
    held = {row["instrument"] for row in view["positions"]}
    assert held == {book.instrument for book in state.books if book.position}
    table = np.array([book.returns for book in state.books], dtype=float).T
    assert np.isnan(table).any()
    names = [book.instrument for book in state.books]
    order = [names.index(name) for name in view["correlations"]["instruments"]]
    expected = np.corrcoef(with_peers(table), rowvar=False)[np.ix_(order, order)]
    assert np.allclose(view["correlations"]["matrix"], expected, atol=6e-4)


def test_asking_again_gives_the_same_without_reading_again(ledger: Ledger) -> None:
    reader = BookReader(ledger, RUN)
    assert reader.view() is reader.view()


def test_what_is_heard_later_is_added_once(home: Path, tmp_path: Path) -> None:
    copied(home, tmp_path)
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        reader = BookReader(ledger, RUN)
        before = reader.view()
        _hear_a_halt(ledger)
        after = reader.view()
        assert before["now"]["mode"] == "active"
        assert after["now"]["mode"] == "halted"
        assert after == BookReader(ledger, RUN).view()
        assert reader.view() is after


def _hear_a_halt(ledger: Ledger) -> None:
    at = pd.Timestamp(ledger.equity(RUN)[-1]["at"]).to_pydatetime()
    event = ModeRequested(at=at, mode=Mode.HALTED, by="ada")
    epoch = ledger.acquire_epoch("risk", "test")
    ledger.commit_event("risk", epoch, RUN, event.id, encode(event), [], StepRows(), None)


def test_a_state_that_is_read_close_by_close_is_that_read_at_once(ledger: Ledger) -> None:
    class Slowly:
        """The ledger as it grew: at each call it has heard forty events more."""

        def __init__(self) -> None:
            self.n_known = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        def latest_snapshot(self, run: str) -> None:
            return None

        def events(self, run: str, after_seq: int = 0) -> Iterator[Any]:
            self.n_known += 40
            return (row for row in ledger.events(run, after_seq) if row.seq <= self.n_known)

    reader = BookReader(Slowly(), RUN)  # type: ignore[arg-type]
    n_events = sum(1 for _ in ledger.events(RUN))
    views = [reader.view() for _ in range(n_events // 40 + 2)]
    assert views[0]["closes"]["decided"] < views[-1]["closes"]["decided"]
    assert views[-1] == BookReader(ledger, RUN).view()


def test_a_run_that_never_traded_is_shown(tmp_path: Path) -> None:
    frame = hourly(30).set_index("timestamp").shift(freq="h")
    record_bars(tmp_path, {"BTC/USDT": frame}, {"BTC/USDT": np.full(30, 0.5)})
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        view = BookReader(ledger, RUN).view()
        assert set(view["series"]["exposure"]) == {0.0}
        assert view["orders"] == {"n": 0, "filled": 0, "n_failed": 0, "failed": []}
        assert view["days"]["n"] == 0
        assert trades_csv(ledger.trades(RUN)).count("\r\n") == 1
        assert recorded_result(ledger, RUN, view)["equity"] == "10000"


def test_an_unknown_run_is_refused_and_the_latest_named(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match=f"was nosuch. The latest is {RUN}"):
        BookReader(ledger, "nosuch").view()


def test_scores_are_those_of_models_that_were_registered_for_the_run(
    home: Path, tmp_path: Path
) -> None:
    copied(home, tmp_path)
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        book = BookReader(ledger, RUN).view()
        assert recorded_result(ledger, RUN, book)["targets"] == {}
        mine = '{"run": "%s", "scores": {"accuracy": 0.6}}'
        ledger.add_model("d1", "direction", mine % RUN, "champion")
        ledger.add_model("d2", "volume", mine % "another", "champion")
        ledger.add_model("d3", "ensemble", mine % RUN, "champion")
        found = recorded_result(ledger, RUN, book)
        assert found["targets"] == {"direction": {"accuracy": 0.6}}
        assert found["ensemble"] == {"accuracy": 0.6}
        again = '{"run": "later", "scores": {"accuracy": 0.7}}'  # the same models, judged anew
        ledger.add_model("d1", "direction", again, "champion")
        assert recorded_result(ledger, RUN, book)["targets"] == {"direction": {"accuracy": 0.6}}
        (later,) = ledger.models("later")
        assert json.loads(later["manifest"])["scores"] == {"accuracy": 0.7}
