"""Commands of the study: study fills a store; forecast, figures and findings read what it holds."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sphere_theory.cli.common import (
    Scheduler,
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

    from sphere_theory.study import StudyResult


def study(
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Shorter streams and coarser grids: 6 minutes, not 44."),
    ] = False,
    store: Annotated[
        Path | None, typer.Option(help="Folder of the runs; without it runs, or runs-quick with --quick.")
    ] = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Run every stream and experiment behind figures and findings; what the store has is not run again.

    Example: sphere-theory study --quick --store runs
    """
    from sphere_theory.cluster import connected
    from sphere_theory.streams.store import RunStore
    from sphere_theory.study import Stage, plan, run_study

    one_cluster(scheduler, workers)
    # Apart: what is drawn of one study would be mixed with the other's shorter streams.
    store = store or Path("runs-quick" if quick else "runs")
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    found = plan(quick=quick)
    errors.print(f"{len(found.tasks)} runs and {len(found.experiments)} experiments into {store}")
    try:
        with RunStore(store) as runs, progress(len(found)) as (bar, task):

            def told(result: StudyResult) -> None:
                bar.update(task, advance=1, description=escape(result.what))
                if result.error:
                    line = f"[red]failed:[/] {escape(f'{result.what}: {result.error}')}"
                    bar.console.print(line, soft_wrap=True)

            bar.update(task, description="naming the runs")
            open_workers = partial(connected, scheduler, workers=workers)
            results = run_study(found, Stage(runs, open_workers, told))
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on from the last checkpoints")
        raise typer.Exit(130) from None
    if _print_results(results):
        raise typer.Exit(1)


def _print_results(results: list[StudyResult]) -> int:
    """Say what became of a study; how many of it failed."""
    computed, failed = sum(one.computed for one in results), sum(bool(one.error) for one in results)
    result_page().print(
        f"{len(results)} runs and experiments: {computed} computed, "
        f"{len(results) - computed - failed} stored before, {failed} failed"
    )
    return failed


def findings(
    store: StorePath = Path("runs"),
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("docs/findings.md"),
    estimates: Annotated[
        Path | None, typer.Option(help="JSON file of the numbers that the ledger quotes; else beside OUT.")
    ] = None,
) -> None:
    """Write up what a store says about each question of the paper and its reviewers: numbers with intervals.

    Example: sphere-theory findings --store runs --out findings.md
    """
    from sphere_theory.study.findings import write_findings

    with stored(store) as found:
        write_findings(found, out, estimates)
    result_page().print(f"wrote {out}", soft_wrap=True)


def forecast(
    run: Annotated[str, typer.Argument(help="A run's name, or its beginning.")],
    store: StorePath = Path("runs"),
    level: Annotated[float, typer.Option(help="Of efficacy or specificity, whichever falls first.")] = 0.5,
    window: Annotated[float, typer.Option(help="Share of the stream that is seen.")] = 0.1,
) -> None:
    """Forecast, from the beginning of a run, after how many edits it collapses; fitted on the store's others.

    Example: sphere-theory forecast 3f2a --level 0.5
    """
    from sphere_theory.study.collapse_forecast import comparable, openings
    from sphere_theory.study.run_table import load_points

    with stored(store) as found:
        name = found.run(run).id
        runs = openings(comparable(load_points(found), name), level=level, window=window)
    asked = runs[runs["run"] == name]
    if not len(asked):
        raise RangeError("window", f"a share of the stream that {name} has measured", f"{window:g}")
    _print_forecast(runs, asked, level)


def _print_forecast(runs: pd.DataFrame, asked: pd.DataFrame, level: float) -> None:
    from sphere_theory.study import collapse_forecast as model
    from sphere_theory.study.questions.capacity import LABELS, LEFT_OUT

    others = model.usable(runs[runs["run"] != asked["run"].iloc[0]])
    found = model.forecast(others, asked).set_index("model")
    tables = {}
    for by, words in LEFT_OUT.items():
        scored = model.out_of_sample(others, by=by)
        if len(scored):
            tables[words] = model.scores(scored).set_index("model")
    columns = [f"off by, {words} (90% inside)" for words in tables]
    table = Table(
        "from", "collapse at edit", "90% interval", *columns, title="Forecast", title_justify="left"
    )
    for name, row in found.iterrows():
        cells = [
            f"×{own.loc[name, 'factor']:.2f} [{own.loc[name, 'low']:.2f}, {own.loc[name, 'high']:.2f}] "
            f"({own.loc[name, 'covered']:.0%})"
            for own in tables.values()
        ]
        span = f"{row['low']:,.0f} to {row['high']:,.0f}"
        table.add_row(escape(LABELS[name]), f"{row['median']:,.0f}", span, *map(escape, cells))
    page = result_page()
    page.print(table)
    page.print(_fitted_on(others, asked, level), markup=False, soft_wrap=True)


def _fitted_on(others: pd.DataFrame, asked: pd.DataFrame, level: float) -> str:
    own = asked.iloc[0]
    outcomes = {"held": f"held to edit {own['last']:,.0f}", "never learned": "never reached that level"}
    outcome = outcomes.get(own["by"], f"fell below it in {own['by']} at edit {own['collapse']:,.0f}")
    collapsed = int(others["collapse"].map(math.isfinite).sum())
    return (
        f"Run {own['run']} ({own['editor']}, seed {own['seed']}), seen up to edit {own['seen']:,.0f}; level "
        f"{level:g}: it {outcome}. Fitted on {len(others)} other runs of {others['base'].nunique()} editors "
        f"and {others['seed'].nunique()} seeds, {collapsed} of them collapsed after the window. Off by: mean "
        "factor too early or too late on runs that the model has not seen, and its 95% interval; in brackets "
        "the share of collapses inside the 90% interval."
    )


def figures(
    store: StorePath = Path("runs"),
    out: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("out"),
    quick: Annotated[bool, typer.Option("--quick", help="200 resamples an interval, not 1,000.")] = False,
) -> None:
    """Draw every figure that a store has the runs for, and say what the others would need.

    Example: sphere-theory figures --store runs --out out
    """
    from sphere_theory.study.drawing import draw_store

    with stored(store) as found:
        drawn = draw_store(found, out, quick=quick)
    page = result_page()
    for path in drawn.written:
        page.print(f"wrote {path}", soft_wrap=True)
    for name, needs in drawn.missing.items():
        page.print(f"not drawn: {name}, which needs {needs}", soft_wrap=True, markup=False)
