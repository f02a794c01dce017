"""What is drawn of a validation: fans of simulations, what PBO saw, folds in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

__all__ = ["fan_chart", "fold_timeline", "logit_bars"]

_WIDTH, _RIGHT, _HEIGHT = 720, 660, 190


def fan_chart(fan: Mapping[str, Any], unit: str) -> Markup:
    """Return bands between the levels of a fan, and the middle one as a line.

    Parameters
    ----------
    fan : mapping
        `bars` of length n, `levels` ascending and odd in number, `equity` of shape (levels, n).
    unit : str
        What is counted along the axis.
    """
    bars, rows = fan["bars"], fan["equity"]
    low, high = min(1.0, *rows[0]), max(1.0, *rows[-1])
    room, last = (high - low or 1.0) * 0.06, bars[-1]

    def points(row: Sequence[float]) -> list[str]:
        known = zip([0, *bars], [1.0, *row], strict=True)
        return [f"{_RIGHT * bar / last:.1f} {y(value):.1f}" for bar, value in known]

    def y(value: float) -> float:
        return 8 + float((high + room - value) / (high - low + 2 * room)) * (_HEIGHT - 8)

    bands = [
        f'<path class="area" d="M{"L".join(points(one) + points(other)[::-1])}Z"/>'
        for one, other in zip(rows[: len(rows) // 2], rows[::-1], strict=False)
    ]
    marks = "".join(
        f'<line class="axis" x1="0" x2="{_RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text x="{_WIDTH}" y="{y(v) + 4:.1f}" text-anchor="end">{v - 1:+.1%}</text>'
        for v in sorted({low, 1.0, high})
    )
    middle = "L".join(points(rows[len(rows) // 2]))
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 24}" role="img" aria-label="Fan of simulations">'
        f'{marks}{"".join(bands)}<path class="equity" d="M{middle}"/>'
        f'<text x="0" y="{_HEIGHT + 18}">0</text>'
        f'<text x="{_RIGHT}" y="{_HEIGHT + 18}" text-anchor="end">{last:,} {escape(unit)}</text>'
        "</svg>"
    )


def logit_bars(edges: Sequence[float], counts: Sequence[int]) -> Markup:
    """Return how far above or below the median the winners of one half ended in the other."""
    most, low, wide = max(counts) or 1, edges[0], (edges[-1] - edges[0]) or 1.0
    drawn = []
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        x, width = _RIGHT * (left - low) / wide, _RIGHT * (right - left) / wide
        tall = 120 * count / most
        name = "loss" if right <= 0 else "gain"
        drawn.append(
            f'<rect class="{name}" x="{x:.1f}" y="{128 - tall:.1f}" '
            f'width="{max(0.5, width - 1):.1f}" height="{tall:.1f}"/>'
        )
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} 150" role="img" aria-label="Winners in the other half">'
        f'{"".join(drawn)}<line class="axis" x1="0" x2="{_RIGHT}" y1="128" y2="128"/>'
        f'<text x="0" y="146">{edges[0]:+.1f}</text>'
        f'<text x="{_RIGHT}" y="146" text-anchor="end">{edges[-1]:+.1f}</text></svg>'
    )


def fold_timeline(folds: Sequence[Mapping[str, Any]]) -> Markup:
    """Return a line for each fold: what it learnt from, and what it was judged on.

    Parameters
    ----------
    folds : sequence of mapping
        As `Window.to_dict` or `Choice.to_dict` give them.
    """
    spans = [_spans(fold) for fold in folds]
    stamps = [at for fold in spans for _, first, last in fold for at in (first, last)]
    begin, wide = min(stamps), (max(stamps) - min(stamps)) or 1.0
    drawn = []
    for number, fold in enumerate(spans):
        for name, first, last in fold:
            x, width = _RIGHT * (first - begin) / wide, _RIGHT * (last - first) / wide
            drawn.append(
                f'<rect class="{name}" x="{x:.1f}" y="{number * 12 + 2}" '
                f'width="{max(1.0, width):.1f}" height="8"/>'
            )
    ends = [datetime.fromtimestamp(at, UTC).date() for at in (begin, begin + wide)]
    height = 12 * len(spans) + 18
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Folds">{"".join(drawn)}'
        f'<text x="0" y="{height - 2}">{ends[0]}</text>'
        f'<text x="{_RIGHT}" y="{height - 2}" text-anchor="end">{ends[1]}</text></svg>'
    )


def _spans(fold: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    if "train_from" in fold:
        pairs = [
            ("track", fold["train_from"], fold["train_to"]),
            ("gain", fold["test_from"], fold["test_to"]),
        ]
    else:
        pairs = [("track", *span) for span in fold["train"]]
        pairs += [("gain", *span) for span in fold["test"]]
    return [
        (name, datetime.fromisoformat(first).timestamp(), datetime.fromisoformat(last).timestamp())
        for name, first, last in pairs
    ]
