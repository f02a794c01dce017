"""A small training of known material, also as a process that can be killed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from dexml.models.sequence.checkpoint import write_weights
from dexml.models.sequence.training import Material, Schedule, train_network
from tests.dexml.models.sequence.conftest import TINY

LENGTH = TINY.data.sequence_length
CONFIG = replace(TINY, trainer=replace(TINY.trainer, epochs=6, patience=6))


def _material() -> Material:
    rng = np.random.default_rng(0)
    channels = rng.normal(size=(800, 3)).astype(np.float32)
    ends = np.arange(LENGTH - 1, 800)
    trend = np.array([channels[end - 3 : end + 1, 0].sum() for end in ends])
    y = (rng.random(len(ends)) < 1 / (1 + np.exp(-2 * trend))).astype(float)
    return Material(
        channels=channels, ends=ends[:600], y=y[:600], judged=ends[620:], judged_y=y[620:]
    )


MATERIAL = _material()


def train(out: Path, checkpoint: Path | None) -> None:
    learnt = train_network(MATERIAL, CONFIG, Schedule(seed=3, checkpoint=checkpoint))
    write_weights(out, learnt.weights)


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]))
