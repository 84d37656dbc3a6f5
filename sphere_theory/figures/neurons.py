"""Figures of neurons' directions before and after editing: angles of pairs, and maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.analysis.neuron_maps import AFTER, BEFORE, BIN, SUMMARY, UNIFORM, WIDTH
from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.errors import InputError
from sphere_theory.figures.style import COLOURS, caption, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of the states; black is the density of uniform directions.
_BEFORE, _AFTER = "0.55", COLOURS[1]


def angle_histograms(rows: pd.DataFrame) -> Figure:
    """Histograms of the angles of all pairs before and after editing, against the uniform density.

    Parameters
    ----------
    rows
        Of `NeuronAngles` on one host, with its fields as columns.

    Returns
    -------
    Figure
        A column an editor; without SPHERE above, with it below. Pairs a degree on a logarithmic scale: the
        uniform expectation dashed, before grey, after coloured, a thin line a seed.

    Raises
    ------
    InputError
        No rows, or rows of several hosts.
    """
    editors, projected = _grid(rows)
    figure, grid = panels(
        len(projected), len(editors), width=1.0 + 3.5 * len(editors), height=1.4 + 3.1 * len(projected)
    )
    bars = rows[rows["kind"] == BIN]
    limits = bars[(bars["count"] > 0) & (bars["state"] != UNIFORM)]
    for j, with_sphere in enumerate(projected):
        for k, editor in enumerate(editors):
            axes, own = grid[j * len(editors) + k], _of(rows, editor, with_sphere)
            axes.set_yscale("log")
            if len(own):
                _histogram_panel(axes, own)
            axes.set_xlim(float(limits["low"].min()) - 2, float(limits["high"].max()) + 2)
            axes.set_ylim(0.5 / WIDTH, 8 * float(limits["count"].max()) / WIDTH)
            axes.set_title(_title(own, editor), loc="left", fontsize="medium")
            axes.set_xlabel("angle of a pair (degrees)" if j == len(projected) - 1 else "")
            axes.set_ylabel("pairs a degree" if k == 0 else "")
            axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Angles between neurons before and after editing", x=0.02, ha="left", fontsize="large")
    first = rows[rows["kind"] == SUMMARY].iloc[0]
    chance = _over_seeds(rows[(rows["kind"] == SUMMARY) & (rows["state"] == UNIFORM)], "total_variation")
    caption(
        figure,
        f"{_about(rows)} All {int(first['pairs']):,} pairs of {int(first['n'])} neurons in "
        f"{int(first['d'])} dimensions, bins of {WIDTH:g} degrees; thin lines: {_seeds(rows)} seeds "
        "(of the edits; of the weights too where the layer is synthetic). Dashed: expectation for "
        "uniform directions, sin^(d−2)φ / B(½, (d−1)/2) in radians. Figures: total variation "
        "distance to it, mean over seeds with 95% interval (Student's t), one value where the seeds "
        f"share the weights; as many uniform directions have {chance}.",
        width=int(15 * figure.get_figwidth()),
    )
    return figure


def _grid(rows: pd.DataFrame) -> tuple[list[str], list[bool]]:
    if rows.empty or len(rows[["model", "source"]].drop_duplicates()) != 1:
        hosts = sorted(set(rows["model"])) if len(rows) else "none"
        raise InputError("rows", "rows of one host", f"hosts {hosts}")
    projected = sorted({len(sphere) > 0 for sphere in rows["sphere"]})
    return list(dict.fromkeys(rows["editor"])), projected


def _of(rows: pd.DataFrame, editor: str, with_sphere: bool) -> pd.DataFrame:
    return rows[(rows["editor"] == editor) & (rows["sphere"].map(len) > 0).eq(with_sphere)]


def _title(own: pd.DataFrame, editor: str) -> str:
    if not len(own) or not len(own["sphere"].iloc[0]):
        return editor
    eta, alpha = own["sphere"].iloc[0]
    return f"{editor} + SPHERE (η = {eta:g}, α = {alpha:g})"


def _about(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    # An editor of which some tasks set something and others nothing has the longest text.
    settings = {
        editor: ", ".join(own["settings"].iloc[0]) for editor, own in rows.groupby("editor", sort=False)
    }
    chosen = "; ".join(f"{editor} {text or 'as released'}" for editor, text in settings.items())
    return f"{first['host']}; {int(first['edits']):,} edits in batches of {int(first['batch'])}; {chosen}."


def _seeds(rows: pd.DataFrame) -> int:
    return int(rows.groupby(["editor", rows["sphere"].map(len)])["seed"].nunique().min())


def _over_seeds(summaries: pd.DataFrame, column: str) -> str:
    each = summaries.drop_duplicates(["seed", "state"])[column].to_numpy(float)
    mean, low, high = mean_interval(each)
    # The same layer under every seed has no spread to speak of.
    spread = np.ptp(each) > 1e-9 and np.isfinite(low)
    return f"{mean:.3f}" + (f" [{low:.3f}, {high:.3f}]" if spread else "")


def _histogram_panel(axes: Axes, own: pd.DataFrame) -> None:
    bars, summaries = own[own["kind"] == BIN], own[own["kind"] == SUMMARY]
    for state, colour in ((BEFORE, _BEFORE), (AFTER, _AFTER)):
        for _, one in bars[bars["state"] == state].groupby("seed"):
            seen = one[one["count"] > 0]
            axes.plot(
                (seen["low"] + seen["high"]) / 2,
                seen["count"] / WIDTH,
                color=colour,
                linewidth=0.9,
                gid=state,
            )
    wanted = bars[(bars["state"] == AFTER) & (bars["seed"] == bars["seed"].min())]
    wanted = wanted[wanted["expected"] > 0.01].sort_values("low")
    axes.plot(
        (wanted["low"] + wanted["high"]) / 2,
        wanted["expected"] / WIDTH,
        color="black",
        linestyle="--",
        linewidth=1,
        gid=UNIFORM,
    )
    before, after = (
        _over_seeds(summaries[summaries["state"] == state], "total_variation") for state in (BEFORE, AFTER)
    )
    notes = [(f"before {before}", _BEFORE), (f"after {after}", _AFTER), ("uniform (dashed)", "black")]
    for line, (text, colour) in enumerate(notes):
        axes.annotate(
            text,
            (0.02, 0.98 - 0.08 * line),
            xycoords="axes fraction",
            va="top",
            color="0.4" if colour == _BEFORE else colour,
            fontsize="small",
        )


def neuron_maps(rows: pd.DataFrame) -> Figure:
    """Joint t-SNE maps of neurons' directions before and after editing.

    Parameters
    ----------
    rows
        Of `NeuronMap` on one host and seed, with its fields as columns.

    Returns
    -------
    Figure
        A column an editor; without SPHERE above, with it below. Before hollow, after coloured by the angle
        that the neuron turned, a line between the two.

    Raises
    ------
    InputError
        No rows, or rows of several hosts or seeds.
    """
    editors, projected = _grid(rows)
    if rows["seed"].nunique() != 1:
        raise InputError("rows", "maps of one seed", f"seeds {sorted(set(rows['seed']))}")
    figure, grid = panels(
        len(projected), len(editors), width=1.6 + 3.3 * len(editors), height=1.6 + 3.2 * len(projected)
    )
    top = 10 * np.ceil(float(rows["turn"].max()) / 10)
    drawn: list[Any] = []
    for j, with_sphere in enumerate(projected):
        for k, editor in enumerate(editors):
            axes, own = grid[j * len(editors) + k], _of(rows, editor, with_sphere)
            if len(own):
                drawn.append(_map_panel(axes, own, top))
                axes.annotate(
                    f"median turn {own['turn'].median():.1f}°",
                    (0.02, 0.98),
                    xycoords="axes fraction",
                    va="top",
                    fontsize="small",
                )
            axes.set_title(_title(own, editor), loc="left", fontsize="medium")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlabel("t-SNE 1 (no unit)" if j == len(projected) - 1 else "")
            axes.set_ylabel("t-SNE 2 (no unit)" if k == 0 else "")
    bar = figure.colorbar(drawn[0], ax=grid, shrink=0.6, pad=0.01)
    bar.set_label("angle that the neuron turned (degrees)")
    figure.suptitle("Neurons before and after editing", x=0.02, ha="left", fontsize="large")
    first = rows.iloc[0]
    caption(
        figure,
        f"{_about(rows)} {int(first['n'])} neurons in {int(first['d'])} dimensions. Hollow grey: "
        "before; filled: after; lines join the two states of a neuron. Each panel is one joint t-SNE "
        f"embedding of both states by cosine distance, perplexity {first['perplexity']:g}, begun at "
        f"principal components, seed {int(first['seed'])}, one seed alone. t-SNE keeps near "
        "neighbours only: distances between clusters, their sizes and the axes mean nothing, and "
        "panels are not comparable with each other. Angles are in the colours.",
        width=int(15 * figure.get_figwidth()),
    )
    return figure


def _map_panel(axes: Axes, own: pd.DataFrame, top: float) -> Any:
    before, after = (own[own["state"] == state].sort_values("neuron") for state in (BEFORE, AFTER))
    _join(axes, before[["x", "y"]].to_numpy(), after[["x", "y"]].to_numpy())
    axes.scatter(
        before["x"], before["y"], s=14, facecolors="none", edgecolors="0.55", linewidths=0.6, gid=BEFORE
    )
    return axes.scatter(
        after["x"], after["y"], c=after["turn"], s=8, cmap="viridis_r", vmin=0, vmax=top, gid=AFTER
    )


def _join(axes: Axes, starts: np.ndarray, ends: np.ndarray) -> None:
    from matplotlib.collections import LineCollection

    lines: Sequence[np.ndarray] = [np.stack(pair) for pair in zip(starts, ends, strict=True)]
    axes.add_collection(LineCollection(lines, colors="0.8", linewidths=0.4, zorder=0))
