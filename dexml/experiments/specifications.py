"""What a suite is made of: one model for each target, and a joint one for the ensemble."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dexml.domain import Target
from dexml.features.panel import view
from dexml.models.profiles import PROFILES
from dexml.models.recipe import Recipe
from dexml.models.tabular import FitSpec
from dexml.targets import TARGETS

__all__ = ["DIRECTIONAL", "JOINT", "SEQUENCE", "VOTERS", "specifications"]

JOINT = "joint"
SEQUENCE = "cnn_lstm"
DIRECTIONAL = ("direction", "sentiment", "macro")
VOTERS = (*DIRECTIONAL, JOINT, SEQUENCE)
"""Members that speak of the direction, and so may take part in the ensemble."""
EMBARGO_BARS = 24


def specifications(
    columns: tuple[str, ...],
    seed: int,
    targets: Iterable[str] = tuple(Target),
    recipe: Recipe | None = None,
) -> dict[str, FitSpec]:
    """Return what is to be fitted from the columns of a panel; a target without inputs is absent.

    Each target has a view of its own. Where there are news or macro columns, the ensemble also has
    a joint member that sees the direction through all views at once, for what only shows together.
    A recipe with `sequence` enabled adds the CNN-LSTM, which sees the view of the direction.

    Parameters
    ----------
    targets : iterable of str
        Names in `dexml.targets.TARGETS`; by default the five that every suite has.
    """
    recipe = recipe or Recipe()
    views = {str(name): view(TARGETS[name].view, columns) for name in targets}
    wanted = {name: seen for name, seen in views.items() if seen}
    plain = FitSpec(
        target="",
        columns=(),
        seed=seed,
        profile=recipe.profile,
        n_folds=PROFILES[recipe.profile].n_folds,
        horizon=recipe.horizon,
        embargo_bars=max(EMBARGO_BARS, recipe.horizon),
    )
    specs = {name: replace(plain, target=name, columns=seen) for name, seen in wanted.items()}
    told = {column for name in DIRECTIONAL for column in wanted.get(name, ())}
    joint = tuple(column for column in columns if column in told)
    if joint and joint not in wanted.values():
        specs[JOINT] = replace(plain, target=str(Target.DIRECTION), columns=joint)
    direction = specs.get(str(Target.DIRECTION))
    if recipe.sequence.enabled and direction is not None:
        specs[SEQUENCE] = replace(direction, sequence=recipe.sequence)
    return specs
