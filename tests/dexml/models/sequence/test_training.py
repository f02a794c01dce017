from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dexml.errors import ModelError
from dexml.models.sequence.checkpoint import read_checkpoint, read_weights
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.training import Learnt, Progress, Schedule, train_network
from tests.dexml.models.sequence.conftest import TINY
from tests.dexml.models.sequence.long_training import CONFIG, LENGTH, MATERIAL, train

ROOT = Path(__file__).parents[4]


def same(one: Learnt, two: Learnt) -> bool:
    return one.history == two.history and all(
        np.array_equal(one.weights[name], two.weights[name]) for name in one.weights
    )


@pytest.mark.slow
def test_a_training_killed_by_the_machine_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    train(tmp_path / "undisturbed", checkpoint=None)
    disturbed, checkpoint = tmp_path / "disturbed", tmp_path / "checkpoint.pt"
    command = [sys.executable, "-m", "tests.dexml.models.sequence.long_training"]
    for _life in range(2):  # killed twice, each time after it had got further
        before = checkpoint.stat().st_ino if checkpoint.exists() else None
        child = subprocess.Popen([*command, str(disturbed), str(checkpoint)], cwd=ROOT)
        try:
            deadline = time.monotonic() + 120
            while not checkpoint.exists() or checkpoint.stat().st_ino == before:
                assert child.poll() is None, "it ended before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.001)
        finally:
            child.kill()
        assert child.wait() == -signal.SIGKILL
        assert not disturbed.exists()
    subprocess.run([*command, str(disturbed), str(checkpoint)], cwd=ROOT, check=True)
    assert disturbed.read_bytes() == (tmp_path / "undisturbed").read_bytes()


def test_a_training_that_stops_anywhere_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    # Also in the middle of an epoch, and between two checkpoints.
    whole = train_network(MATERIAL, CONFIG, Schedule(seed=3))

    class Enough(Exception):
        pass

    for stop in (1, 7, 23):
        path = tmp_path / f"{stop}.pt"

        def report(progress: Progress, stop: int = stop) -> None:
            if progress.samples == stop * CONFIG.trainer.batch_size:
                raise Enough

        with pytest.raises(Enough):
            train_network(MATERIAL, CONFIG, Schedule(seed=3, checkpoint=path), report)
        steps: list[int] = []
        resumed = train_network(
            MATERIAL, CONFIG, Schedule(seed=3, checkpoint=path), lambda p, s=steps: s.append(1)
        )
        assert same(resumed, whole)
        skipped = 0 if stop == 1 else (stop - 1) // 5 * 5
        assert len(steps) == whole.samples // CONFIG.trainer.batch_size - skipped


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    train_network(MATERIAL, CONFIG, Schedule(seed=3, checkpoint=path))
    fresh = train_network(MATERIAL, CONFIG, Schedule(seed=4))
    assert same(train_network(MATERIAL, CONFIG, Schedule(seed=4, checkpoint=path)), fresh)


def test_a_broken_checkpoint_is_refused_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    path, canary = tmp_path / "checkpoint.pt", tmp_path / "canary"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(canary),)

    torch.save({"known_by": Payload()}, path)
    with pytest.raises(ModelError, match="must be whole"):
        read_checkpoint(path, "")
    assert not canary.exists()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="must be whole"):
        read_checkpoint(path, "")


def test_a_training_leaves_the_generators_and_threads_of_its_caller_alone() -> None:
    torch.manual_seed(1)
    threads, wanted = torch.get_num_threads(), torch.rand(3)
    torch.manual_seed(1)
    train_network(MATERIAL, CONFIG, Schedule(seed=3, max_samples=640))
    assert torch.equal(torch.rand(3), wanted)
    assert torch.get_num_threads() == threads


def test_training_stops_early_on_the_block_and_keeps_the_best_epoch() -> None:
    # Labels without any sense: the block gets worse while the training windows are learnt by heart.
    rng = np.random.default_rng(0)
    noise = replace(
        MATERIAL,
        y=(rng.random(len(MATERIAL.y)) < 0.5).astype(float),
        judged_y=(rng.random(len(MATERIAL.judged_y)) < 0.5).astype(float),
    )
    trainer = replace(TINY.trainer, epochs=200, patience=2, max_samples=None)
    config = SequenceConfig(model=TINY.model, data=TINY.data, trainer=trainer)
    learnt = train_network(noise, config, Schedule())
    losses = np.array(learnt.history)
    assert len(losses) < 60
    assert int(np.argmin(losses)) == len(losses) - 1 - 2
    few = replace(config, trainer=replace(trainer, epochs=int(np.argmin(losses)) + 1))
    best = train_network(noise, few, Schedule())
    assert all(np.array_equal(best.weights[name], learnt.weights[name]) for name in best.weights)


def test_two_threads_give_two_times_the_same_bits() -> None:
    few = Schedule(seed=3, num_cpus=2, max_samples=1_280)
    assert same(train_network(MATERIAL, CONFIG, few), train_network(MATERIAL, CONFIG, few))


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"device": "auto"}])
def test_other_ways_to_run_learn_the_same_thing(change: dict[str, str]) -> None:
    plain = train_network(MATERIAL, CONFIG, Schedule(seed=3))
    config = replace(CONFIG, trainer=replace(CONFIG.trainer, **change))
    other = train_network(MATERIAL, config, Schedule(seed=3))
    assert min(other.history) == pytest.approx(min(plain.history), abs=0.03)
    assert other.samples == plain.samples


@pytest.mark.soak
def test_a_compiled_network_learns_the_same_thing() -> None:
    config = replace(CONFIG, trainer=replace(CONFIG.trainer, compile=True))
    compiled, plain = (train_network(MATERIAL, one, Schedule(seed=3)) for one in (config, CONFIG))
    assert min(compiled.history) == pytest.approx(min(plain.history), abs=0.03)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_that_is_not_there_is_refused() -> None:
    config = replace(CONFIG, trainer=replace(CONFIG.trainer, device="cuda"))
    with pytest.raises(ModelError, match=r"trainer\.device must be there, was no CUDA device"):
        train_network(MATERIAL, config, Schedule())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_learns_the_same_thing() -> None:
    config = replace(CONFIG, trainer=replace(CONFIG.trainer, device="cuda"))
    there, here = (train_network(MATERIAL, one, Schedule(seed=3)) for one in (config, CONFIG))
    assert min(there.history) == pytest.approx(min(here.history), abs=0.05)


def test_the_weights_are_read_back_as_they_were(tmp_path: Path) -> None:
    train(tmp_path / "weights.npz", checkpoint=None)
    learnt = train_network(MATERIAL, CONFIG, Schedule(seed=3))
    held = read_weights(tmp_path / "weights.npz")
    assert held.keys() == learnt.weights.keys()
    assert all(np.array_equal(held[name], learnt.weights[name]) for name in held)
    assert MATERIAL.ends.min() == LENGTH - 1
