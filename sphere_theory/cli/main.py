"""The entry point: every command, and errors of ours as one line."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

# Importing a module enters its commands.
from sphere_theory.cli import layers, ledger, streams, study  # ruff: ignore[unused-import]
from sphere_theory.cli.common import app
from sphere_theory.errors import SphereTheoryError


def main() -> None:
    """Run the command line; an error of ours becomes one line on stderr and exit code 2."""
    try:
        app()
    except SphereTheoryError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/] {escape(str(error))}")
        sys.exit(2)
