"""Why directions of variance for an energy of angles? How much of it SPHERE's space and its rivals hold.

Measured on layers before any edit (`EnergyDirections`): the share of ‖∇HE‖² in each of `SPACES`, beside r/n
by chance; how much of ∇HE mean and covariance of the directions explain (`moment_gradient`); and what a
projector leaves of |ΔHE| of real edits, beside the same edits shrunk to the same norm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sphere_theory.experiments.energy_directions import SPACES, EnergyDirections
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.plotting import caption, palette, panels, plain_ticks, title
from sphere_theory.study.layer_plots import (
    counted,
    dots,
    geometric_interval,
    name_groups,
    real_layers,
    ruled,
    synthetic_seeds,
)
from sphere_theory.study.markdown import number, span, table
from sphere_theory.study.question import ExperimentFigure, Frames, Lines, Material, Question
from sphere_theory.study.statistics import mean_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cells = Iterator[tuple[str, ...]]

_PARTS = {"mean": "mean direction", "covariance": "covariance", "both": "both"}


def _experiments(quick: bool) -> list[EnergyDirections]:
    """Real layers, and a synthetic one of the same shape, so that chance is the same, on three seeds."""
    # Costly; layers are draws too.
    layers, batches = ((MiniLM(),), 1) if quick else (MiniLM.layers(), 2)
    drawn = SyntheticLayer((96, 384) if quick else (384, 1536))
    # Its C0's least eigenvalue is about a tenth of the mean: the released threshold leaves no null space.
    synthetic = [EnergyDirections(drawn, seed, batches=1, threshold=0.5) for seed in range(3)]
    return [EnergyDirections(layer, batches=batches) for layer in layers] + synthetic


def _answer(material: Material) -> Lines:
    rows = material.rows(EnergyDirections.name)
    if not len(rows):
        return
    layers = rows["family"].where(rows["real"], "synthetic")
    for name, own in rows.groupby(layers, sort=False):
        gradient, edits = (own[own["kind"] == kind] for kind in ("gradient", "edit"))
        yield f"Share of ‖∇HE‖² in each space, {name} layers (intervals over layers and seeds):"
        yield table(("space", "share", "by chance"), _shares(gradient))
        yield "Share of an edit's |ΔHE| that is left after P, and after shrinking it to the same norm:"
        yield table(("edit", "SPHERE", "same norm"), _left(edits[edits["space"] == "principal"]))


def _shares(gradient: pd.DataFrame) -> Cells:
    each = gradient.groupby(["space", "host", "seed"], sort=False)[["share", "rank", "directions"]].mean()
    for space, rows in each.groupby(level="space", sort=False):
        chance = number((rows["rank"] / rows["directions"]).mean())
        yield SPACES[str(space)], span(mean_interval(rows["share"].to_numpy())), chance


def _left(edits: pd.DataFrame) -> Cells:
    for edit, rows in edits.groupby("edit", sort=False):
        each = rows.groupby(["host", "seed"])[["change_left", "change_shrunk"]].mean()
        yield str(edit), *(span(geometric_interval(values)) for _, values in each.items())


def _draw_directions(frames: Frames, about: str) -> Figure:
    """A panel of ∇HE in each space, one of what explains ∇HE, and one an editor of what P leaves of |ΔHE|."""
    rows, groups = frames["rows"], palette(frames["rows"]["family"])
    gradient, model, edit = (rows[rows["kind"] == kind] for kind in ("gradient", "model", "edit"))
    edits = list(dict.fromkeys(edit["edit"]))
    figure, grid = panels(1, 2 + len(edits), width=4.2 + 2.9 * (1 + len(edits)), height=4.4)
    shares, explained, left = grid[0], grid[1], grid[2:]
    _draw_shares(shares, gradient, groups)
    _draw_explained(explained, model, groups)
    for axes, name in zip(left, edits, strict=True):
        _draw_left(axes, edit[edit["edit"] == name], groups)
        axes.set_title(name, loc="left", fontsize="medium")
    for axes in grid:
        ruled(axes)
        axes.invert_yaxis()
    title(figure, "Why directions of variance, for an energy of angles?")
    caption(
        figure,
        f"{real_layers(rows)} and {synthetic_seeds(rows)} of a synthetic layer, up to "
        f"{counted(edit['draw'].max() + 1, 'batch', 'batches')} of {int(edit['batch'].max())} edits a layer "
        f"from the pretrained weights, η = {rows['eta'].iloc[0]:g}, α = {rows['alpha'].iloc[0]:g}. To "
        "second order in the cosines HE is a constant + √½(½‖Σûᵢ‖² + ⅜‖ÛᵀÛ‖²): mean direction and "
        "covariance. Small: one layer or seed; large: mean (of |ΔHE| geometric) with its 95% interval "
        "over them (Student's t).",
        width=180,
    )
    return figure


def _draw_shares(axes: Axes, gradient: pd.DataFrame, groups: Mapping[str, str]) -> None:
    """Chance is that of real layers, where there are some."""
    names = list(SPACES)
    dots(axes, gradient, "space", names, "share", groups)
    real = gradient[gradient["real"]] if gradient["real"].any() else gradient
    chance = (real["rank"] / real["directions"]).groupby(real["space"]).mean().reindex(names)
    axes.plot(chance, range(len(names)), "|", color="0.2", markersize=16, gid="chance")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of ‖∇HE‖² inside\n( | : by chance, r / n)")
    axes.set_yticks(range(len(names)), list(SPACES.values()), fontsize="small")


def _draw_explained(axes: Axes, model: pd.DataFrame, groups: Mapping[str, str]) -> None:
    dots(axes, model, "part", list(_PARTS), "cosine", groups)
    axes.set_yticks(range(len(_PARTS)), list(_PARTS.values()), fontsize="small")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("cosine with ∇HE of the\ngradient of that part of HE")
    name_groups(axes, groups, 0.24)


def _draw_left(axes: Axes, edit: pd.DataFrame, groups: Mapping[str, str]) -> None:
    """The same norm is that of the first group: the marks of all would hide each other."""
    names = list(SPACES)
    axes.set_xscale("log")
    dots(axes, edit, "space", names, "change_left", groups, log=True)
    shrunk = edit[edit["family"] == next(iter(groups))].groupby("space")["change_shrunk"]
    means = shrunk.agg(lambda values: geometric_interval(values)[0]).reindex(names)
    axes.plot(means, range(len(names)), "|", color="0.2", markersize=16, gid="shrunk")
    axes.axvline(1, color="0.6", linewidth=0.8)
    plain_ticks(axes.xaxis)
    axes.set_yticks(range(len(names)), [""] * len(names))
    axes.set_xlabel("|ΔHE| left by P, after / before\n( | : shrunk to the same norm)")


QUESTION = Question(
    order=12,
    question="Why directions of variance for an energy of angles?",
    asked="reviewers",
    answer=_answer,
    untested="Edits late in a stream.",
    figures={"energy-directions": ExperimentFigure(EnergyDirections.name, _draw_directions)},
    experiments=_experiments,
)
