"""The entry point: every command, and errors of ours as one line."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from sphere_theory.cli import attack, layers, ledger, streams, study
from sphere_theory.errors import SphereTheoryError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Checks what hyperspherical energy says about sequential model editing (SPHERE, arXiv 2510.01172).",
)

for _command in (
    ledger.verify,
    ledger.claims,
    attack.attack,
    layers.energy,
    streams.edit,
    streams.sweep,
    streams.runs,
    study.study,
    study.figures,
    study.findings,
    study.forecast,
):
    app.command()(_command)


def main() -> None:
    """Run the command line; an error of ours becomes one line on stderr and exit code 2."""
    try:
        app()
    except SphereTheoryError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/] {escape(str(error))}")
        sys.exit(2)
