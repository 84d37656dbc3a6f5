"""The energy command."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sphere_theory.cli.common import AsJson, Device, progress, result_page
from sphere_theory.errors import ModelError, RangeError

if TYPE_CHECKING:
    from sphere_theory.experiments.layers import LayerRow


def energy(
    model: Annotated[
        str, typer.Argument(help="minilm, a folder, a .safetensors/.bin/.pt file, or a hub id.")
    ],
    match: Annotated[str, typer.Option(help="Shell pattern on tensor names.")] = "*",
    s: Annotated[float, typer.Option(help="Exponent of the energy, s ≥ 0.")] = 1.0,
    device: Device = "cpu",
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else on stdout.")] = False,
) -> None:
    """Hyperspherical energy, separation, norms and rank of every matrix of a model.

    Example: sphere-theory energy minilm --match '*output.dense.weight'
    """
    from sphere_theory.arrays import as_device, as_real
    from sphere_theory.experiments.layers import describe_layers
    from sphere_theory.models.weights import open_checkpoint

    if as_json and as_csv:
        raise RangeError("format", "one of --json and --csv", "both")
    as_real(s, "s", low=0)
    place = str(as_device(device))
    checkpoint = open_checkpoint(model)
    names = checkpoint.matrices(match)
    if not names:
        raise ModelError("match", f"a pattern that fits a matrix of {checkpoint.source}", repr(match))
    rows: list[LayerRow] = []
    with progress(len(names)) as (bar, task):

        def show(done: float) -> None:
            bar.update(task, completed=done, description=names[min(int(done), len(names) - 1)])

        show(0)
        rows.extend(describe_layers(checkpoint, names, s=s, device=place, progress=show))
    if as_json:
        sys.stdout.write(json.dumps([row.record() for row in rows], indent=1, ensure_ascii=False) + "\n")
    elif as_csv:
        _print_csv(rows)
    else:
        _print_layers(rows, model, s)
    if all(row.note for row in rows):
        raise typer.Exit(1)


def _print_csv(rows: list[LayerRow]) -> None:
    records = [row.record() for row in rows]
    writer = csv.DictWriter(sys.stdout, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        pair = record["pair"]
        writer.writerow(record | {"pair": f"{pair[0]}-{pair[1]}" if pair else ""})


def _print_layers(rows: list[LayerRow], model: str, s: float) -> None:
    table = Table(title=f"{escape(model)}, s = {s:g}")
    table.add_column("tensor", overflow="fold")
    for name in ("n", "d", "HE/uniform", "min D", "pair", "row norms", "rank (η=0.5)", "seconds"):
        table.add_column(name, justify="right")
    for row in rows:
        if row.note:
            table.add_row(row.tensor, str(row.n), str(row.d), f"[yellow]{escape(row.note)}[/]")
            continue
        uniformity = "—" if row.uniformity is None else f"{row.uniformity:.6f}"
        table.add_row(
            escape(row.tensor),
            str(row.n),
            str(row.d),
            uniformity,
            f"{row.separation:.6f}",
            "{}, {}".format(*row.pair or ()),
            f"{row.norm_low:.4g} – {row.norm_high:.4g}",
            str(row.rank),
            f"{row.seconds:.2f}",
        )
    result_page().print(table)
