"""A fitted CNN-LSTM as plain files: weights as arrays, everything else as JSON, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.ensemble import Stacker
from dexml.errors import ModelError
from dexml.models.flat import FILE, FORMAT
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.losses import posterior
from dexml.models.sequence.windows import Scaler, lay_out

if TYPE_CHECKING:
    from dexml.models.sequence.network import CnnLstm

__all__ = ["KIND", "MEMBER", "WEIGHTS", "SequenceForecaster", "TrainedNetwork"]

Floats = NDArray[np.float64]

KIND = "sequence"
MEMBER = "cnn_lstm"
WEIGHTS = "network.npz"
_EVEN = (1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedNetwork:
    """A network and all that it takes to make probabilities of rows.

    Attributes
    ----------
    columns : tuple of str
        Panel columns, in the order of the fit.
    step : Timedelta
        Distance of two bars that follow one another.
    """

    columns: tuple[str, ...]
    step: pd.Timedelta
    config: SequenceConfig
    scaler: Scaler
    network: CnnLstm

    @classmethod
    def build(
        cls, values: Mapping[str, Any], config: SequenceConfig, weights: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Build a network from `to_dict`, its configuration and its weights.

        Raises
        ------
        ModelError
            If the weights are not those of the configuration.
        """
        import torch

        from dexml.models.sequence.network import CnnLstm

        scaler = Scaler.from_dict(values["scaler"])
        network = CnnLstm(scaler.n_channels, config.model)
        try:
            network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        except RuntimeError as error:
            was = str(error).splitlines()[-1].strip()
            raise ModelError("weights", "must fit the network", was, "Fit again.") from error
        return cls(
            columns=tuple(values["columns"]),
            step=pd.Timedelta(values["step_ns"], unit="ns"),
            config=config,
            scaler=scaler,
            network=network.eval(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what `build` needs besides the configuration and the weights."""
        return {
            "columns": list(self.columns),
            "step_ns": self.step.value,
            "scaler": {
                name: getattr(self.scaler, name) for name in ("means", "factors", "masked", "clip")
            },
        }

    def predict(self, frame: pd.DataFrame, wanted: NDArray[np.bool_] | None = None) -> Floats:
        """Return what the network says at the odds of its training; NaN where no window ends.

        With class weights these odds are even. They are left so: a training that lacks a block has
        too few ones where the block has many, so its own base rate would speak against the block,
        and whoever weighs forecasts out of fold would turn them over. Calibration adds one base.

        Window by window and on one thread: in a batch, or on more threads, a row may have other
        bits.

        Parameters
        ----------
        wanted : ndarray of bool, optional
            Rows to say something about; by default all.
        """
        import torch

        from dexml.models.sequence.machine import on_threads

        length = self.config.data.sequence_length
        tape = lay_out(frame, self.columns, self.step)
        channels = torch.from_numpy(self.scaler.apply(tape.values))
        out, ends = np.full(len(frame), np.nan), tape.ends(length)
        if wanted is not None:
            ends = ends[wanted[tape.rows[ends]]]
        with on_threads(1), torch.inference_mode():
            logits = [
                float(self.network(channels[end + 1 - length : end + 1].T.contiguous()[None]))
                for end in ends.tolist()
            ]
        gamma = self.config.balancing.focal_gamma
        out[tape.rows[ends]] = posterior(logits, gamma, _EVEN)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceForecaster:
    """The CNN-LSTM of one target, as `fit_sequence` leaves it in a folder.

    Attributes
    ----------
    target : str
        What it predicts.
    instruments : tuple of str
        Those it was fitted on; it is asked about others in the same way.
    blend : Stacker
        Calibration of what the network says, learnt out of fold.
    folder : Path
        Where it came from.
    """

    target: str
    instruments: tuple[str, ...]
    trained: TrainedNetwork
    blend: Stacker
    folder: Path

    @property
    def columns(self) -> tuple[str, ...]:
        return self.trained.columns

    @property
    def lookback(self) -> int:
        """Rows of an instrument, its own among them, that a forecast needs."""
        return self.trained.config.data.sequence_length

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a forecaster; nothing is unpickled.

        Raises
        ------
        ModelError
            If the folder holds no CNN-LSTM of this format.
        """
        from dexml.models.sequence.checkpoint import read_weights

        if not (folder / FILE).is_file():
            raise ModelError("model folder", f"must hold {FILE}", folder.name, "Fit it again.")
        values = json.loads((folder / FILE).read_text())
        if (values["format"], values.get("kind")) != (FORMAT, KIND):
            was = f"{values.get('kind')} {values['format']}"
            raise ModelError("model format", f"must be {KIND} {FORMAT}", was, "Fit it again.")
        config = SequenceConfig.from_dict(values["config"])
        return cls(
            target=values["target"],
            instruments=tuple(values["instruments"]),
            trained=TrainedNetwork.build(values["network"], config, read_weights(folder / WEIGHTS)),
            blend=Stacker.from_dict(values["blend"]),
            folder=folder,
        )

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n_rows,), that depend on the last `lookback` rows only.

        A row before which the frame does not hold `lookback` - 1 bars of its instrument without a
        hole is NaN: it is not asked to speak of what it cannot see.

        Raises
        ------
        ModelError
            If a column is missing.
        """
        said = self.trained.predict(frame)
        return self.blend.predict(pd.DataFrame({MEMBER: said}, index=frame.index))
