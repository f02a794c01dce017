"""A small dense network, smooth where trees are steps; applied by numpy, one row like another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from dexml.domain import Floats

__all__ = ["DenseNetwork", "DenseSettings", "Scaling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseSettings:
    """The shape of a network and how much it learns.

    Attributes
    ----------
    widths : tuple of int
        Of the hidden layers.
    dropout, weight_decay : float
        What keeps it from learning rows by heart: share of signals left out, AdamW's decay.
    learning_rate : float
        The highest of one cycle (OneCycleLR).
    epochs, most_steps, batch_rows : int
        Passes over the rows, in batches; fewer where they are more than so many steps, so that a
        large fit takes no longer than a middle one.
    """

    widths: tuple[int, ...] = (128, 64)
    dropout: float = 0.5
    weight_decay: float = 0.1
    learning_rate: float = 2e-3
    epochs: int = 6
    most_steps: int = 2_000
    batch_rows: int = 512

    def steps(self, n_rows: int) -> int:
        """Return how many batches are learnt from.

        Examples
        --------
        >>> DenseSettings().steps(84_600), DenseSettings().steps(450_000)
        (991, 2000)
        """
        return max(1, min(self.most_steps, self.epochs * n_rows // self.batch_rows))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaling:
    """What makes columns comparable, learnt on training rows; each of shape (n_columns,).

    Attributes
    ----------
    low, high : ndarray
        Values beyond are taken for these: what was never seen is not guessed at.
    centre, spread : ndarray
        Mean and standard deviation within them; a value that is not known is at the centre.
    """

    low: Floats
    high: Floats
    centre: Floats
    spread: Floats

    @classmethod
    def fit(cls, values: Floats, beyond: float = 0.001) -> Self:
        """Learn from training rows, shape (n, n_columns); NaN is not known."""
        known = np.where(np.isfinite(values), values, np.nan)
        known[0, np.isnan(known).all(axis=0)] = 0.0  # a column that nobody ever filled
        low, high = np.nanquantile(known, [beyond, 1.0 - beyond], axis=0)
        inside = np.clip(known, low, high)
        spread = np.nanstd(inside, axis=0)
        centre = np.nanmean(inside, axis=0)
        return cls(low=low, high=high, centre=centre, spread=np.where(spread > 0, spread, 1.0))

    def apply(self, values: Floats) -> Floats:
        """Return finite values near 0, shape (n, n_columns)."""
        inside = np.clip(values, self.low, self.high)
        return np.asarray(np.nan_to_num((inside - self.centre) / self.spread))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseNetwork:
    """Layers of sums with a smooth bend (SiLU) between them, and a probability at the end.

    Attributes
    ----------
    weights : tuple of ndarray
        Of each layer, shape (n_in, n_out); the last has one output.
    biases : tuple of ndarray
        Of each layer, shape (n_out,).
    surest : tuple of float
        Lowest and highest log-odds: it is never surer than it was on the rows it learnt from.

    Examples
    --------
    >>> plain = Scaling.fit(np.array([[0.0], [2.0]]))
    >>> layer = (np.array([[1.0]]),)
    >>> even = (np.array([0.0]),)
    >>> one = DenseNetwork(scaling=plain, weights=layer, biases=even, surest=(-5.0, 5.0))
    >>> one.predict(np.array([[1.0], [np.nan]])).tolist()
    [0.5, 0.5]
    """

    scaling: Scaling
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    surest: tuple[float, float]

    def predict(self, values: Floats) -> Floats:
        """Return probabilities, shape (n,); a row has the same bits in any batch."""
        odds = np.clip(self.log_odds(self.scaling.apply(values)), *self.surest)
        return np.asarray(1.0 / (1.0 + np.exp(-odds)))

    def log_odds(self, scaled: Floats) -> Floats:
        """Return what the layers say of scaled rows, shape (n,)."""
        # a product for each row: those of a whole batch have other bits in batches of other sizes
        signal = scaled[:, None, :]
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if depth:
                signal = signal / (1.0 + np.exp(-signal))
            signal = np.matmul(signal, weight) + bias
        return np.asarray(signal[:, 0, 0])

    def save(self, path: Path) -> None:
        """Write it to a file without pickle, the same bytes for the same network."""
        parts = {f"weight_{k}": one for k, one in enumerate(self.weights)}
        parts |= {f"bias_{k}": one for k, one in enumerate(self.biases)}
        parts |= {name: getattr(self.scaling, name) for name in Scaling.__slots__}
        with path.open("wb") as file:
            np.savez(file, surest=np.array(self.surest), **parts)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; nothing is unpickled."""
        with np.load(path, allow_pickle=False) as found:
            n_layers = sum(name.startswith("weight_") for name in found.files)
            low, high = found["surest"].tolist()
            return cls(
                scaling=Scaling(**{name: found[name] for name in Scaling.__slots__}),
                weights=tuple(found[f"weight_{k}"] for k in range(n_layers)),
                biases=tuple(found[f"bias_{k}"] for k in range(n_layers)),
                surest=(low, high),
            )
