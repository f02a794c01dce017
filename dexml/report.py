"""The report of a run: one offline file with the verdict, the truth table and the curve.

The charts are SVG drawn here, about 30 kB in all; a plotting library inside would be 4 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dexml.errors import UsageError

__all__ = ["render_report"]

_FOLDER = "dexml.dashboard"  # only its files are read: page and report share one style
_SCORES = ("accuracy", "log_loss", "base_rate", "n", "rule", "rule_accuracy", "rule_log_loss")
_NUMBERS = ("equity", "seconds", "peak_rss_mb", "orders", "fills", "decisions")
_MAX_POINTS = 600
_EVIDENCE = (
    ("bars", "bars", "{:,}", "closed bars of the backtest, none of them seen in training"),
    ("orders", "orders", "{:,}", "trades that were worth their costs"),
    ("return", "total_return", "{:+z.2%}", "growth of the traded book, after all costs"),
    (
        "buy and hold",
        "buy_and_hold_return",
        "{:+z.2%}",
        "growth of the same cash, spent equally at the first bar and kept, after its entry fee",
    ),
    (
        "Sharpe ratio",
        "sharpe",
        "{:z.2f}",
        "mean return of a bar over its standard deviation, scaled to a year",
    ),
    (
        "deflated probability",
        "deflated_sharpe_probability",
        "{:.3f}",
        "that the true Sharpe ratio is above what luck gives the best of as many trials; evidence "
        "begins at 0.95",
    ),
    ("trials", "n_trials", "{:,}", "configurations tried on these data so far, this one included"),
)


def render_report(result: Mapping[str, Any]) -> str:
    """Return one HTML document that needs nothing beside it.

    Parameters
    ----------
    result : mapping
        The JSON result of `dexml demo`: `run`, `seed`, `verdict`, `targets.{name}.{accuracy,
        log_loss, base_rate, n, degraded, rule, rule_accuracy, rule_log_loss, bayes_accuracy,
        edge_reached}`, `ensemble` (same fields), `strategy.{bars, orders, total_return,
        buy_and_hold_return}` and `significance.{sharpe, deflated_sharpe_probability, n_trials}`
        of the backtest that the verdict rests on, `decisions`, `declined` (by reason), `orders`,
        `fills`, `equity`, `curve.{at, equity, buy_and_hold}`, `stages` (name, seconds,
        peak_rss_mb), `seconds`, `peak_rss_mb`, `config`. What is absent is shown as a dash, never
        as a number.

    Returns
    -------
    str
        HTML; everything from `result` is escaped.

    Raises
    ------
    UsageError
        If `result` has no `run`.

    Examples
    --------
    >>> "report of run r1" in render_report({"run": "r1"})
    True
    """
    if not result.get("run"):
        raise UsageError(
            "result", "must name its run", sorted(result), "Give the JSON of `dexml demo`."
        )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    folder = files(_FOLDER)
    style = Markup((folder / "style.css").read_text("utf-8"))
    template = environment.from_string((folder / "report.html").read_text("utf-8"))
    return template.render(style=style, **_context(result))


def _context(result: Mapping[str, Any]) -> dict[str, Any]:
    curve = result.get("curve") or {}
    worth, hold = (_column(curve, name) for name in ("equity", "buy_and_hold"))
    declined = result.get("declined") or {}
    numbers = {name: _number(result.get(name)) for name in _NUMBERS}
    return numbers | {
        "run": result["run"],
        "seed": result.get("seed", "not given"),
        "verdict": result.get("verdict") or "No verdict was reached.",
        "evidence": _evidence(result.get("strategy") or {}, result.get("significance") or {}),
        "growth": _growth(worth, worth),
        "hold_growth": _growth(hold, worth),
        "has_hold": any(value is not None for value in hold),
        "drawdown": _drawdown(worth),
        "targets": _targets(result),
        "curve": _curve(list(curve.get("at") or ()), worth, hold),
        "declined": _bars(declined),
        "declined_total": float(sum(declined.values())),
        "stages": [_stage(row) for row in _stages(result.get("stages") or ())],
        "configuration": list(_flat(result.get("config") or {})),
    }


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _column(curve: Mapping[str, Any], name: str) -> list[float | None]:
    return [_number(value) for value in curve.get(name) or ()]


# Buy and hold grows from the same cash as the book: its first worth has already paid the fee.
def _growth(worth: Sequence[float | None], from_: Sequence[float | None]) -> float | None:
    known = [value for value in worth if value is not None]
    start = next((value for value in from_ if value is not None), None)
    return known[-1] / start - 1 if known and start else None


def _evidence(
    strategy: Mapping[str, Any], significance: Mapping[str, Any]
) -> list[tuple[str, str | None, str]]:
    """Return term, figure and meaning of what the verdict rests on; none if nothing was traded."""
    if not strategy:
        return []
    figures = {**strategy, **significance}
    rows = []
    for term, name, form, meaning in _EVIDENCE:
        value = figures.get(name)
        rows.append((term, None if value is None else form.format(value), meaning))
    return rows


def _drawdown(worth: Sequence[float | None]) -> float | None:
    peak, largest = 0.0, 0.0
    for value in worth:
        if value is not None:
            peak = max(peak, value)
            largest = max(largest, 1 - value / peak)
    return largest if peak else None


def _stages(stages: Any) -> list[Mapping[str, Any]]:
    if isinstance(stages, Mapping):
        return [{"name": name} | dict(values) for name, values in stages.items()]
    return list(stages)


def _stage(row: Mapping[str, Any]) -> dict[str, Any]:
    memory = row.get("peak_rss_mb", row.get("memory_mb"))
    return {
        "name": row["name"],
        "seconds": _number(row.get("seconds")),
        "peak_rss_mb": _number(memory),
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{name}", str(value)


def _bars(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    most = max(counts.values(), default=0) or 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"reason": name, "n": float(n), "width": 100 * n / most} for name, n in ordered]


def _targets(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    scores = dict(result.get("targets") or {})
    if result.get("ensemble"):
        scores["ensemble"] = result["ensemble"]
    rows = [_target(name, values) for name, values in scores.items()]
    marks = ("base_rate", "accuracy", "bayes_accuracy", "rule_accuracy")
    shown = [row[mark] for row in rows for mark in marks if row[mark] is not None]
    low, high = min([0.5, *shown]), max([0.6, *shown])
    for row in rows:
        row["gauge"] = _gauge(row, low, high)
    return rows


def _target(name: str, scores: Mapping[str, Any]) -> dict[str, Any]:
    row = {score: scores.get(score) for score in (*_SCORES, "bayes_accuracy", "edge_reached")}
    row["degraded"] = bool(scores.get("degraded")) or row["accuracy"] is None
    return {"name": name} | row


def _gauge(row: Mapping[str, Any], low: float, high: float) -> Markup:
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


def _curve(at: list[str], worth: Sequence[float | None], hold: Sequence[float | None]) -> Markup:
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
