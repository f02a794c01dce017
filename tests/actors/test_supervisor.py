"""What the loop does when a part of it fails: real owners of book and account, no Ray."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from ray.exceptions import ActorDiedError, GetTimeoutError

from actors.monitor import MonitorActor
from actors.supervisor import BACK_OFF_S, PATIENCE_S, Member, Supervisor
from dexml.costs import CostConfig
from dexml.data.sources.context import ContextReport
from dexml.errors import DataError, EnvironmentRefused
from dexml.events import HealthChanged
from dexml.execution.paper import PaperBroker
from dexml.experiments.backtest import LocalHost, backtest
from dexml.experiments.replay import replay_run
from dexml.records import decode_event, decode_state
from dexml.status import status_lines, status_of
from tests.actors.rig import FIRST, MARKET, NAMES, RUN, SETS, Forecaster, Part, Rig


@pytest.mark.parametrize("name", ["feed:one", "context", "monitor"])
def test_a_failing_part_is_one_alert_and_the_loop_decides_on(rig: Rig, name: str) -> None:
    rig.parts[name].failure = ValueError("a bug\nwith a long trace")
    rig.live(3)
    assert rig.decided() == 3 * len(NAMES)
    assert rig.alerts() == [f"{name} failed, the loop goes on: {_method(name)}: a bug"]
    assert rig.parts[name].asked == 3  # an hour of the loop is longer than its rest


def test_a_part_that_failed_rests_for_a_minute_of_the_loop(rig: Rig) -> None:
    rig.parts["context"].failure = ValueError("a bug")
    closed_at = SETS[rig.row][0].closed_at
    for seconds in (0, 20, 59, 61):
        rig.supervisor._spare(closed_at + timedelta(seconds=seconds), "context", "poll")
    assert rig.parts["context"].asked == 2


@pytest.mark.parametrize("name", ["feed:one", "context", "monitor"])
def test_after_its_rest_a_part_is_begun_anew_and_its_return_is_told(rig: Rig, name: str) -> None:
    part = rig.parts[name]
    part.failure = ValueError("a bug")
    rig.live(1)
    part.failure = None
    rig.seconds += BACK_OFF_S
    rig.live(1)
    assert part.begun == 2
    assert rig.alerts()[1:] == [f"{name} works again."]
    assert replay_run(rig.ledger, RUN).identical


def test_a_part_that_never_answers_is_waited_for_once_and_then_left_alone(rig: Rig) -> None:
    rig.parts["context"].failure = GetTimeoutError("no answer")
    rig.live(1)
    waited = rig.seconds
    assert PATIENCE_S < waited < 2 * PATIENCE_S
    rig.live(3)
    assert rig.seconds - waited < PATIENCE_S
    assert rig.alerts() == [
        "context failed, the loop goes on: poll: actor context must answer, was no answer. "
        "See its log under the Ray dashboard."
    ]


def test_a_part_that_died_and_comes_back_is_no_alert_and_costs_no_decision(rig: Rig) -> None:
    part = rig.parts["forecast"]
    part.failure = ActorDiedError()
    part.healed_by_start = 4
    rig.live(2)
    assert part.begun == 4
    assert rig.alerts() == []
    assert rig.decided() == 2 * len(NAMES)


def test_what_a_feed_could_not_read_is_told_once_and_it_is_asked_again(rig: Rig) -> None:
    part = rig.parts["context"]
    part.answer = ContextReport(n_news=0, n_macro=0, failed={"vix": "was HTTP 500"})
    rig.live(3)
    assert part.asked == 3
    assert rig.alerts() == ["context failed, the loop goes on: vix: was HTTP 500"]
    part.answer = ContextReport(n_news=0, n_macro=0, failed={})
    rig.live(1)
    assert rig.alerts()[-1] == "context works again."


def test_without_forecasts_nothing_is_decided_and_the_loop_lives(rig: Rig) -> None:
    rig.parts["forecast"].failure = DataError("panel", "must reach the close", "short", "Wait.")
    rig.live(2)
    assert rig.decided() == 0
    assert "panel must reach the close" in rig.alerts()[0]
    rig.parts["forecast"].failure = None
    rig.seconds += BACK_OFF_S
    rig.live(2)
    assert rig.decided() == 2 * len(NAMES)


def test_an_instrument_in_quarantine_takes_no_new_risk_until_it_is_fit_again(rig: Rig) -> None:
    forecaster = rig.parts["forecast"]
    assert isinstance(forecaster, Forecaster)
    forecaster.unwell = (("ETH/USDT", "price jump"),)
    rig.live(3)
    by_name = _reasons(rig)
    assert by_name["ETH/USDT"] == ["data"] * 3
    assert "data" not in by_name["BTC/USDT"]
    assert rig.alerts("health_changed") == ["ETH/USDT takes no new risk: price jump."]
    shown = status_of(rig.ledger, RUN)
    assert shown["quarantine"] == {"ETH/USDT": "ETH/USDT takes no new risk: price jump."}
    assert "quarantine: ETH/USDT takes no new risk: price jump." in status_lines(shown)
    forecaster.unwell = ()
    rig.live(2)
    assert "data" not in _reasons(rig)["ETH/USDT"][3:]
    assert rig.alerts("health_changed")[1:] == ["ETH/USDT is fit again: its bars are whole again."]
    assert status_of(rig.ledger, RUN)["quarantine"] == {}
    assert replay_run(rig.ledger, RUN).identical


def test_a_new_supervisor_knows_who_was_in_quarantine(rig: Rig) -> None:
    forecaster = rig.parts["forecast"]
    assert isinstance(forecaster, Forecaster)
    forecaster.unwell = (("BTC/USDT", "no bar"),)
    rig.live(1)
    forecaster.unwell = ()
    successor = Supervisor(RUN, rig.ledger, rig.send, now=lambda: rig.seconds)
    for name, owner in (rig.owners | rig.parts).items():
        successor.add(Member(name=name, handle=owner))
    rig.supervisor = successor
    rig.live(1)
    assert len(rig.alerts("health_changed")) == 2


def test_while_nothing_is_wrong_nobody_speaks_of_health(rig: Rig) -> None:
    rig.live(5)
    assert not [row for row in rig.ledger.events(RUN) if '"health_changed"' in row.event]


def test_a_backtest_that_hears_of_the_quarantine_decides_the_same(rig: Rig) -> None:
    forecaster = rig.parts["forecast"]
    assert isinstance(forecaster, Forecaster)
    began = rig.ledger.run(RUN)
    assert began is not None
    forecaster.unwell = (("ETH/USDT", "exchanges disagree"),)
    rig.live(2)
    forecaster.unwell = ()
    rig.live(1)
    heard = [decode_event(row.event) for row in rig.ledger.events(RUN)]
    health = [event for event in heard if isinstance(event, HealthChanged)]
    state = decode_state(began["config"]["initial_state"])
    told, deaf = (LocalHost(state, PaperBroker(CostConfig()), health=one) for one in (health, []))
    bars = {name: one.take(slice(FIRST, FIRST + 3)) for name, one in MARKET.history.bars.items()}
    index = pd.MultiIndex.from_product([[b[0].closed_at for b in SETS[FIRST : FIRST + 3]], NAMES])
    signals = pd.DataFrame({"probability": 0.9}, index=index)
    lived = _reasons(rig)
    for host, same in ((told, True), (deaf, False)):
        report = backtest(bars, signals, state.config, host=host)
        again = [str(d.reason) for d in report.decisions if d.instrument == "ETH/USDT"]
        assert (again == lived["ETH/USDT"]) is same
    assert lived["ETH/USDT"] == ["data", "data", "edge"]


def _reasons(rig: Rig) -> dict[str, list[str]]:
    rows = rig.ledger.decisions(RUN)
    return {name: [row["reason"] for row in rows if row["instrument"] == name] for name in NAMES}


def test_without_the_owner_of_the_book_the_loop_ends(rig: Rig) -> None:
    def away(*_args: Any) -> None:
        raise GetTimeoutError("no answer")

    rig.owners["risk"].handle = away
    with pytest.raises(EnvironmentRefused, match="actor risk must answer"):
        rig.live(1)


def test_outcomes_that_a_resting_monitor_missed_are_judged_when_it_is_back(rig: Rig) -> None:
    rows = [
        {
            "instrument": bar.instrument,
            "closed_at": bar.closed_at,
            "target": "direction",
            "probability": 0.9,
            "model": "m",
        }
        for bars in SETS[FIRST : FIRST + 6]
        for bar in bars
    ]
    epoch = rig.ledger.acquire_epoch("test", "forecasts")
    rig.ledger.add_forecasts("test", epoch, RUN, rows)
    rig.live(2)
    rig.parts["monitor"].failure = ValueError("a bug")
    rig.live(3)
    assert len(rig.ledger.outcomes(RUN)) == 1 * len(NAMES)
    rig.parts["monitor"].failure = None
    rig.seconds += BACK_OFF_S
    rig.parts["monitor"].owner.start = _with_bars(rig, rig.row)  # type: ignore[attr-defined]
    rig.live(1)
    assert len(rig.ledger.outcomes(RUN)) == 5 * len(NAMES)


def _with_bars(rig: Rig, row: int) -> Any:
    owner = rig.parts["monitor"].owner  # type: ignore[attr-defined]

    def start(epoch: int, _bars: Any) -> None:
        bars = [bar for one in SETS[row - 32 : row] for bar in one]
        MonitorActor.start(owner, epoch, bars)

    return start


def _method(name: str) -> str:
    return "observe" if name == "monitor" else "poll"


def test_between_bars_only_what_died_is_begun_anew(rig: Rig) -> None:
    part = rig.parts["forecast"]
    part.failure, part.healed_by_start = ActorDiedError(), 2
    rig.owners["risk"]._epoch = None  # a new life that nobody began
    rig.supervisor.tend()
    assert part.begun == 2
    assert rig.owners["risk"].health() == {"ready": True}
    assert [rig.parts[name].begun for name in ("feed:one", "context", "monitor")] == [1, 1, 1]


def test_all_feeds_work_at_the_same_time(rig: Rig) -> None:
    rig.supervisor.add(Member(name="feed:two", handle=Part(None)))
    rig.live(1)
    polls = [said for said, method in rig.said if method == "poll"]
    assert polls == ["asked"] * 3 + ["answered"] * 3
