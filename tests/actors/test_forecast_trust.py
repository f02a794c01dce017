"""What the owner of the forecasts refuses to load, before it serves anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actors.forecast import ForecastActor
from dexml.errors import ActorNotReady, ModelRefused
from dexml.models.local_signer import LocalSigner
from dexml.models.registry import Registry
from dexml.universe import UniverseConfig
from tests.live_run import CLOSES, NAMES, RUN, VENUES, publish_suite
from tests.model_versions import NOON, Stranger


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("home")
    return home, publish_suite(home)


@pytest.fixture
def home(published: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(published[0], tmp_path / "home"))


def actor(home: Path) -> ForecastActor:
    url = f"sqlite:///{home / 'ledger.sqlite'}"
    return ForecastActor(RUN, str(home), str(home / "store"), url, VENUES, NAMES, UniverseConfig())


def refused(home: Path, digest: str, match: str) -> None:
    one = actor(home)
    with pytest.raises(ModelRefused, match=match):
        one.start(1, digest)
    assert one.health() == {"ready": False, "model": None}
    with pytest.raises(ActorNotReady):
        one.forecast(CLOSES[0])


def test_a_signed_and_whole_model_is_served(home: Path, published: tuple[Path, str]) -> None:
    one = actor(home)
    one.start(1, published[1])
    assert one.health() == {"ready": True, "model": published[1]}


def test_an_unsigned_model_is_not_served(home: Path, published: tuple[Path, str]) -> None:
    digest = Registry.of(home).publish(home / "models" / published[1], {"kind": "suite"})
    refused(home, digest, "must be signed")
    Registry.of(home).sign(digest, Stranger(), NOON)
    refused(home, digest, "by a key that this home trusts")
    Registry.of(home).sign(digest, LocalSigner(home), NOON)
    actor(home).start(1, digest)


def test_a_touched_model_is_not_served(home: Path, published: tuple[Path, str]) -> None:
    booster = next((home / "models" / published[1] / "direction").glob("*.txt"))
    booster.write_bytes(booster.read_bytes()[:-1])
    refused(home, published[1], f"must have the direction/{booster.name} that was published")
