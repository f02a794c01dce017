"""What every forecaster must stand: one suite of checks, for the built-in ones and for yours.

>>> from dexml.models.rules import Reversal
>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> def fit(rows, y, seed, folder):
...     return Reversal().fit(rows, y)
>>> mine = Candidate(name="reversal", columns=("return_1",), fit=fit)
>>> with TemporaryDirectory() as folder:
...     bench = Bench(mine, Path(folder))
...     for check in CHECKS.values():
...         check(bench)
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from dexml.errors import DexmlError, ModelError
from dexml.models.base import lookback_of
from dexml.models.bench import HOUR, Bench, Candidate

__all__ = ["CHECKS", "Bench", "Candidate"]


def predicts_a_probability_for_every_row(bench: Bench) -> None:
    """Predict one float64 in (0, 1) for each row, whatever the order; and none of no row."""
    frame = bench.rows[0]
    shuffled = frame.sample(frac=1.0, random_state=1)
    told = bench.ask(bench.forecaster, shuffled).reindex(frame.index)
    bench.expect_same(told, bench.said, "must not depend on the order of the rows")
    bench.ask(bench.forecaster, frame.iloc[:0])


def the_same_seed_gives_the_same_bits(bench: Bench) -> None:
    """Fit twice with one seed and say the same, to the bit."""
    again = bench.ask(bench.fit(*bench.rows), bench.rows[0])
    bench.expect_same(again, bench.said, "must say the same after a fit with the same seed")


def a_row_has_the_same_bits_alone_and_among_all(bench: Bench) -> None:
    """Say of a row what it says of it among others, given as many rows as it looks back."""
    frame, lookback = bench.rows[0], lookback_of(bench.forecaster)
    at = frame.index.get_level_values("closed_at")
    for last in at.unique()[lookback - 1 :: 97]:
        few = frame[(at <= last) & (at > last - lookback * HOUR)]
        told = bench.ask(bench.forecaster, few).loc[[last]]
        bench.expect_same(told, bench.said.loc[[last]], "must not depend on other rows")


def a_second_fit_leaves_the_first_as_it_was(bench: Bench) -> None:
    """Fit on other rows and change nothing of what was fitted before."""
    frame, label = bench.rows
    before = bench.said
    bench.ask(bench.fit(frame, 1.0 - label, seed=1), frame)
    after = bench.ask(bench.forecaster, frame)
    bench.expect_same(after, before, "must not change when another is fitted")


def the_future_changes_nothing(bench: Bench) -> None:
    """Say of a row the same when later rows are not there, and when they are others."""
    frame = bench.rows[0]
    at = frame.index.get_level_values("closed_at")
    for cut in at.unique()[[40, 250, 470]]:
        known = frame[at <= cut]
        truncated = bench.ask(bench.forecaster, known)
        bench.expect_same(truncated, bench.said.loc[known.index], "must not need later rows")
        changed = frame.copy()
        changed[at > cut] = 1e3 * np.random.default_rng(2).normal(size=changed[at > cut].shape)
        told = bench.ask(bench.forecaster, changed).loc[known.index]
        bench.expect_same(told, truncated, "must not change with later rows")


def labels_that_are_not_known_are_not_learnt(bench: Bench) -> None:
    """Learn nothing from rows whose label is unknown, whatever stands in their columns."""
    frame, label = bench.rows
    unknown = label.copy()
    unknown.iloc[-60:] = np.nan
    changed = frame.copy()
    changed.iloc[-60:] = 9.0
    one, two = (bench.ask(bench.fit(rows, unknown), frame) for rows in (frame, changed))
    bench.expect_same(one, two, "must not learn from rows without a label")


def missing_values_are_no_obstacle(bench: Bench) -> None:
    """Fit with a column that is missing throughout and one with holes; predict with others."""
    frame, label = bench.rows
    rng = np.random.default_rng(3)
    frame = frame.mask(rng.random(frame.shape) < 0.2)
    if frame.shape[1] > 1:
        frame.iloc[:, -1] = np.nan
    fitted = bench.fit(frame, label)
    bench.ask(fitted, frame)
    bench.ask(fitted, bench.rows[0])
    bench.ask(bench.forecaster, bench.rows[0] * np.nan)


def a_constant_column_is_no_obstacle(bench: Bench) -> None:
    """Fit with a column that never varies, and predict where it does."""
    frame, label = bench.rows
    frame = frame.assign(**dict.fromkeys(bench.candidate.columns[-1:], 7.0))
    bench.ask(bench.fit(frame, label), bench.rows[0])


def rows_that_teach_nothing_are_refused_or_survived(bench: Bench) -> None:
    """Refuse one class, no label and too few rows in words, or make probabilities all the same."""
    frame, label = bench.rows
    for few in (12, len(frame)):
        for turned in (label * 0.0, label * 0.0 + 1.0, label * np.nan, label):
            if few < len(frame) or turned is not label:
                _survives(bench, frame.iloc[:few], turned.iloc[:few])


def an_instrument_never_seen_is_predicted(bench: Bench) -> None:
    """Say something of an instrument that was not there when it was fitted."""
    renamed = bench.rows[0].rename(index={"BTC/USDT": "NEW/USDT"}, level="instrument")
    bench.ask(bench.forecaster, renamed.sort_index())


def a_missing_column_is_named(bench: Bench) -> None:
    """Refuse rows without a column that it needs, and name it."""
    for column in bench.forecaster.columns:
        try:
            bench.forecaster.predict(bench.rows[0].drop(columns=column))
        except ModelError as error:
            bench.expect(column in str(error), f"must name {column} when it is missing", error)
        else:
            bench.expect(False, f"must refuse rows without {column}", "silence")


def another_process_says_the_same(bench: Bench) -> None:
    """Come back from its files, or from a pickle, in a fresh process with the same bits."""
    frame = bench.rows[0]
    frame.to_pickle(bench.folder / "rows.pickle")
    _ = bench.said  # it is fitted, so its files are there
    if not bench.candidate.load:
        (bench.folder / "pickled").write_bytes(pickle.dumps(bench.forecaster))
    place = bench.place if bench.candidate.load else bench.folder / "pickled"
    path = os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))
    ended = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, str(bench.folder), str(place), bench.candidate.load],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    last = ended.stderr.strip().splitlines()[-1:]
    bench.expect(ended.returncode == 0, "must load in another process", last)
    told = pd.Series(np.load(bench.folder / "said.npy"), frame.index)
    bench.expect_same(told, bench.said, "must say the same in another process")


_ELSEWHERE = """
import pickle, sys
from importlib import import_module
from pathlib import Path
import numpy as np, pandas as pd
folder, place, load = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
if load:
    module, _, name = load.partition(":")
    forecaster = getattr(import_module(module), name)(place)
else:
    forecaster = pickle.loads(place.read_bytes())
np.save(folder / "said.npy", forecaster.predict(pd.read_pickle(folder / "rows.pickle")))
"""


def _survives(bench: Bench, frame: pd.DataFrame, label: pd.Series[float]) -> None:
    try:
        fitted = bench.fit(frame, label)
    except DexmlError:
        return
    bench.ask(fitted, bench.rows[0])


_ALL = (
    predicts_a_probability_for_every_row,
    the_same_seed_gives_the_same_bits,
    a_row_has_the_same_bits_alone_and_among_all,
    a_second_fit_leaves_the_first_as_it_was,
    the_future_changes_nothing,
    labels_that_are_not_known_are_not_learnt,
    missing_values_are_no_obstacle,
    a_constant_column_is_no_obstacle,
    rows_that_teach_nothing_are_refused_or_survived,
    an_instrument_never_seen_is_predicted,
    a_missing_column_is_named,
    another_process_says_the_same,
)
CHECKS: Mapping[str, Callable[[Bench], None]] = {check.__name__: check for check in _ALL}
