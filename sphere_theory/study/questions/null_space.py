"""How do SPHERE's space and AlphaEdit's null space lie to each other? One's share in the other, less chance.

Measured on layers before any edit (`SpaceOverlap`): the share ‖QᵀU‖²/r of SPHERE's space in the null space of
q directions that AlphaEdit edits in, less q/d; and the share of ‖ΔW‖² of its edits in SPHERE's space, beside
that of an edit anywhere in the null space.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.experiments.space_overlap import SpaceOverlap
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.plotting import bare, caption, palette, panels, title
from sphere_theory.study.layer_plots import beside, counted, dots, name_groups, real_layers, synthetic_seeds
from sphere_theory.study.markdown import judged, span, table
from sphere_theory.study.question import ExperimentFigure, Frames, Lines, Material, Question
from sphere_theory.study.statistics import mean_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "ovsD^P"


def _experiments(quick: bool) -> list[SpaceOverlap]:
    """Real layers, and a synthetic one of the same shape, so that chance is the same, on three seeds."""
    layers, batches = ((MiniLM(),), 1) if quick else (MiniLM.layers(), 3)
    drawn = SyntheticLayer((96, 384) if quick else (384, 1536))
    # Its C0's least eigenvalue is about a tenth of the mean: the released threshold leaves no null space.
    synthetic = [SpaceOverlap(drawn, seed, batches=1, thresholds=(0.2, 0.5)) for seed in range(3)]
    return [SpaceOverlap(layer, batches=batches) for layer in layers] + synthetic


def _answer(material: Material) -> Lines:
    rows = material.rows(SpaceOverlap.name)
    if not len(rows):
        return
    at = rows[(rows["kind"] == "threshold") & (rows["kept"] > 0)]
    layers = at["family"].where(at["real"], "synthetic").rename("layers")
    cells = [
        (str(name), f"{threshold:g}", str(len(own)), *_beyond_chance(own))
        for (name, threshold), own in at.groupby([layers, "threshold"], sort=False)
    ]
    yield "Of n layers, synthetic ones each with its own seed (intervals over layers):"
    yield table(("layers", "threshold", "n", "‖QᵀU‖²/r", "less chance", ""), cells)


def _beyond_chance(at: pd.DataFrame) -> tuple[str, str, str]:
    beyond = mean_interval((at["inside"] - at["chance"]).to_numpy())
    words = judged(beyond[1], beyond[2], "more than chance", "less than chance", "not told from chance")
    return span(mean_interval(at["inside"].to_numpy())), span(beyond, "+.3f"), words


def _draw_null_space(frames: Frames, about: str) -> Figure:
    """Share inside against chance, thresholds marked; and the share of ‖ΔW‖² that SPHERE would suppress."""
    rows, groups = frames["rows"], palette(frames["rows"]["family"])
    edit = rows[rows["kind"] == "edit"]
    figure, (share, edits) = panels(1, 2, width=12, height=4.8)
    _draw_share(share, rows, groups)
    _draw_edits(edits, edit, groups)
    for axes in (share, edits):
        bare(axes)
    title(figure, "SPHERE's space and AlphaEdit's null space")
    caption(
        figure,
        f"{real_layers(rows)}, {synthetic_seeds(rows)} of a synthetic layer; U: η = {rows['eta'].iloc[0]:g}. "
        "Chance for an edit: anywhere in the null space, or for MEMIT anywhere. Small: a layer or seed, mean "
        f"over up to {counted(edit['draw'].max() + 1, 'batch', 'batches')} of {int(rows['batch'].max())} "
        "edits; large: their mean and its 95% interval (Student's t).",
        width=160,
    )
    return figure


def _draw_share(axes: Axes, rows: pd.DataFrame, groups: Mapping[str, str]) -> None:
    """A curve a layer, from no direction in the null space to all of them."""
    curves = rows[rows["kind"] == "curve"]
    for (family, host, seed), line in curves.groupby(["family", "host", "seed"], sort=False):
        label = f"{host}, seed {seed}"
        axes.plot(line["chance"], line["inside"], color=groups[family], linewidth=0.9, label=label)
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, linestyle=":", label="_chance")
    marks = rows[rows["kind"] == "threshold"]
    marked = []
    for threshold, shape in zip(sorted(marks["threshold"].unique()), _MARKERS, strict=False):
        own = marks[(marks["threshold"] == threshold) & (marks["kept"] > 0)]
        label, colours = f"C0 < {threshold:g}", list(own["family"].map(groups))
        at = own["chance"], own["inside"]
        marked.append(axes.scatter(*at, marker=shape, s=24, c=colours, zorder=3, label=label))
    axes.set_xlabel("share of all directions in the null space, q / d: by chance")
    axes.set_ylabel("share of span(U) inside, ‖QᵀU‖² / r")
    name_groups(axes, groups, 0.96, va="top")
    axes.legend(handles=marked, loc="lower right", frameon=False, fontsize="x-small", title="threshold")


def _draw_edits(axes: Axes, edit: pd.DataFrame, groups: Mapping[str, str]) -> None:
    """A row an editor and threshold; chance is beside each group's own."""
    told = edit.assign(what=list(map(_edit_name, edit["edit"], edit["threshold"])))
    whats = list(dict.fromkeys(told["what"]))
    dots(axes, told, "what", whats, "edit_inside", groups)
    for k, group in enumerate(groups):
        own = told[told["family"] == group].groupby("what", sort=False)["chance"].mean()
        heights = [whats.index(what) + beside(k, len(groups)) for what in own.index]
        axes.plot(own, heights, "|", color=groups[group], markersize=14, gid="chance")
    axes.set_yticks(range(len(whats)), whats, fontsize="small")
    axes.invert_yaxis()
    axes.set_xlim(0, None)
    axes.set_xlabel("share of ‖ΔW‖² in span(U)   ( | : by chance)")


def _edit_name(edit: str, threshold: float) -> str:
    return edit if np.isnan(threshold) else f"{edit}, C0 < {threshold:g}"


QUESTION = Question(
    order=13,
    question="How do SPHERE's space and AlphaEdit's null space lie to each other?",
    asked="reviewers",
    answer=_answer,
    untested="Other models; C0 from more tokens.",
    figures={"null-space": ExperimentFigure(SpaceOverlap.name, _draw_null_space)},
    experiments=_experiments,
)
