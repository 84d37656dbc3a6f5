"""The command that attacks what is proved of every edit."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sphere_theory.cli.common import AsJson, Seed, progress, result_page

if TYPE_CHECKING:
    import pandas as pd


def attack(
    cases: Annotated[int, typer.Option(help="How many cases are drawn.", min=1)] = 50_000,
    seed: Seed = 0,
    as_json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Folder in which an interrupted run is kept.")] = Path("out"),
) -> None:
    """Attack the bounds that hold for every edit (ledger B8, B9, B10) with edits drawn to break them.

    Rows of very different lengths, nearly coincident and nearly opposite neurons, exponents from 0 to 6,
    edits up to ten times as long as the neurons, inputs of any conditioning. A second call goes on where it
    stopped.

    Example: sphere-theory attack --cases 50000
    """
    from sphere_theory.experiments.extremes import attack_bounds

    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with progress(1.0) as (bar, task):

            def told(share: float) -> None:
                bar.update(task, completed=share, description=f"{share * cases:,.0f} of {cases:,} cases")

            table = attack_bounds(cases, seed=seed, store=out / f"attack-{seed}.jsonl", progress=told)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on from there")
        raise typer.Exit(130) from None
    violated = int(table["violated"].sum())
    if as_json:
        sys.stdout.write(json.dumps(table.to_dict("records"), ensure_ascii=False, indent=1) + "\n")
    else:
        _print(table, cases, seed)
    if violated:
        raise typer.Exit(1)


def _print(table: pd.DataFrame, cases: int, seed: int) -> None:
    from sphere_theory.experiments.extremes import CLAIMS, OUTCOMES

    page = result_page()
    sums = table.groupby("claim", sort=False)[list(OUTCOMES)].sum()
    largest = table.groupby("claim", sort=False)["reached_max"].max()
    shown = Table(
        "claim", *OUTCOMES, "of the bound, at most", title=f"{cases:,} adversarial cases, seed {seed}"
    )
    for name, words in CLAIMS.items():
        counts = (f"{int(sums.loc[name, outcome]):,}" for outcome in OUTCOMES)
        shown.add_row(escape(words), *counts, f"{largest[name]:.6f}")
    page.print(shown)
    page.print(
        "undecided: inside the bound to the rounding of both; not applicable: the edit makes neurons "
        "coincide, or is too large for a bound that knows its size alone.",
        soft_wrap=True,
    )
    violated = {words: int(sums.loc[name, "violated"]) for name, words in CLAIMS.items()}
    broken = ", ".join(f"{words}: {count:,}" for words, count in violated.items() if count)
    page.print(f"[bold red]VIOLATED[/] {broken}" if broken else "None of them is violated in any case.")
