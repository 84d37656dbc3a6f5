"""`python -m benchmarks [--device cpu|cuda] [--quick] [--only ROW] [--out FILE]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.measure import machine_facts
from benchmarks.report import facts_table, rows_table, scaling_table, write
from benchmarks.rows import ROWS, Bench, Row
from benchmarks.scaling import Series, measure_scaling

RESULTS = Path(__file__).parent / "results"
SCALING = "scaling"
WIDE = 170  # columns of a table that goes to a file


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Speed and memory, side by side."
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--quick", action="store_true", help="small shapes, to see that it runs; stores nothing"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=(*ROWS, SCALING),
        metavar="ROW",
        help=f"only this part, may be repeated; stores nothing: {', '.join((*ROWS, SCALING))}",
    )
    parser.add_argument(
        "--out", type=Path, help="where to store JSON (default benchmarks/results/DEVICE.json)"
    )
    return parser.parse_args(argv)


def _measure(bench: Bench, parts: Sequence[str]) -> tuple[list[Row], list[Series]]:
    console = Console(stderr=True)
    rows: list[Row] = []
    series: list[Series] = []
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed}/{task.total} {task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(parts))
        for part in parts:
            progress.update(task, description=part)
            telling = replace(bench, say=partial(_say, progress, task, part))
            if part == SCALING:
                series = list(measure_scaling(telling))
            else:
                rows.append(ROWS[part](telling))
                progress.console.print(f"{part}: {rows[-1].verdict}", highlight=False)
            progress.advance(task)
    return rows, series


def _say(progress: Progress, task: TaskID, part: str, text: str) -> None:
    progress.update(task, description=f"{part}: {text}")


def _print(rows: list[Row], series: list[Series], quick: bool) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    if rows:
        console.print(rows_table(rows, quick=quick), facts_table(rows))
    if series:
        console.print(scaling_table(series))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and store.

    Parameters
    ----------
    argv
        Command line; that of the process by default.

    Returns
    -------
    int
        0, whether or not targets are met, or a GPU is there.
    """
    options = _arguments(argv)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "benchmarks: no CUDA device on this machine, nothing measured and nothing stored", file=sys.stderr
        )
        return 0
    torch.set_float32_matmul_precision("highest")  # the alternatives without TF32 too
    if options.quick:
        torch.set_num_threads(1)  # small products on a busy machine wait for their threads
    bench = Bench(options.device, options.quick)
    rows, series = _measure(bench, options.only or (*ROWS, SCALING))
    _print(rows, series, options.quick)
    whole = not (options.quick or options.only)
    path = options.out or (RESULTS / f"{options.device}.json" if whole else None)
    if path:
        write(path, machine_facts(options.device), rows, series)
    return 0


if __name__ == "__main__":
    sys.exit(main())
