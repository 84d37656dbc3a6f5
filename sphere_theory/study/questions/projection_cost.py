"""What does the projection cost beside the edit? Its time over the solve's, a median a run, means over seeds.

Measured on the runs themselves: the seconds that each batch spent on the solve and on the projection; and how
long all steps of a stream took with SPHERE and without it on the same seed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from sphere_theory.errors import InputError
from sphere_theory.plotting import caption, palette, panels, title
from sphere_theory.study.choices import PAIRS, paired
from sphere_theory.study.layer_plots import ruled
from sphere_theory.study.question import Chosen, Frames, Lines, Material, Question, RunFigure
from sphere_theory.study.run_table import STUDY, facts, in_order
from sphere_theory.study.statistics import mean_interval
from sphere_theory.study.wording import headed, spanned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sphere_theory.streams.store import RunStore

_SAME = (*STUDY, "base", "settings")

# Ratios of `projection_costs`, and what they are called below their panels.
_RATIOS = {
    "projection": "time of ΔW ↦ ΔW·P / time of the solve, same batch (%)",
    "whole stream": "steps of the stream with SPHERE against without (%)",
}


def timings(store: RunStore, runs: Collection[str]) -> pd.DataFrame:
    """Where the time of every batch of some runs went.

    Parameters
    ----------
    store
        Of the runs.
    runs
        Their full names.

    Returns
    -------
    pandas.DataFrame
        Columns of `facts`, batch, and seconds_solve, seconds_project (NaN without SPHERE), seconds_measure.
        With basis="current" the principal space is part of the solve.

    Raises
    ------
    InputError
        The store has no batch of them with its times.
    """
    import pandas as pd

    parts = []
    for info in in_order(store):
        if info.id not in runs:
            continue
        rows = store.frame(info.id)
        times = [column for column in rows if str(column).startswith("seconds_")]
        if "seconds_solve" in times:
            parts.append(rows[["batch", *times]].assign(**facts(info)))
    if not parts:
        raise InputError("store", "runs with the time of each batch", f"none of {len(runs)} in {store.path}")
    found = pd.concat(parts, ignore_index=True)
    return found if "seconds_project" in found else found.assign(seconds_project=float("nan"))


def projection_costs(batches: pd.DataFrame) -> pd.DataFrame:
    """What SPHERE costs, against the edit that it projects.

    Two ratios, each a number a run first: "projection", the median over batches of the time of ΔW ↦ ΔW·P over
    that of the solve, in the same batch; and "whole stream", all that SPHERE's steps take over all that the
    same editor's take without it on the same seed and batches, less 1: with the principal space, and with the
    noise of two runs.

    Parameters
    ----------
    batches
        As `timings` returns them.

    Returns
    -------
    pandas.DataFrame
        One row an editor with SPHERE and a ratio: host, base, settings, editor, variant, ratio, seeds,
        batches, mean with low and high (95%, Student's, over seeds), and of "projection" also solve and
        project, medians in seconds.

    Raises
    ------
    InputError
        No run has the time of a projection.
    """
    import pandas as pd

    projected = batches.dropna(subset=["seconds_project"])
    if not len(projected):
        raise InputError("batches", "runs with SPHERE", f"editors {sorted(batches['editor'].unique())}")
    plain = _steps(batches[batches["operator"] == ""])
    rows = []
    by = ["host", "base", "settings", "editor", "variant"]
    for key, own in projected.groupby(by, sort=False):
        # The first batch also factorises C0 and finds U: it is no batch like the others.
        later = own[own["batch"] > 0]
        ratios = (later["seconds_project"] / later["seconds_solve"]).groupby(later["run"]).median()
        known = dict(zip(by, key, strict=True)) | {"batches": len(own)}
        medians = {"solve": later["seconds_solve"].median(), "project": later["seconds_project"].median()}
        rows.append(known | {"ratio": "projection", "seeds": len(ratios)} | _mean(ratios) | medians)
        more = _longer(_steps(own), plain)
        if len(more):
            rows.append(known | {"ratio": "whole stream", "seeds": len(more)} | _mean(more))
    return pd.DataFrame(rows)


def _mean(values: pd.Series) -> dict[str, float]:
    return dict(zip(("mean", "low", "high"), mean_interval(values.to_numpy()), strict=True))


def _steps(batches: pd.DataFrame) -> pd.Series:
    """Seconds of each step, by batch and what its run shares with one of the same editor and seed."""
    columns = [*_SAME, "seed", "batch"]
    total = batches["seconds_solve"] + batches["seconds_project"].fillna(0)
    return total.groupby([batches[column] for column in columns]).mean()


def _longer(steps: pd.Series, others: pd.Series) -> pd.Series:
    """By how much longer the steps of each run are than another's, over the batches that both have."""
    own, other = steps.align(others, join="inner")
    by = [*_SAME, "seed"]
    return own.groupby(by).sum() / other.groupby(by).sum() - 1


def _costs(chosen: Chosen) -> Frames:
    return {"costs": projection_costs(timings(chosen.store, set(chosen.points["run"])))}


def _draw(frames: Frames, about: str) -> Figure:
    """A panel a ratio, with a row an editor."""
    found = frames["costs"]
    rows = {editor: row for row, editor in enumerate(dict.fromkeys(found["editor"]))}
    figure, grid = panels(1, 2, width=11, height=1.8 + 0.35 * len(rows))
    for axes, (ratio, label) in zip(grid, _RATIOS.items(), strict=True):
        _draw_ratio(axes, found[found["ratio"] == ratio], rows, palette(found["base"]))
        axes.set_xlabel(label)
    grid[0].set_yticks(range(len(rows)), list(rows), fontsize="small")
    grid[1].set_yticks(range(len(rows)), [""] * len(rows))
    _say_times(grid[0], found[found["ratio"] == "projection"], rows)
    title(figure, "What the projection costs")
    caption(
        figure,
        f"{about}. Left: medians over batches but the first; right: all steps, the principal space "
        f"included, paired by seed. Means over {int(found['seeds'].min())} or more seeds; bars: 95% "
        "intervals (Student's t). Times depend on the machine and on what else it does.",
        width=150,
    )
    return figure


def _draw_ratio(axes: Axes, own: pd.DataFrame, rows: Mapping[str, int], colours: Mapping[str, str]) -> None:
    for row in own.itertuples(index=False):
        axes.hlines(rows[row.editor], 100 * row.low, 100 * row.high, color=colours[row.base], linewidth=1.2)
    axes.scatter(100 * own["mean"], own["editor"].map(rows), color=own["base"].map(colours), s=26, zorder=3)
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    ruled(axes)


def _say_times(axes: Axes, own: pd.DataFrame, rows: Mapping[str, int]) -> None:
    """What the ratio is of, above each mark."""
    for row in own.itertuples(index=False):
        axes.annotate(
            f"{_read(1000 * row.project)} of {_read(1000 * row.solve)} ms",
            (100 * row.mean, rows[row.editor]),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize="xx-small",
            color="0.4",
        )


def _read(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _answer(material: Material) -> Lines:
    for host, points in material.of_hosts(paired):
        found = projection_costs(timings(material.store, set(points["run"])))
        found = found[found["ratio"] == "projection"]
        cells = [f"{row['base']} {spanned(row, 'mean', '.1%')}" for row in found.to_dict("records")]
        yield f"{headed(host, points)}, ΔW ↦ ΔW·P over the solve of the same batch: {'; '.join(cells)}."


QUESTION = Question(
    order=10,
    question="What does the projection cost beside the edit?",
    asked="reviewers",
    answer=_answer,
    untested="GPUs.",
    figures={"projection-cost": RunFigure(PAIRS, paired, _costs, _draw)},
)
