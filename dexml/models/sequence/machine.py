"""Where a network runs: device, threads, precision; all of it put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch

from dexml.errors import ModelError
from dexml.models.sequence.config import TrainerConfig

__all__ = ["device_of", "mixed_seed", "on_threads", "precision_on"]


def device_of(config: TrainerConfig) -> torch.device:
    """Return the device that the configuration asks for.

    Raises
    ------
    ModelError
        If it asks for CUDA and there is none.

    Examples
    --------
    >>> device_of(TrainerConfig(device="cpu"))
    device(type='cpu')
    """
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        fix = "Write device = 'auto', or install a torch with CUDA."
        raise ModelError("trainer.device", "must be there", "no CUDA device", fix)
    return torch.device("cuda" if there and config.device != "cpu" else "cpu")


def precision_on(device: torch.device, config: TrainerConfig) -> AbstractContextManager[object]:
    """Return the context in which products are made in the precision that was asked for.

    Examples
    --------
    >>> with precision_on(torch.device("cpu"), TrainerConfig(precision="bf16")):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.bfloat16
    """
    half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16) if half else nullcontext()


@contextmanager
def on_threads(n: int, seed: int | None = None) -> Iterator[None]:
    """Run on `n` threads and with generators of its own; the caller's are as before afterwards.

    Examples
    --------
    >>> before = torch.get_num_threads()
    >>> with on_threads(1, seed=7):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    with torch.random.fork_rng(enabled=seed is not None):
        try:
            torch.set_num_threads(n)
            if seed is not None:
                torch.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(before)


def mixed_seed(*parts: int) -> int:
    """Return one seed made of several numbers; different numbers give unrelated seeds.

    Examples
    --------
    >>> mixed_seed(0, 1) == mixed_seed(0, 1), mixed_seed(0, 1) == mixed_seed(1, 0)
    (True, False)
    """
    return int(np.random.SeedSequence(list(parts)).generate_state(1, np.uint64)[0] >> 1)
