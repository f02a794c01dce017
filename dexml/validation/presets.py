"""Named walk-forward schedules, in bars, so that one name means the same at every timeframe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from dexml.errors import ConfigError
from dexml.validation.splits import Split, bar_step, walk_forward

__all__ = ["PRESETS", "WalkForward", "preset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForward:
    """A schedule; windows step by what they judge, so each row is judged once.

    Attributes
    ----------
    train, test : int
        Bars learnt from and judged by each window.
    least : int
        Bars that are enough for the first window.
    anchored : bool
        Whether every window learns from the very beginning; `train` is then not used.
    """

    train: int
    test: int
    least: int
    anchored: bool = False

    def __post_init__(self) -> None:
        for name in ("train", "test", "least"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"walk-forward.{name}", "must be at least 1", getattr(self, name), "Count bars."
                )
        if self.least > self.train:
            raise ConfigError(
                "walk-forward.least",
                f"must be at most train = {self.train}",
                self.least,
                "The first window cannot need more than all later ones.",
            )

    def splits(
        self, closed_at: Any, *, horizon: int = 1, look_back: int = 0, embargo: int = 0
    ) -> list[Split]:
        """Return the windows; `horizon` + `look_back` bars are purged before the embargo.

        Parameters
        ----------
        closed_at : array-like of instants, shape (n_rows,)
        horizon, look_back : int
            Bars that a label reaches ahead, and bars that it looks back at.
        embargo : int
            Further bars left out.

        Raises
        ------
        DataError
            If the history is too short for one window.

        Examples
        --------
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=400)
        >>> [len(window.train) for window in PRESETS["seed"].splits(days)]
        [100, 130, 160, 190, 220, 250, 252, 252, 252, 252]
        """
        bar = bar_step(closed_at)
        windows = walk_forward(
            closed_at,
            bar * self.train,
            bar * self.test,
            purge=bar * (horizon + look_back),
            embargo=bar * embargo,
            anchored=self.anchored,
            least=bar * self.least,
        )
        return list(windows)


PRESETS: Mapping[str, WalkForward] = MappingProxyType(
    {
        "hourly": WalkForward(train=8_760, test=720, least=8_760),
        "anchored": WalkForward(train=8_760, test=720, least=4_380, anchored=True),
        "seed": WalkForward(train=252, test=30, least=100),
    }
)


def preset(name: str) -> WalkForward:
    """Return the schedule of that name.

    Raises
    ------
    ConfigError
        If there is none.

    Examples
    --------
    >>> preset("seed").test
    30
    """
    if name not in PRESETS:
        raise ConfigError("preset", f"must be one of {', '.join(PRESETS)}", name, "Choose one.")
    return PRESETS[name]
