"""The table of truth on a terminal: what was reached, what could be, what anyone reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

__all__ = ["print_leaderboard", "print_verdict"]

_HEADINGS = ("accuracy", "reachable", "base rate", "log-loss", "constant", "rule", "log-loss")
_FIGURES = ("accuracy", "bayes_accuracy", "base_rate", "log_loss", "base_log_loss")


def print_verdict(console: Console, result: Mapping[str, Any]) -> None:
    """Print the scores, what trading them gave, and one sentence."""
    console.print(_truth(result))
    strategy, significance = result["strategy"], result["significance"]
    if strategy is not None:
        console.print(
            f"Traded: {strategy['orders']} orders, {strategy['fills']} fills, "
            f"{strategy['total_return']:+z.2%} after costs, buy and hold after its entry fee "
            f"{strategy['buy_and_hold_return']:+z.2%}, deepest fall {strategy['max_drawdown']:.2%}."
        )
    if strategy is not None and strategy.get("bayes_sharpe_ratio") is not None:
        console.print(
            f"The true probabilities, traded the same way: {strategy['bayes_total_return']:+z.2%}, "
            f"Sharpe {strategy['bayes_sharpe_ratio']:.2f} a year."
        )
    if significance["deflated_sharpe_probability"] is not None:
        console.print(
            f"Sharpe {significance['sharpe']:.2f} a year; deflated for "
            f"{significance['n_trials']} trials on these data, it is above zero with probability "
            f"{significance['deflated_sharpe_probability']:.3f}."
        )
    if significance.get("pbo") is not None:
        console.print(
            f"The best of the configurations tried on these data was luck with probability "
            f"{significance['pbo']:.2f} (PBO)."
        )
    _print_paths(console, result.get("paths") or [])
    _print_simulations(console, result)
    console.print(f"[bold]{result['verdict']}[/bold]")


def _print_paths(console: Console, paths: Sequence[Mapping[str, float]]) -> None:
    for number, one in enumerate(paths, 1):
        console.print(
            f"Path {number}: accuracy {one['accuracy']:.4f}, Sharpe {one['sharpe_ratio']:.2f}, "
            f"{one['total_return']:+z.2%}, deepest fall {one['max_drawdown']:.2%}."
        )


def _print_simulations(console: Console, result: Mapping[str, Any]) -> None:
    named = {**(result.get("monte_carlo") or {}), **(result.get("prices") or {})}
    if not named:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("simulated", no_wrap=True)
    for heading in ("2.5%", "median", "97.5%", "deepest fall", "ends below"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, drawn in named.items():
        if "skipped" in drawn:
            console.print(f"Not simulated, {name}: {drawn['skipped']}", markup=False)
            continue
        total, fall = drawn["total_return"], drawn["max_drawdown"]
        ends = [f"{total[share]:+z.1%}" for share in ("low", "median", "high")]
        table.add_row(
            name,
            *ends,
            f"{fall['median']:.1%}..{fall['high']:.1%}",
            f"{drawn['loss_probability']:.0%}",
        )
    console.print(table)


def _truth(result: Mapping[str, Any]) -> Table:
    rules = ", ".join(dict.fromkeys(row["rule"] for row in result["targets"].values()))
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        caption=f"rule: {rules}; reachable is known on the built-in market only",
        caption_justify="left",
    )
    table.add_column("unseen", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in result["targets"].items():
        rule = (f"{row['rule_accuracy']:.4f}", f"{row['rule_log_loss']:.4f}")
        table.add_row(name, *_figures(row), *rule)
    if result["ensemble"] is not None:
        table.add_row("ensemble", *_figures(result["ensemble"]), "", "", style="bold")
    return table


def _figures(row: Mapping[str, Any]) -> list[str]:
    if row.get("degraded"):
        return ["no inputs", "", f"{row['base_rate']:.4f}", "", f"{row['base_log_loss']:.4f}"]
    return ["-" if row[name] is None else f"{row[name]:.4f}" for name in _FIGURES]


def print_leaderboard(
    console: Console, board: pd.DataFrame, result: Mapping[str, Any], digits: int = 12
) -> None:
    """Print what each model was worth out of fold, what failed, and where the versions stand."""
    console.print(_board(board))
    for name, reason in result["failed"].items():
        console.print(f"[red]{name} failed[/red]: ", end="")
        console.print(reason, markup=False, soft_wrap=True)
    if result["degraded"]:
        console.print(f"Without inputs, so not fitted: {', '.join(result['degraded'])}.")
    for slot, stage in result["stages_of"].items():
        console.print(f"{slot} {result['digests'][slot][:digits]} is {stage}.")
    if result["failed"]:
        console.print("[bold]Not everything could be fitted; no champion was changed.[/bold]")
    elif not set(result["stages_of"].values()) <= {"champion"}:
        console.print("Promote with dexml models promote DIGEST, or dexml train --promote.")


def _board(board: pd.DataFrame) -> Table:
    planted = board["edge_reached"].notna().any()
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("out of fold", no_wrap=True)
    shares = ("edge", "gap") if planted else ()
    for heading in ("accuracy", "log-loss", "constant", "gain", "t", *shares):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, rows in board.groupby("target", sort=False):
        whole_first = rows.sort_values(
            "model", key=lambda model: model != "forecaster", kind="stable"
        )
        for row in whole_first.to_dict("records"):
            whole = row["model"] == "forecaster"
            said = str(name) if whole else f"  {row['model']}"
            figures = [f"{row[one]:.4f}" for one in ("accuracy", "log_loss", "baseline")]
            figures += [f"{row['gain']:+.4f}", f"{row['t']:+.1f}"]
            figures += [_share(row[f"{one}_reached"]) for one in shares]
            table.add_row(said, *figures, style="bold" if whole else None)
    return table


def _share(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"
