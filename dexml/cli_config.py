"""`dexml config`: what is in force, whether it is wise, and what becomes of an old one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dexml.cli_options import AsJson, Home, config_file
from dexml.errors import UsageError
from dexml.terminal import screen

if TYPE_CHECKING:
    from dexml.config_files import Understood

__all__ = ["config_app"]

config_app = typer.Typer(
    no_args_is_help=True, help="Show, judge and migrate the configuration; print its pages."
)

Out = Annotated[Path | None, typer.Option(help="Write it here.", show_default="the screen")]


@config_app.command("show")
def config_show(as_json: AsJson = False, home: Home = None) -> None:
    """Print the configuration in force, and who gave each value."""
    from dexml.config_show import in_force

    with screen(as_json) as shown:
        found = in_force(config_file(home), os.environ, home)
        width = max(len(one.name) for one in found)
        for one in found:
            value = ", ".join(map(str, one.value)) if isinstance(one.value, list) else one.value
            shown.console.print(
                f"{one.name:<{width}}  {value}  [dim]({one.source})[/dim]", soft_wrap=True
            )
        shown.result = {
            "settings": {one.name: one.value for one in found},
            "sources": {one.name: one.source for one in found},
        }


@config_app.command("validate")
def config_validate(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="dexml.toml, or the CNN-LSTM's JSON or YAML, old or new.",
            show_default="the one in force",
        ),
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Check a configuration, and give advice: each finding with its reason and a better value."""
    from dexml.config_files import understood

    with screen(as_json) as shown:
        found = understood(file or config_file(home), os.environ if file is None else {})
        for line in _judged(found):
            shown.console.print(line, soft_wrap=True, markup=False)
        shown.result = found.to_dict()


@config_app.command("migrate")
def config_migrate(
    old: Annotated[Path, typer.Argument(help="The CNN-LSTM's JSON or YAML of an old version.")],
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Turn an old configuration into sections of dexml.toml, and report every change."""
    from dexml.config_files import migrated
    from dexml.models.sequence.migration import to_toml

    with screen(as_json) as shown:
        made = migrated(old)
        for change in made.changes:
            shown.console.print(str(change), soft_wrap=True, markup=False)
        if out is None:
            shown.console.print(f"\n{to_toml(made.config)}", soft_wrap=True, markup=False)
        else:
            _write(out, to_toml(made.config))
            shown.console.print(f"Written to {out}", soft_wrap=True, markup=False)
        shown.result = made.to_dict() | {"out": None if out is None else str(out)}


@config_app.command("docs")
def config_docs(out: Out = None, as_json: AsJson = False) -> None:
    """Print the page of all hyperparameters, made from the classes that hold them."""
    from dexml.config_files import hyperparameters_page

    with screen(as_json) as shown:
        page = hyperparameters_page()
        if out is None:
            shown.console.print(page, soft_wrap=True, markup=False, end="")
        else:
            _write(out, page)
        shown.result = {"out": None if out is None else str(out), "page": page}


def _judged(found: Understood) -> list[str]:
    lines = []
    if found.changes:
        lines.append(f"{found.file} is of an old version. It was migrated in memory:")
        lines += [f"  {change}" for change in found.changes]
        lines.append(f"Keep the result with `dexml config migrate {found.file} --out dexml.toml`.")
    lines += [str(finding) for finding in found.findings]
    return lines if found.findings else [*lines, "The configuration is valid. No advice."]


def _write(path: Path, text: str) -> None:
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError("--out", "must be a file in a folder that exists", path, "Name another.")
    path.write_text(text, encoding="utf-8")
