"""What is drawn in a report: SVG and tables of colour, without a library and without a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

__all__ = ["Line", "Strip", "equity_curve", "gauge", "heat_map", "part_bands", "strips"]

_MAX_POINTS = 600
_RIGHT, _WIDTH, _NARROW = 660, 720, 340


def gauge(row: Mapping[str, Any], low: float, high: float) -> Markup:
    """Return base rate, rule, reached and reachable accuracy on one line from `low` to `high`."""

    def x(value: float) -> float:
        return 5 + 350 * (value - low) / (high - low)

    def band(name: str, to: float | None) -> str:
        if to is None or base is None:
            return ""
        left, width = min(x(base), x(to)), abs(x(to) - x(base))
        return f'<rect class="{name}" x="{left:.1f}" y="6" width="{width:.1f}" height="6"/>'

    def mark(name: str, value: float | None, form: str) -> str:
        return "" if value is None else f'<{form.format(x=x(value))} class="{name}"/>'

    base, reached = row["base_rate"], row["accuracy"]
    tick = 'rect x="{x:.1f}" y="3" width="2" height="12"'
    dot = 'circle cx="{x:.1f}" cy="9" r="4"'
    loses = base is not None and reached is not None and reached < base
    return Markup(
        '<svg viewBox="0 0 360 18" height="18" preserveAspectRatio="xMinYMid" role="img">'
        '<rect class="track" y="8.5" width="360" height="1"/>'
        f"{band('span', row['bayes_accuracy'])}{band('loss' if loses else 'gain', reached)}"
        f"{mark('m-rule', row['rule_accuracy'], tick)}{mark('m-base', base, tick)}"
        f"{mark('m-reach', row['bayes_accuracy'], dot)}{mark('m-reached', reached, dot)}</svg>"
    )


def equity_curve(
    at: Sequence[str], worth: Sequence[float | None], hold: Sequence[float | None]
) -> Markup:
    """Return the book's worth over the closes beside buy and hold."""
    known = [value for value in (*worth, *hold) if value is not None]
    if len(at) < 2 or not known:
        return Markup('<p class="quiet">The run closed fewer than two bars.</p>')
    step = -(-len(at) // _MAX_POINTS)
    rows = sorted({*range(0, len(at), step), len(at) - 1})
    low, high = min(known), max(known)
    room = (high - low or 1.0) * 0.06

    def y(value: float) -> float:
        return 8 + (high + room - value) / (high - low + 2 * room) * 186

    def path(values: Sequence[float | None]) -> str:
        points = ((row, values[row]) for row in rows if row < len(values))
        width = 660 / (len(at) - 1)
        drawn = [f"{row * width:.1f} {y(v):.1f}" for row, v in points if v is not None]
        return "M" + "L".join(drawn) if drawn else ""

    line = path(worth)
    return Markup(
        '<svg viewBox="0 0 720 222" role="img" aria-label="Equity beside buy and hold">'
        f"{''.join(_level(value, y(value)) for value in (low, (low + high) / 2, high))}"
        f'<path class="area" d="{line}L660 194L0 194Z"/><path class="hold" d="{path(hold)}"/>'
        f'<path class="equity" d="{line}"/><text x="0" y="214">{{}}</text>'
        '<text x="660" y="214" text-anchor="end">{}</text></svg>'
    ).format(at[0][:16].replace("T", " "), at[-1][:16].replace("T", " "))


def _level(value: float, y: float) -> str:
    return (
        f'<line class="axis" x1="0" x2="660" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="720" y="{y + 4:.1f}" text-anchor="end">{value:,.0f}</text>'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Values over the closes, and the class that colours them; an area reaches down to zero."""

    name: str
    values: Sequence[float | None]
    filled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Lines that share one axis from 0, and the limit that they are held to."""

    title: str
    lines: Sequence[Line]
    limit: float | None = None

    @property
    def top(self) -> float:
        """Where the axis ends: at the limit, if anything comes near it."""
        known = [value for line in self.lines for value in line.values if value is not None]
        highest = max([0.0, *known])
        near = self.limit is not None and highest * 3 >= self.limit
        return max(highest, self.limit if near and self.limit else 0.0) * 1.08 or 0.01


_STRIP, _GAP = 78, 34


def strips(at: Sequence[str], rows: Sequence[Strip]) -> Markup:
    """Return strips below one another over the same closes.

    Parameters
    ----------
    at : sequence of str, length n
        The closes, as text.
    rows : sequence of Strip
        Each line of length n; what is negative is drawn as zero.
    """
    if len(at) < 2:
        return Markup('<p class="quiet">The run closed fewer than two bars.</p>')
    height = len(rows) * (_STRIP + _GAP) + 24
    drawn = "".join(_strip(row, k * (_STRIP + _GAP), len(at)) for k, row in enumerate(rows))
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="The book over time">{drawn}'
        f"{_ends(at, _RIGHT, height - 4)}</svg>"
    )


def _strip(row: Strip, above: float, n: int) -> str:
    top, base = above + 24, above + 24 + _STRIP

    def y(value: float) -> float:
        return base - min(1.0, max(0.0, value) / row.top) * _STRIP

    limited = row.limit is not None and row.limit <= row.top
    mark = row.limit if limited and row.limit is not None else row.top
    return "".join(
        (
            f'<text x="0" y="{top - 8}">{escape(row.title)}</text>',
            *(_drawn(line, y, base, n) for line in row.lines),
            f'<line class="axis" x1="0" x2="{_RIGHT}" y1="{base}" y2="{base}"/>',
            _rule("limit", y(mark)) if limited else "",
            _label(_WIDTH, base, "0%"),
            _label(_WIDTH, y(mark) + 4, f"{mark:.{0 if mark >= 0.1 or limited else 2}%}"),
        )
    )


def _rule(name: str, y: float, to: float = _RIGHT) -> str:
    return f'<line class="{name}" x1="0" x2="{to}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _drawn(line: Line, y: Callable[[float], float], base: float, n: int) -> str:
    return "".join(
        f'<path class="{line.name}" d="{_outline(run, y, base, n, line.filled)}"/>'
        for run in _runs(line.values)
    )


# A stretch without values is not drawn over.
def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    run: list[tuple[int, float]] = []
    for k, value in enumerate(values):
        if value is not None:
            run.append((k, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _outline(
    run: Sequence[tuple[int, float]], y: Callable[[float], float], base: float, n: int, filled: bool
) -> str:
    width = _RIGHT / (n - 1)
    points = [(k * width, y(value)) for k, value in run]
    if len(points) == 1:  # alone it would be invisible
        points = [(points[0][0] - 0.8, points[0][1]), (points[0][0] + 0.8, points[0][1])]
    line = "M" + "L".join(f"{x:.1f} {height:.1f}" for x, height in points)
    if not filled:
        return line
    return f"{line}L{points[-1][0]:.1f} {base}L{points[0][0]:.1f} {base}Z"


def part_bands(
    at: Sequence[str],
    score: Sequence[float | None],
    shares: Mapping[str, Sequence[float | None]],
    limit: float,
) -> Markup:
    """Return the risk score over the closes, divided among its parts by their shares.

    Parameters
    ----------
    score : sequence of float or None, length n
        In [0, 1].
    shares : mapping of part to sequence of float or None, length n
        They add up to 1, or are all 0.
    limit : float
        The score from which on no new risk is taken.
    """
    if len(at) < 2 or not shares:
        return Markup('<p class="quiet">The parts of the score were not recorded.</p>')
    base, height = 150, 176

    def y(value: float) -> float:
        return base - min(1.0, max(0.0, value)) * (base - 8)

    below = [0.0] * len(at)
    drawn = []
    for name, values in shares.items():
        above = [
            low + (total or 0.0) * (share or 0.0)
            for low, total, share in zip(below, score, values, strict=True)
        ]
        drawn.append(f'<path class="band {escape(name)}" d="{_band(below, above, y)}"/>')
        below = above
    right = _NARROW - 24
    return Markup(
        f'<svg viewBox="0 0 {_NARROW} {height}" role="img" aria-label="Parts of the risk score">'
        f"{''.join(drawn)}{_rule('axis', base, right)}{_rule('limit', y(limit), right)}"
        f"{_label(_NARROW, y(limit) + 4, f'{limit:.1f}')}{_label(_NARROW, base, '0')}"
        f"{_label(_NARROW, 16, '1')}{_ends(at, right, height - 8)}</svg>"
    )


# The text is escaped here and never formatted again: a brace in it would mean something.
def _ends(at: Sequence[str], right: float, y: float) -> str:
    first, last = (escape(moment[:16].replace("T", " ")) for moment in (at[0], at[-1]))
    return f'<text x="0" y="{y:.1f}">{first}</text>{_label(right, y, last)}'


def _label(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="end">{text}</text>'


def _band(below: Sequence[float], above: Sequence[float], y: Callable[[float], float]) -> str:
    width = (_NARROW - 24) / (len(below) - 1)
    there = [f"{k * width:.1f} {y(value):.1f}" for k, value in enumerate(above)]
    back = [f"{k * width:.1f} {y(value):.1f}" for k, value in enumerate(below)]
    return f"M{'L'.join(there)}L{'L'.join(reversed(back))}Z"


def heat_map(instruments: Sequence[str], matrix: Sequence[Sequence[float]]) -> Markup:
    """Return correlations as a table of colours, with the figure in each cell.

    Examples
    --------
    >>> str(heat_map(["A/B", "C/B"], [[1.0, -0.4], [-0.4, 1.0]]))[-81:-45]
    '<td class="heat against2">-0.40</td>'
    """
    names = _short_names(instruments)
    head = Markup("").join(Markup('<th class="n">{}</th>').format(name) for name in names)
    rows = [
        Markup("<tr><th>{}</th>{}</tr>").format(name, Markup("").join(map(_cell, row)))
        for name, row in zip(names, matrix, strict=True)
    ]
    body = Markup("").join(rows)
    return Markup('<table class="heats"><tr><th></th>{}</tr>{}</table>').format(head, body)


def _short_names(instruments: Sequence[str]) -> list[str]:
    coins = [name.split("/")[0] for name in instruments]
    return coins if len(set(coins)) == len(coins) else list(instruments)


def _cell(value: float) -> Markup:
    level = round(4 * abs(value))
    kind = f"{'with' if value > 0 else 'against'}{level}" if level else "none"
    return Markup('<td class="heat {}">{:z.2f}</td>').format(kind, value)
