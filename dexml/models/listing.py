"""What a list of model versions shows of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from dexml.errors import ModelError, UnsafeSetup
from dexml.models.registry import Registry
from dexml.models.stages import SUITE, Stage, Standing, slot_of

__all__ = ["rows_of", "verdicts"]

Row = dict[str, Any]
_RANK = [str(stage) for stage in (Stage.CHAMPION, Stage.CHALLENGER, Stage.RETIRED)]
_UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


def rows_of(
    registry: Registry, standing: Standing, now: datetime, *, everything: bool = False
) -> list[Row]:
    """Return what there is to say of each version, champions first, then the newest first.

    Parameters
    ----------
    everything : bool
        Also the models that suites were made from. Their stage is the best of their suites'.

    Returns
    -------
    list of dict
        digest, slot, stage, targets, trained_on [first, last], scores by target, signed_by (a
        name, or "" with the reason in `fault`), key, signed_at, age, facts. Signature and files
        are not verified: that is what `verdicts` is for.
    """
    trusted = registry.trust.trusted()
    rows = [_row(registry, digest, standing, trusted, now) for digest in registry.versions()]
    _inherit(rows)
    if not everything:
        rows = [row for row in rows if not row["part_of"]]
    rows.sort(key=lambda row: row["signed_at"], reverse=True)
    return sorted(rows, key=lambda row: _RANK.index(row["stage"]))


def verdicts(registry: Registry, digests: Iterable[str]) -> list[Row]:
    """Verify versions where they are kept; return digest, sound and the fault of each."""
    return [_verdict(registry, digest) for digest in digests]


def _verdict(registry: Registry, digest: str) -> Row:
    try:
        registry.verify(digest)
    except (ModelError, UnsafeSetup) as error:
        return {"digest": digest, "sound": False, "fault": str(error)}
    return {"digest": digest, "sound": True, "fault": ""}


def _row(
    registry: Registry, digest: str, standing: Standing, trusted: Mapping[str, str], now: datetime
) -> Row:
    row: Row = {"digest": digest, "slot": "", "stage": str(Stage.CHALLENGER), "part_of": []}
    row |= {"targets": [], "members": {}, "trained_on": [None, None], "scores": {}, "facts": {}}
    row |= {"signed_by": "", "key": None, "signed_at": "", "age": "", "fault": ""}
    try:
        manifest, seal = registry.describe(digest)
    except ModelError as error:
        return row | {"fault": error.problem}
    slot, at = slot_of(manifest), str(seal.facts.get("signed_at", ""))
    key = None if seal.signature is None else seal.signature.key
    data = manifest.get("data", {})
    return row | {
        "slot": slot,
        "stage": str(standing.stage(slot, digest)),
        "targets": _targets(manifest),
        "members": manifest.get("members", {}),
        "trained_on": [data.get("from"), data.get("to")],
        "scores": _scores(slot, manifest.get("scores", {})),
        "facts": dict(seal.facts),
        "signed_by": trusted.get(key or "", ""),
        "key": key,
        "signed_at": at,
        "age": _age(now - datetime.fromisoformat(at)) if at else "",
        "fault": _unvouched(key, trusted),
    }


# A model that is part of a suite serves as the suite does.
def _inherit(rows: list[Row]) -> None:
    by_digest = {row["digest"]: row for row in rows}
    for suite in rows:
        for digest in suite["members"].values():
            if digest in by_digest:
                by_digest[digest]["part_of"].append(suite["digest"])
    for row in rows:
        own = [] if row["stage"] == Stage.CHALLENGER else [row["stage"]]
        stages = own + [by_digest[one]["stage"] for one in row["part_of"]]
        row["stage"] = min(stages, key=_RANK.index, default=row["stage"])


def _targets(manifest: Mapping[str, Any]) -> list[str]:
    if slot_of(manifest) == SUITE:
        return sorted(manifest.get("members", {}))
    return [str(manifest["target"])] if "target" in manifest else []


def _scores(slot: str, scores: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    if "forecaster" in scores and "base_rate" in scores:  # of one target: by who made them
        own, base = scores["forecaster"]["log_loss"], scores["base_rate"]["log_loss"]
        return {slot: {"log_loss": own, "base_rate_log_loss": base}}
    return {
        name: {key: one[key] for key in ("log_loss", "base_rate_log_loss")}
        for name, one in scores.items()
        if isinstance(one, Mapping) and {"log_loss", "base_rate_log_loss"} <= one.keys()
    }


def _unvouched(key: str | None, trusted: Mapping[str, str]) -> str:
    if key is None:
        return "unsigned"
    return "" if key in trusted else f"unknown key {key[:12]}"


def _age(passed: timedelta) -> str:
    for unit, name in _UNITS:
        if passed >= unit:
            return f"{passed // unit} {name}"
    return "now"
