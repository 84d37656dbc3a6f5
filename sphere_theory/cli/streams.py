"""Commands that run streams: edit, sweep, runs."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sphere_theory.cli.common import (
    Device,
    Scheduler,
    Seed,
    StorePath,
    Workers,
    one_cluster,
    progress,
    result_page,
    stored,
)
from sphere_theory.errors import RangeError

if TYPE_CHECKING:
    import pandas as pd

    from sphere_theory.streams.specs import Task
    from sphere_theory.streams.store import RunStore
    from sphere_theory.streams.sweep import Outcome


def edit(
    model: Annotated[
        str, typer.Argument(help="minilm, synthetic, or a folder, file or hub id with --tensor.")
    ],
    editor: Annotated[str, typer.Option(help="rome, memit, memit-seq, emmet, alphaedit, rect, prune, ft, …")],
    sphere: Annotated[
        tuple[float, float] | None, typer.Option(help="Project updates: η and α.", metavar="ETA ALPHA")
    ] = None,
    edits: Annotated[int, typer.Option(help="Number of edits.", min=1)] = 1000,
    batch: Annotated[int, typer.Option(help="Edits a batch.", min=1)] = 100,
    seed: Seed = 0,
    store: StorePath = Path("runs"),
    device: Device = "cpu",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A hyperparameter of the editor, such as ridge=15.")
    ] = None,
    policy: Annotated[str, typer.Option(help="SPHERE as in the paper or as released.")] = "paper",
    compensate: Annotated[bool, typer.Option(help="SPHERE with error compensation.")] = False,
    source: Annotated[
        str | None,
        typer.Option(help="Keys: recorded (minilm's default), gaussian (others'), orthonormal, clustered."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="CounterFact file; without it the packaged prompts.")
    ] = None,
    order: Annotated[str, typer.Option(help="random, clustered, similarity.")] = "random",
    layer: Annotated[
        int | None, typer.Option(help="Layer of minilm, 0 to 5; without it the middle one, 3.")
    ] = None,
    tensor: Annotated[str | None, typer.Option(help="Matrix of a model of your own.")] = None,
    shape: Annotated[
        tuple[int, int] | None, typer.Option(help="Shape of synthetic; without it 512 2048.", metavar="N D")
    ] = None,
    spectrum: Annotated[
        str | None, typer.Option(help="Of synthetic keys: flat, power, exponential; without it power.")
    ] = None,
    noise: Annotated[float, typer.Option(help="Paraphrases as noisy keys of this ratio.", min=0)] = 0.0,
    every: Annotated[int, typer.Option(help="Batches between two rows with all measures.", min=1)] = 5,
    candidates: Annotated[int, typer.Option(help="Values among which the nearest is sought.", min=2)] = 1000,
    certificate: Annotated[bool, typer.Option(help="Bound every step for the path bound.")] = True,
    dtype: Annotated[str, typer.Option(help="Of the weights: float32 or float64.")] = "float64",
    keep_updates: Annotated[bool, typer.Option(help="Keep ΔW of every batch.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Drop what an earlier call left of this run.")
    ] = False,
) -> None:
    """Edit a layer with a stream of facts, batch by batch; the same command again goes on where it stopped.

    Example: sphere-theory edit minilm --editor memit-seq --sphere 0.5 0.8 --edits 3000
    """
    from sphere_theory.arrays import as_device
    from sphere_theory.hosts.base import StreamSpec
    from sphere_theory.hosts.registry import make_host
    from sphere_theory.streams.measures import Measures
    from sphere_theory.streams.specs import Task, make_editor
    from sphere_theory.streams.store import RunStore

    host = make_host(
        model, tensor=tensor, layer=layer, shape=shape, source=source, data=data, spectrum=spectrum
    )
    chosen = make_editor(
        editor,
        defaults=host.editor_defaults,
        settings=settings or (),
        sphere=sphere,
        policy=policy,
        compensate=compensate,
    )
    stream = StreamSpec(edits, order, seed, noise, dtype, str(as_device(device)))
    measures = Measures(every=every, candidates=candidates, certificate=certificate)
    task = Task(host, stream, chosen, measures, batch, keep_updates)
    try:
        with RunStore(store) as runs:
            _print_run(runs, _edit(task, runs, resume=not fresh))
    except KeyboardInterrupt:
        note = "interrupted; the same command, without --fresh, goes on from the last checkpoint"
        Console(stderr=True).print(note, soft_wrap=True)
        raise typer.Exit(130) from None


def _edit(task: Task, store: RunStore, *, resume: bool) -> str:
    """The name of the run, once it is done."""
    from sphere_theory.streams.memory import in_words, require_memory
    from sphere_theory.streams.runner import run_stream

    errors = Console(stderr=True, highlight=False)
    errors.print(f"memory at the peak: {in_words(sum(task.memory.values()))}")
    for name, size in task.memory.items():
        errors.print(f"  {in_words(size):>9}  {name}", soft_wrap=True)
    require_memory(task.memory, task.stream.device)
    with progress(1) as (bar, shown):

        def told(what: str, done: int, total: int) -> None:
            bar.update(shown, completed=done, total=total, description=f"{what}: {done} of {total} texts")

        memory, stream = task.host.make(task.stream, store.path / "keys", told)
    table = _StreamTable()
    with progress(task.stream.edits) as (bar, shown):

        def row(values: dict[str, Any]) -> None:
            bar.update(shown, completed=values["edits"], description=f"{values['edits']} edits")
            table.add(values)

        bar.update(shown, description="measuring the layer before any edit")
        done = run_stream(
            memory,
            task.editor,
            stream,
            task.measures,
            store,
            batch=task.batch,
            resume=resume,
            keep_updates=task.keep_updates,
            report=row,
        )
        return done.id


class _StreamTable:
    """Rows of a run, printed as they come."""

    COLUMNS: ClassVar[dict[str, tuple[str, str]]] = {
        "edits": ("edits", "{:,.0f}"),
        "efficacy_batch": ("newest", "{:.3f}"),
        "efficacy": ("efficacy", "{:.3f}"),
        "generalisation": ("general.", "{:.3f}"),
        "specificity": ("specific.", "{:.3f}"),
        "energy_uniform": ("HE/unif.", "{:.5f}"),
        "energy_change": ("ΔHE", "{:.4g}"),
        "edit_norm": ("‖ΔW‖/‖W‖", "{:.3g}"),
        "total_unconditional": ("Theorem 1", "{}"),
        "total_unconditional_tightness": ("tightness", "{:.1e}"),
    }

    def __init__(self) -> None:
        self.page, self.begun = result_page(), False

    def add(self, row: dict[str, Any]) -> None:
        """Print a row if it has all columns."""
        if math.isnan(row.get("efficacy", math.nan)):
            return
        if not self.begun:
            self.begun = True
            self.page.print(" ".join(f"{name:>14}" for name, _ in self.COLUMNS.values()))
        cells = (form.format(row[column]) for column, (_, form) in self.COLUMNS.items())
        self.page.print(" ".join(f"{cell:>14}" for cell in cells))


def _print_run(store: RunStore, id: str) -> None:
    info, frame = store.run(id), store.frame(id)
    page = result_page()
    facts = Table(show_header=False, box=None)
    facts.add_row("[dim]run[/]", f"{info.id}, {info.status}, {info.edits:,} edits, begun {info.created}")
    facts.add_row("[dim]editor[/]", escape(_words(info.config["editor"])))
    facts.add_row("[dim]stream[/]", escape(_words(info.config["stream"])))
    if len(frame):
        last = frame.iloc[-1]
        facts.add_row("[dim]HE[/]", f"{last['energy']:.10g}, ΔHE {last['energy_change']:.4g}")
        if not math.isnan(last["path_bound"]):
            facts.add_row("[dim]path bound[/]", _path_bound(last["path_bound"]))
        spent = {name: frame[f"seconds_{name}"].sum() for name in _spent(frame)}
        facts.add_row("[dim]seconds[/]", ", ".join(f"{name} {value:.1f}" for name, value in spent.items()))
    page.print(facts)


def _path_bound(value: float) -> str:
    if math.isinf(value):
        return "none: neurons coincided after a step"
    return f"|ΔHE| ≤ Σ K*_t‖ΔW_t‖ = {value:.4g}"


def _spent(frame: pd.DataFrame) -> list[str]:
    return [name.removeprefix("seconds_") for name in frame.columns if name.startswith("seconds_")]


def _words(record: dict[str, Any]) -> str:
    """A record in one line: its name, and the rest in brackets."""
    rest = ", ".join(
        _words(value) if isinstance(value, dict) else f"{name}={value}"
        for name, value in record.items()
        if name not in ("name", "source", "sha256")
    )
    return f"{record.get('name') or record.get('source')}({rest})"


def sweep(
    grid: Annotated[Path, typer.Argument(help="TOML file, as in docs/sweeps.md.", metavar="GRID.toml")],
    scheduler: Scheduler = None,
    store: StorePath = Path("runs"),
    workers: Workers = None,
) -> None:
    """Run a grid of streams, many at once; the same command again goes on where it stopped.

    A grid is such as: model = "minilm", editors = ["memit-seq", "alphaedit"], eta = [0.5],
    alpha = [0.5, 0.8], seeds = [0, 1, 2], one key a line; docs/sweeps.md has them all.

    Example: sphere-theory sweep grid.toml --store runs
    """
    from sphere_theory.streams.grid import read_grid
    from sphere_theory.streams.store import RunStore

    one_cluster(scheduler, workers)
    tasks = read_grid(grid)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with RunStore(store) as runs:
            outcomes = _sweep(tasks, runs, scheduler, workers, errors)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on from the last checkpoints")
        raise typer.Exit(130) from None
    _print_outcomes(outcomes)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


def _sweep(
    tasks: list[Task], store: RunStore, scheduler: str | None, workers: int | None, errors: Console
) -> list[Outcome]:
    from sphere_theory.cluster import connected, has_workers
    from sphere_theory.streams.sweep import run_sweep

    gpu = tasks[0].stream.device.startswith("cuda")
    with connected(scheduler, workers=workers, threads=tasks[0].threads, gpu=gpu) as client:
        errors.print(f"{len(tasks)} runs on {client.scheduler.address}, dashboard {client.dashboard_link}")
        if not has_workers(client, gpu=gpu):
            errors.print(f"waiting for a worker{' with the resource GPU' if gpu else ''}")
        with progress(len(tasks)) as (bar, task):

            def told(outcome: Outcome) -> None:
                bar.update(task, advance=1, description=escape(outcome.status or "failed"))
                if outcome.error:
                    line = f"[red]failed:[/] {escape(f'{outcome.task}: {outcome.error}')}"
                    bar.console.print(line, soft_wrap=True)

            bar.update(task, description="naming the runs")
            return run_sweep(tasks, store, client, report=told)


def _print_outcomes(outcomes: list[Outcome]) -> None:
    table = Table("run", "status", "task")
    for outcome in outcomes:
        status = outcome.status if outcome.computed or outcome.error else f"{outcome.status}, stored before"
        table.add_row(outcome.run, escape(status or "failed"), escape(str(outcome.task)))
    page = result_page()
    page.print(table)
    computed = sum(outcome.computed for outcome in outcomes)
    failed = sum(bool(outcome.error) for outcome in outcomes)
    stored = len(outcomes) - computed - failed
    page.print(f"{len(outcomes)} runs: {computed} computed, {stored} stored before, {failed} failed")


def runs(
    what: Annotated[str, typer.Argument(help="list, or show with the name of a run.")] = "list",
    id: Annotated[str | None, typer.Argument(help="A run's name, or its beginning.")] = None,
    store: StorePath = Path("runs"),
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else on stdout.")] = False,
) -> None:
    """List the runs of a store, or show one of them.

    Example: sphere-theory runs show 3f2a --csv
    """
    from sphere_theory.arrays import as_choice

    as_choice(what, "runs", ("list", "show"))
    if what == "show" and id is None:
        raise RangeError("id", "the name of a run, as `sphere-theory runs` lists it", "nothing")
    with stored(store) as found:
        if what == "show" and id is not None:
            _show_run(found, id, as_csv)
        elif as_csv:
            raise RangeError("--csv", "`runs show ID --csv`", "`runs --csv`")
        else:
            _list_runs(found)


def _show_run(store: RunStore, id: str, as_csv: bool) -> None:
    frame = store.frame(id)
    if as_csv:
        sys.stdout.write(frame.to_csv(index=False, lineterminator="\n"))
        return
    table = _StreamTable()
    for row in frame.to_dict("records"):
        table.add(row)
    _print_run(store, id)


def _list_runs(store: RunStore) -> None:
    table = Table("run", "status", "edits", "editor", "source", "shape", "seed", "begun")
    for info in store.runs():
        config = info.config
        table.add_row(
            info.id,
            escape(info.status),
            f"{info.edits:,} of {config['stream']['edits']:,}",
            escape(_words(config["editor"])),
            escape(str(config["stream"]["source"])),
            "×".join(map(str, config["shape"])),
            str(config["stream"]["seed"]),
            info.created,
        )
    result_page().print(table)
