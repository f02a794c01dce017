"""The report of a run: one offline file with the verdict, the truth table and the curve.

The charts are SVG drawn here, about 30 kB in all; a plotting library inside would be 4 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dexml.charts import fan_chart, fold_timeline, logit_bars
from dexml.drawing import Line, Strip, equity_curve, gauge, heat_map, part_bands, strips
from dexml.errors import UsageError

__all__ = ["render_report"]

_FOLDER = "dexml.dashboard"  # only its files are read: page and report share one style
_SCORES = ("accuracy", "log_loss", "base_rate", "n", "rule", "rule_accuracy", "rule_log_loss")
_NUMBERS = ("equity", "seconds", "peak_rss_mb", "orders", "fills", "decisions")
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
        "best possible",
        "bayes_sharpe_ratio",
        "{:z.2f}",
        "Sharpe ratio of the same policy with the true probabilities; known on a planted market",
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


def render_report(result: Mapping[str, Any], book: Mapping[str, Any] | None = None) -> str:
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
        peak_rss_mb), `seconds`, `peak_rss_mb`, `config`, `cycles.{asked, decided}`;
        of `dexml validate` also `monte_carlo`, `prices`, `folds`, `paths` and
        `significance.{pbo, pbo_reason, pbo_logits}`. What is absent is shown
        as a dash, never as a number, or not at all.
    book : mapping, optional
        The book as `dexml.book.view.book_view` gives it.

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
    return template.render(style=style, **_context(result), **_book_context(book))


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
        "curve": equity_curve(list(curve.get("at") or ()), worth, hold),
        "declined": _bars(declined),
        "declined_total": float(sum(declined.values())),
        "cycles": result.get("cycles"),
        "stages": [_stage(row) for row in _stages(result.get("stages") or ())],
        "configuration": list(_flat(result.get("config") or {})),
        "validation": _validation(result),
    }


def _validation(result: Mapping[str, Any]) -> dict[str, Any]:
    significance, folds = result.get("significance") or {}, result.get("folds")
    drawn = {**(result.get("monte_carlo") or {}), **(result.get("prices") or {})}
    logits = significance.get("pbo_logits")
    return {
        "fans": [_fan(name, one) for name, one in drawn.items()],
        "pbo": significance.get("pbo"),
        "pbo_reason": significance.get("pbo_reason"),
        "logits": logit_bars(logits["edges"], logits["counts"]) if logits else None,
        "folds": fold_timeline(folds) if folds else None,
        "paths": list(result.get("paths") or ()),
    }


def _fan(name: str, drawn: Mapping[str, Any]) -> dict[str, Any]:
    if "skipped" in drawn:
        return {"name": name, "skipped": drawn["skipped"]}
    unit = "trades" if name == "trades" else "bars"
    return {"name": name, "skipped": None, "chart": fan_chart(drawn["fan"], unit), **drawn}


def _book_context(book: Mapping[str, Any] | None) -> dict[str, Any]:
    if book is None:
        return {"book": None}
    series, limits = book["series"], book["limits"]
    at, score, shares = series["at"], series["risk_score"], series["shares"]
    return {
        "book": book,
        "risk_over_time": strips(at, _strips(series, limits)),
        "parts_over_time": part_bands(at, score, shares, limits["risk_score"]),
        "part_names": list(shares),
        "correlations": _correlations(book["correlations"]),
        "declined_because": _bars({row["reason"]: row["n"] for row in book["declined"]["reasons"]}),
        "details": {row["reason"]: row["details"] for row in book["declined"]["reasons"]},
        "worst_loss": max((abs(row["total"]) for row in book["stress"]["rows"]), default=0.0),
    }


def _strips(series: Mapping[str, Any], limits: Mapping[str, float]) -> list[Strip]:
    exposed = [Line(name="exposed", values=series["exposure"], filled=True)]
    lost = Line(name="lost", values=series["next_day_loss"], filled=True)
    tail = Line(name="tail", values=series["value_at_risk"])
    fallen = [Line(name="fallen", values=series["drawdown"], filled=True)]
    return [
        Strip(title="exposure: share of equity that is not cash", lines=exposed),
        Strip(
            title="one-day VaR 95% (line), what the next day lost (area)",
            lines=[lost, tail],
            limit=limits["value_at_risk"],
        ),
        Strip(title="drawdown from the peak", lines=fallen, limit=limits["drawdown"]),
    ]


def _correlations(found: Mapping[str, Any]) -> Markup | None:
    return heat_map(found["instruments"], found["matrix"]) if found["matrix"] else None


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
        row["gauge"] = gauge(row, low, high)
    return rows


def _target(name: str, scores: Mapping[str, Any]) -> dict[str, Any]:
    row = {score: scores.get(score) for score in (*_SCORES, "bayes_accuracy", "edge_reached")}
    row["degraded"] = bool(scores.get("degraded")) or row["accuracy"] is None
    return {"name": name} | row
