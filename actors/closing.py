"""The last screen of a demo: one table of truth, one sentence, and where to look."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from actors.crew import Place
from dexml.book.reading import BookReader
from dexml.folders import write_durably
from dexml.ledger import Ledger
from dexml.report import render_report

__all__ = ["closing_words"]


def closing_words(console: Console, result: dict[str, Any], place: Place, *, keep: bool) -> None:
    """Write the report and print one table of truth, one sentence, and where to look.

    Parameters
    ----------
    keep : bool
        Whether the page stays up.
    """
    report = place.folder / "report.html"
    with Ledger.open(place.database_url) as ledger:
        book = BookReader(ledger, place.run).view()
    write_durably(report, render_report(result, book).encode())
    result["report"] = str(report)
    console.print()
    console.print(_truth(result, console.width))
    console.print(_rules(result), style="dim", markup=False, highlight=False)
    console.print()
    for line in (_tested(result), *_lived(result), f"[bold]{result['verdict']}[/bold]"):
        console.print(line)
    console.print()
    # an address or a path that is wrapped can be neither clicked nor copied
    places = {"Report": result["report"], "Page": result["url"], "Ray": result["ray_dashboard"]}
    for name, where in places.items():
        console.print(f"{name:<7} {where}", soft_wrap=True, markup=False, highlight=False)
    if not keep:
        console.print("Page and Ray were up until now; `dexml demo --keep` leaves them up.")


_ACCURACY = ("accuracy", "bayes_accuracy", "base_rate", "rule_accuracy")
_LOG_LOSS = ("log_loss", "base_log_loss", "rule_log_loss")
_BOTH_FIT = 78  # columns that the whole table takes


def _tested(result: dict[str, Any]) -> str:
    strategy, significance = result["strategy"], result["significance"]
    reached = result["ensemble"].get("edge_reached")
    probability = significance["deflated_sharpe_probability"]
    parts = [
        f"{strategy['orders']} orders, {strategy['total_return']:+z.1%} after costs (buy and hold "
        f"after its entry fee {strategy['buy_and_hold_return']:+z.1%})",
        f"Sharpe {significance['sharpe']:z.2f} a year",
    ]
    if probability is not None:
        trials = significance["n_trials"]
        parts.append(f"above 0 with probability {probability:.3f} after {trials} trial(s)")
    if reached is not None:
        parts.append(f"{reached:.0%} of the reachable edge")
    if strategy.get("bayes_sharpe_ratio") is not None:
        parts.append(
            f"where the true probabilities of this planted market earn "
            f"{strategy['bayes_total_return']:+z.1%}, Sharpe {strategy['bayes_sharpe_ratio']:.2f}"
        )
    return f"Backtest of the unseen bars: {', '.join(parts)}."


def _lived(result: dict[str, Any]) -> tuple[str, str]:
    declined = ", ".join(f"{count} {reason}" for reason, count in result["declined"].items())
    alerts = result["alerts"]
    seen = f"; {alerts} alerts, see `dexml status`" if alerts else ""
    lived = result["cycles"]
    same = result["replay"]["identical"] and result["backtest_identical"]
    decide = "decide the same, to the byte" if same else "DO NOT DECIDE THE SAME"
    return (
        f"Live, {lived['decided']} of the {lived['asked']} bars after them: "
        f"{result['decisions']} decisions, {result['held']} to hold, declined: "
        f"{declined or 'none'}; {result['orders']} orders, {result['fills']} fills; equity "
        f"{result['equity']:,.2f} after costs, buy and hold after its entry fee "
        f"{result['buy_and_hold']:,.2f}{seen}.",
        f"Replay, and a backtest of the same bars, {decide}. "
        f"{result['seconds']:.0f} s, {result['peak_rss_mb']:,.0f} MB at most, shared pages counted "
        "once.",
    )


def _truth(result: dict[str, Any], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("out of\nsample", no_wrap=True)
    headings = ["accuracy\nreached", "\nreachable", "\nbase rate", "\nrule"]
    shown = [*_ACCURACY]
    if width >= _BOTH_FIT:
        headings += ["log-loss\nreached", "\nbase rate", "\nrule"]
        shown += _LOG_LOSS
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in (*result["targets"].items(), ("ensemble", result["ensemble"])):
        style = "bold" if name == "ensemble" else None
        table.add_row(name, *(_figure(row, figure) for figure in shown), style=style)
    return table


def _figure(row: dict[str, Any], name: str) -> str:
    if name == "accuracy" and row.get("degraded"):
        return "degraded"
    value = row.get(name)
    return "-" if value is None else f"{value:.4f}"


def _rules(result: dict[str, Any]) -> str:
    judged: dict[str, list[str]] = {}
    for name, row in result["targets"].items():
        judged.setdefault(str(row["rule"]), []).append(name)
    return "rules: " + "; ".join(f"{rule} ({', '.join(on)})" for rule, on in judged.items())
