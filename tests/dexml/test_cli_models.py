"""`dexml models` as a person uses it: list, verify, promote, roll back, sign, trust, prune."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dexml.ledger import Ledger
from dexml.models.local_signer import LocalSigner
from dexml.models.registry import Registry
from tests.dexml.conftest import Dexml
from tests.model_versions import NOON, Stranger, signed, write_model
from tests.refusals import nothing_left, one_sentence

SCORES = {
    "direction": {"log_loss": 0.6891, "base_rate_log_loss": 0.6931, "accuracy": 0.54},
    "ensemble": {"log_loss": 0.6888, "base_rate_log_loss": 0.6931, "accuracy": 0.541},
}
DATA = {"from": "2022-11-01T00:00:00+00:00", "to": "2023-12-01T00:00:00+00:00"}


@pytest.fixture
def home(empty: Path) -> Path:
    return empty / ".dexml"


@pytest.fixture
def registry(home: Path) -> Registry:
    return Registry.of(home)


def suite(registry: Registry, home: Path, name: str, after_s: float = 0, **more: object) -> str:
    manifest = {"kind": "suite", "data": DATA, "scores": SCORES, **more}
    return signed(registry, home, write_model(home / "made" / name, a=name), manifest, after_s)


def test_versions_are_listed_with_what_speaks_for_them(
    dexml: Dexml, registry: Registry, home: Path
) -> None:
    first, second = suite(registry, home, "a"), suite(registry, home, "b", 60)
    assert dexml("models", "promote", first).code == 0
    said = dexml("models", "list", COLUMNS="160")
    assert said.code == 0
    for word in (first[:12], "champion", "challenger", "2022-11-01", "2023-12-01", "this home"):
        assert word in said.out
    assert "direction 0.6891 (0.6931)" in said.out
    result = dexml("models", "list", "--json").last_line()
    assert [row["digest"] for row in result["models"]] == [first, second]
    assert result["models"][0]["scores"]["ensemble"]["log_loss"] == 0.6888
    assert result["champions"] == {"suite": first}
    assert [change["kind"] for change in result["changes"]] == ["promotion"]


def test_a_list_fits_a_narrow_terminal(dexml: Dexml, registry: Registry, home: Path) -> None:
    digest = suite(registry, home, "a")
    said = dexml("models", "list")
    assert digest[:12] in said.out
    assert "ensemble 0.6888 (0.6931)" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_a_promotion_and_its_rollback_are_told_and_kept(
    dexml: Dexml, registry: Registry, home: Path
) -> None:
    first, second = suite(registry, home, "a"), suite(registry, home, "b")
    assert dexml("models", "promote", first[:8]).code == 0
    said = dexml("models", "promote", second[:8], "--why", "better on the last month")
    assert f"{second[:12]} is champion of suite in place of {first[:12]}" in said.out
    back = dexml("models", "rollback", "--why", "worse than it seemed", "--json")
    result = back.last_line()
    assert (back.code, result["kind"], result["model"], result["was"]) == (
        0,
        "rollback",
        first,
        second,
    )
    told = dexml("models", "list", "--history", COLUMNS="200").out
    assert "worse than it seemed" in told
    assert told.index("better on the last month") < told.index("worse than it seemed")
    assert registry.stages.read().champion("suite") == first


def test_the_ledger_of_the_home_follows(dexml: Dexml, registry: Registry, home: Path) -> None:
    digest = suite(registry, home, "a", members={"direction": "d" * 64})
    url = f"sqlite:///{home / 'ledger.sqlite'}"
    Ledger.open(url).close()
    assert dexml("models", "promote", digest).code == 0
    with Ledger.open(url) as ledger:
        rows = {(row["digest"], row["target"]): row for row in ledger.models()}
    assert {key: row["status"] for key, row in rows.items()} == {
        (digest, "ensemble"): "champion",
        ("d" * 64, "direction"): "champion",
    }
    assert json.loads(rows[(digest, "ensemble")]["manifest"])["scores"] == SCORES["ensemble"]


def test_verify_says_which_version_is_not_what_was_published(
    dexml: Dexml, registry: Registry, home: Path
) -> None:
    sound, bad = suite(registry, home, "a"), suite(registry, home, "b")
    assert dexml("models", "verify").code == 0
    (home / "models" / bad / "a.txt").write_text("B")
    said = dexml("models", "verify")
    assert said.code == 1
    assert f"{sound[:12]}  sound" in said.out
    assert f"{bad[:12]}  model {bad[:12]} must have the a.txt that was published" in said.out
    assert "2 versions verified, 1 refused." in said.out
    assert dexml("models", "verify", sound).code == 0
    one = dexml("models", "verify", bad, "--json")
    assert (one.code, one.last_line()["refused"]) == (1, 1)


def test_what_must_not_be_loaded_is_not_promoted(
    dexml: Dexml, registry: Registry, home: Path
) -> None:
    bad = suite(registry, home, "a")
    (home / "models" / bad / "a.txt").write_text("A")
    unsigned = registry.publish(write_model(home / "made" / "b", a="b"), {"kind": "suite"})
    for digest, sentence in ((bad, "a.txt that was published"), (unsigned, "must be signed")):
        said = dexml("models", "promote", digest, "--json")
        assert said.code == 3
        assert sentence in said.err
        assert said.last_line()["exit_code"] == 3
        one_sentence(said.err)
    assert registry.stages.read().changes == ()


def test_a_version_of_known_origin_is_signed_and_then_promoted(
    dexml: Dexml, registry: Registry, home: Path
) -> None:
    digest = registry.publish(write_model(home / "made", a="a"), {"kind": "suite"})
    said = dexml("models", "sign", digest[:8], "--json")
    assert said.last_line() == {"digest": digest, "signed_by": LocalSigner(home).public_key}
    assert dexml("models", "promote", digest[:8]).code == 0


def test_the_key_of_another_machine_is_trusted_by_name_and_no_longer(
    dexml: Dexml, registry: Registry, home: Path
) -> None:
    stranger = Stranger()
    digest = registry.publish(write_model(home / "made", a="a"), {"kind": "suite"})
    registry.sign(digest, stranger, NOON)
    key = stranger.sign(b"", b"").key
    assert dexml("models", "verify").code == 1
    assert dexml("models", "trust", key, "--name", "build machine").code == 0
    assert f"{key}  build machine" in dexml("models", "trust").out
    assert dexml("models", "verify").code == 0
    assert dexml("models", "trust", key, "--remove", "--json").last_line() == {"trusted": {}}
    assert dexml("models", "verify").code == 1


def test_pruning_keeps_what_runs_need(dexml: Dexml, registry: Registry, home: Path) -> None:
    made = [suite(registry, home, str(k), k) for k in range(4)]
    assert dexml("models", "prune").code == 3  # without a ledger nobody knows what runs need
    with Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}") as ledger:
        epoch = ledger.acquire_epoch("forecast", "test")
        row = {"instrument": "BTC/USDT", "closed_at": NOON, "target": "ensemble"}
        row |= {"probability": 0.5, "model": made[0]}
        ledger.add_forecasts("forecast", epoch, "run", [row], [])
    dry = dexml("models", "prune", "--keep", "1", "--dry-run", "--json").last_line()
    assert (sorted(dry["removed"]), dry["stay"]) == (sorted(made[1:3]), 2)
    assert len(registry.versions()) == 4
    said = dexml("models", "prune", "--keep", "1")
    assert "2 versions removed, 2 stay." in said.out
    assert set(registry.versions()) == {made[0], made[3]}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("promote", "0" * 64), 2, "must name one version"),
        (("promote", "abc"), 2, "must have at least 6 digits"),
        (("promote",), 2, "Missing argument"),
        (("rollback",), 2, "must have had a champion before the present one"),
        (("rollback", "--slot", "volume"), 2, "slot volume must have had a champion"),
        (("verify", "0" * 64), 2, "must name one version"),
        (("trust", "ada"), 2, "must be 64 hexadecimal digits"),
        (("trust", "1" * 64), 2, "must not be empty"),
        (("prune", "--keep", "0"), 2, "--keep"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    dexml: Dexml,
    registry: Registry,
    home: Path,
    arguments: tuple[str, ...],
    code: int,
    sentence: str,
) -> None:
    suite(registry, home, "a")
    Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}").close()
    said = dexml("models", *arguments)
    assert (said.code, said.out) == (code, "")
    assert sentence in said.err
    one_sentence(said.err)


@pytest.mark.parametrize("command", ["list", "verify", "rollback"])
def test_a_home_without_models_says_how_to_get_some(
    dexml: Dexml, empty: Path, command: str
) -> None:
    said = dexml("models", command)
    assert (said.code, said.out) == (3, "")
    assert "must hold a model, was empty. Run dexml demo first" in said.err
    nothing_left(empty)


def test_a_key_that_others_can_read_is_an_unsafe_set_up(
    dexml: Dexml, registry: Registry, home: Path
) -> None:
    suite(registry, home, "a")
    (home / "keys" / "models.pem").chmod(0o644)
    digest = registry.publish(write_model(home / "made" / "b", a="b"), {"kind": "suite"})
    said = dexml("models", "sign", digest)
    assert said.code == 78
    assert "must have mode 0600, was 0644" in said.err
    (home / "trust.json").chmod(0o666)
    assert dexml("models", "verify").code == 1
    assert dexml("models", "promote", digest).code == 78


def test_models_in_a_bucket_are_listed_promoted_and_verified(
    bucket: str, dexml: Dexml, home: Path
) -> None:
    registry = Registry.of(home, bucket)
    digest = suite(registry, home, "a")
    where = {"DEXML_REGISTRY_URI": bucket}
    assert dexml("models", "promote", digest[:8], **where).code == 0
    result = dexml("models", "list", "--json", **where).last_line()
    assert [(row["digest"], row["stage"]) for row in result["models"]] == [(digest, "champion")]
    assert dexml("models", "verify", **where).code == 0
    assert dexml("models", "list").code == 3  # the home itself holds none


def test_a_bucket_that_cannot_be_reached_is_not_called_tampered_with(
    bucket: str, dexml: Dexml, home: Path
) -> None:
    digest = suite(Registry.of(home, bucket), home, "a")
    for wrong in ({"AWS_SECRET_ACCESS_KEY": ""}, {"DEXML_REGISTRY_URI": _nobody(bucket)}):
        said = dexml("models", "promote", digest, **{"DEXML_REGISTRY_URI": bucket, **wrong})
        assert said.code == 3
        assert "must be within reach" in said.err
        one_sentence(said.err)


def _nobody(bucket: str) -> str:
    """Return the address of a server that nobody runs."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:9", bucket)
