"""What the commands share: options, the page, progress, stores that are there."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from sphere_theory.errors import RangeError

if TYPE_CHECKING:
    from sphere_theory.streams.store import RunStore

Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, …")]
StorePath = Annotated[Path, typer.Option(help="Folder of the runs.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Running Dask scheduler; without it workers on this machine.")
]
Workers = Annotated[
    int | None, typer.Option(help="Workers on this machine; without it one for each core.", min=1)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]


def result_page() -> Console:
    """Where results are printed."""
    # Piped output has no width of its own; 80 columns would fold every row.
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=150)


@contextmanager
def progress(total: float) -> Generator[tuple[Progress, TaskID]]:
    """A bar on stderr, gone when the block ends.

    Parameters
    ----------
    total
        Where it ends.

    Yields
    ------
    bar, task
        The bar and its only task.
    """
    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    with Progress(
        *columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True
    ) as bar:
        yield bar, bar.add_task("starting", total=total)


def one_cluster(scheduler: str | None, workers: int | None) -> None:
    """Refuse a number of workers beside a scheduler.

    Parameters
    ----------
    scheduler, workers
        As they were given.

    Raises
    ------
    RangeError
        Both were.
    """
    if scheduler is not None and workers is not None:
        raise RangeError("workers", "none with --scheduler, which has its own", str(workers))


def stored(path: Path) -> RunStore:
    """A store that is there: to read from one must not make it.

    Parameters
    ----------
    path
        Its folder.

    Returns
    -------
    RunStore
        Open.

    Raises
    ------
    RangeError
        No store is there.
    """
    from sphere_theory.streams.store import RunStore

    if not (path / "runs.sqlite").exists():
        raise RangeError("store", "a folder with runs in it", repr(str(path)))
    return RunStore(path)
