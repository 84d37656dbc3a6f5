"""Figures of what the paper's reviewers asked: each function answers one question from stored rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.review import CURRENT
from sphere_theory.analysis.runs import METRICS
from sphere_theory.analysis.spaces import SPACES
from sphere_theory.figures.style import COLOURS, caption, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

REAL = "MiniLM"
_GREY = "0.55"
_STYLES = {"": "-", "SPHERE": "--", CURRENT: ":"}


# ---- Orthonormality of keys ------------------------------------------------------------------------------


def orthonormality(rows: pd.DataFrame) -> Figure:
    """How far sets of keys are from orthonormal, how their pairs lie, and the spectrum of C0.

    Parameters
    ----------
    rows
        Of `KeyGeometry`.

    Returns
    -------
    Figure
        Three panels; MiniLM's layers share a colour, every kind of synthetic keys has its own.
    """
    sets, spectra = rows[rows["kind"] == "set"], rows[rows["kind"] == "spectrum"]
    palette = _palette(rows)
    figure, (pairs, error, spectrum) = panels(1, 3, width=12.5, height=4.2)
    for group, colour in palette.items():
        own = sets[_group(sets) == group]
        for of, style in (("edited", "-"), ("preserved", "--")):
            chosen = own[own["of"] == of]
            if not len(chosen) or (of == "preserved" and group != REAL):
                continue
            for label, line in chosen.groupby("host", sort=False):
                means = line.groupby("keys")["error_best"].mean()
                axes_label = f"{label}, {of}"
                error.plot(means.index, means, style, color=colour, linewidth=0.9, label=axes_label)
        at = own[own["keys"] == own["keys"].max()]
        place = list(palette).index(group)
        each = at.groupby(["host", "seed"], sort=False)["cosine"].mean()
        pairs.plot(each, [place] * len(each), "o", color=colour, markersize=5, alpha=0.8, label=group)
        for _, line in spectra[_group(spectra) == group].groupby(["host", "seed"], sort=False):
            spectrum.plot(
                line["place"], line["share"] * line["dimension"], color=colour, linewidth=0.9, label=group
            )
    chance = float(sets["cosine_chance"].iloc[0])
    pairs.axvline(chance, color="0.4", linewidth=0.8)
    pairs.annotate(
        "random directions",
        (chance, -0.42),
        (3, 0),
        textcoords="offset points",
        fontsize="x-small",
        color="0.4",
    )
    pairs.set_xlim(0, None)
    pairs.set_yticks(range(len(palette)), list(palette), fontsize="small")
    for tick, colour in zip(pairs.get_yticklabels(), palette.values(), strict=True):
        tick.set_color(colour)
    pairs.set_ylim(len(palette) - 0.5, -0.6)
    pairs.set_xlabel("mean |cos| of two keys")
    error.set_xscale("log")
    error.set_ylim(-0.03, 1.03)
    error.set_xlabel("keys m")
    error.set_ylabel("min over c of ‖c·XᵀX − I‖ / ‖I‖")
    spectrum.set_xscale("log")
    spectrum.set_yscale("log")
    spectrum.set_xlabel("k")
    spectrum.set_ylabel("λₖ of C0 / mean λ")
    ranks = spectra.groupby(_group(spectra), sort=False)["participation"]
    dimension = int(spectra["dimension"].max())
    spectrum.text(
        0.03,
        0.03,
        f"(Σλ)²/Σλ² of {dimension:,}:\n" + "\n".join(f"{name}: {_range(own)}" for name, own in ranks),
        transform=spectrum.transAxes,
        fontsize="x-small",
        color="0.3",
        va="bottom",
    )
    for axes in (error, pairs, spectrum):
        axes.spines[["top", "right"]].set_visible(False)
    _title(figure, "How far keys are from the orthonormal inputs of Theorem 1")
    caption(
        figure,
        f"{_layers(rows)}, a line each (dashed: preserved keys K0, solid: keys to edit), and "
        f"{_seeds(rows)} of each kind of synthetic keys; means over up to "
        f"{_count(sets['draw'].max() + 1, 'random set')} of each size. 0: orthonormal but for a unit, as "
        "the theorem supposes. Pairs: in the largest sets, a dot a layer or seed.",
        width=170,
    )
    return figure


def _group(rows: pd.DataFrame) -> pd.Series:
    """MiniLM's layers together, synthetic keys by kind."""
    return rows["host"].where(~rows["real"].astype(bool), REAL)


def _palette(rows: pd.DataFrame) -> Mapping[str, str]:
    return dict(zip(dict.fromkeys(_group(rows)), COLOURS, strict=False))


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"


# ---- Size of the edit ------------------------------------------------------------------------------------


def edit_size(found: pd.DataFrame, about: str) -> Figure:
    """‖ΔW‖/‖W‖ of all edits so far and of the newest batch along streams.

    Parameters
    ----------
    found
        `courses` of `SIZES`.
    about
        Host and sample sizes, for the caption.

    Returns
    -------
    Figure
        Two panels, a line an editor with its 95% interval.
    """
    figure, (total, step) = panels(1, 2, width=11, height=4.2)
    _course(total, found, "edit_norm", "‖ΔW‖ / ‖W‖, all edits so far")
    _course(step, found, "step_norm", "‖ΔW‖ / ‖W‖, newest batch")
    for axes, column in ((total, "edit_norm"), (step, "step_norm")):
        means = found[found["column"] == column]["mean"]
        _log_heights(axes, means)
    _name_lines(step, found, "step_norm")
    total.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
    _title(figure, "How large edits are beside the weights")
    caption(figure, f"{about}. Lines: means over seeds; bands: 95% intervals (Student's t).", width=150)
    return figure


def _log_heights(axes: Axes, means: pd.Series) -> None:
    """A logarithmic scale around means: the lower end of an interval may be below 0."""
    axes.set_yscale("log")
    axes.set_ylim(means.min() / 2, means.max() * 2)
    _plain_ticks(axes.yaxis)


def _course(axes: Axes, found: pd.DataFrame, column: str, label: str, scale: float = 1.0) -> None:
    own = found[found["column"] == column]
    palette = _bases(found)
    for (base, editor), line in own.groupby(["base", "editor"], sort=False):
        colour, style = palette[base], _style(editor)
        axes.plot(line["edits"], line["mean"] * scale, style, color=colour, linewidth=1.4, label=editor)
        axes.fill_between(
            line["edits"], line["low"] * scale, line["high"] * scale, color=colour, alpha=0.15, linewidth=0
        )
    axes.set_xlim(0, None)
    axes.set_xlabel("edits")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _bases(found: pd.DataFrame) -> Mapping[str, str]:
    return {base: COLOURS[k % len(COLOURS)] for k, base in enumerate(dict.fromkeys(found["base"]))}


def _style(editor: str) -> str:
    return next((style for mark, style in reversed(_STYLES.items()) if mark in editor))


def _name_lines(axes: Axes, found: pd.DataFrame, column: str, scale: float = 1.0) -> None:
    """Names of editors at the right ends of their lines."""
    palette, own = _bases(found), found[found["column"] == column]
    last = own.groupby(["base", "editor"], sort=False).tail(1)
    _end_labels(
        axes,
        [
            (mean * scale, editor, palette[base])
            for base, editor, mean in last[["base", "editor", "mean"]].itertuples(index=False)
        ],
    )


def _end_labels(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Label lines right of the panel, at the height of their ends, moved apart where they are close."""
    place = axes.transData + axes.transAxes.inverted()
    heights = [float(place.transform((1.0, y))[1]) for y, _, _ in ends]
    order, at = np.argsort(heights), -np.inf
    for k in order:
        at = max(min(heights[k], 1 - 0.055 * (len(ends) - 1 - list(order).index(k))), at + 0.055)
        axes.annotate(
            ends[k][1],
            (1.02, at),
            xycoords="axes fraction",
            color=ends[k][2],
            va="center",
            fontsize="x-small",
            annotation_clip=False,
        )


# ---- Cost of the projection ------------------------------------------------------------------------------


def cost(found: pd.DataFrame, about: str) -> Figure:
    """Time of the projection against the solve, and of a whole stream with SPHERE against without.

    Parameters
    ----------
    found
        As `projection_costs` returns them, of one host.
    about
        Host and sample sizes, for the caption.

    Returns
    -------
    Figure
        Two panels, a row an editor.
    """
    editors = list(dict.fromkeys(found["editor"]))
    figure, grid = panels(1, 2, width=11, height=1.8 + 0.35 * len(editors))
    says = {
        "projection": "time of ΔW ↦ ΔW·P / time of the solve, same batch (%)",
        "whole stream": "steps of the stream with SPHERE against without (%)",
    }
    palette = _bases(found)
    for axes, (ratio, label) in zip(grid, says.items(), strict=True):
        own = found[found["ratio"] == ratio]
        for row in own.itertuples(index=False):
            place, colour = editors.index(row.editor), palette[row.base]
            axes.hlines(place, 100 * row.low, 100 * row.high, color=colour, linewidth=1.2)
        marks = [editors.index(editor) for editor in own["editor"]]
        axes.scatter(100 * own["mean"], marks, color=[palette[base] for base in own["base"]], s=26, zorder=3)
        axes.axvline(0, color="0.6", linewidth=0.8)
        axes.set_yticks(
            range(len(editors)), editors if ratio == "projection" else [""] * len(editors), fontsize="small"
        )
        axes.set_ylim(len(editors) - 0.5, -0.5)
        axes.set_xlabel(label)
        axes.grid(axis="y", color="0.93")
        axes.spines[["top", "right", "left"]].set_visible(False)
    for row in found[found["ratio"] == "projection"].itertuples(index=False):
        grid[0].annotate(
            f"{_read(1000 * row.project)} of {_read(1000 * row.solve)} ms",
            (100 * row.mean, editors.index(row.editor)),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize="xx-small",
            color="0.4",
        )
    _title(figure, "What the projection costs")
    caption(
        figure,
        f"{about}. Left: medians over batches but the first; right: all steps, the principal space "
        f"included, paired by seed. Means over {int(found['seeds'].min())} or more seeds; bars: 95% "
        "intervals (Student's t). Times depend on the machine and on what else it does.",
        width=150,
    )
    return figure


def _read(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


# ---- Does the pretrained principal space stay the right one ------------------------------------------------


def turning(found: pd.DataFrame, compared: pd.DataFrame, about: str) -> Figure:
    """How the principal space turns along streams, and what a refreshed one changes.

    Parameters
    ----------
    found
        `courses` of `TURNING`.
    compared
        As `refreshed` returns them.
    about
        Host and sample sizes, for the caption.

    Returns
    -------
    Figure
        Above the turn, a line an editor; below the metrics with a refreshed U less those with the pretrained
        one.
    """
    figure, grid = panels(2, 4, width=14.5, height=6.4)
    _course(grid[0], found, "principal_overlap", "share of span(U0) left")
    _course(grid[1], found, "principal_rank", "rank of U")
    _course(grid[2], found, "principal_angle", "largest principal angle (°)", 180 / np.pi)
    _course(grid[3], found, "principal_share", "share of ‖ΔW‖² in span(U0)")
    _log_heights(grid[0], found[found["column"] == "principal_overlap"]["mean"])
    grid[3].set_ylim(-0.03, 1.03)
    grid[1].set_ylim(0, None)
    grid[2].set_ylim(0, 93)
    _name_lines(grid[3], found, "principal_share")
    palette = _bases(found)
    for axes, metric in zip(grid[4:], METRICS, strict=False):
        own = compared[compared["metric"] == metric]
        ends = []
        for base, line in own.groupby("base", sort=False):
            colour = palette[base]
            low, high = line["low"].clip(-1, 1), line["high"].clip(-1, 1)
            axes.plot(line["edits"], line["gain"], color=colour, linewidth=1.4, label=base)
            axes.fill_between(line["edits"], low, high, color=colour, alpha=0.15, linewidth=0)
            ends.append((float(line["gain"].iloc[-1]), base, colour))
        axes.axhline(0, color="0.5", linewidth=0.8)
        axes.set_xlim(0, None)
        axes.set_xlabel("edits")
        axes.set_title(metric, loc="left", fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        if metric == METRICS[-1]:
            _end_labels(axes, ends)
    grid[4].set_ylabel("refreshed U − pretrained U")
    grid[7].set_axis_off()
    _title(figure, "Does the pretrained principal space stay the right one?")
    caption(
        figure,
        f"{about}. Dashed with SPHERE, dotted with SPHERE on U of the weights before each batch. Share left: "
        "‖U0ᵀU‖² / r, at most the rank of U over r. Below: what a refreshed U changes, paired on "
        f"{_count(compared['seeds'].max(), 'seed')}. Means over seeds; bands: 95% intervals (Student's t).",
        width=170,
    )
    return figure


# ---- Why directions of variance ----------------------------------------------------------------------------

_PARTS = {"mean": "mean direction", "covariance": "covariance", "both": "both"}


def directions(rows: pd.DataFrame) -> Figure:
    """How much of the energy SPHERE's directions hold, beside other spaces.

    Parameters
    ----------
    rows
        Of `EnergyDirections`.

    Returns
    -------
    Figure
        Share of ‖∇HE‖² in each space; what mean and covariance of the directions explain of ∇HE; and the
        |ΔHE| of real edits that each projector leaves.
    """
    gradient, model, edit = (rows[rows["kind"] == kind] for kind in ("gradient", "model", "edit"))
    edits = list(dict.fromkeys(edit["edit"]))
    figure, grid = panels(1, 2 + len(edits), width=4.2 + 2.9 * (1 + len(edits)), height=4.4)
    shares, explained, left = grid[0], grid[1], grid[2:]
    groups = _palette(rows)
    names = list(SPACES)
    _dots(shares, gradient, "space", names, "share", groups)
    real = gradient[_group(gradient) == REAL] if REAL in groups else gradient
    chance = [real[real["space"] == name].eval("rank / directions").mean() for name in names]
    shares.plot(chance, range(len(names)), "|", color="0.2", markersize=16, gid="chance")
    shares.set_xlim(-0.03, 1.03)
    shares.set_xlabel("share of ‖∇HE‖² inside\n( | : by chance, r / n)")
    shares.set_yticks(range(len(names)), [SPACES[name] for name in names], fontsize="small")
    _dots(explained, model, "part", list(_PARTS), "cosine", groups)
    explained.set_yticks(range(len(_PARTS)), list(_PARTS.values()), fontsize="small")
    explained.set_xlim(-0.03, 1.03)
    explained.set_xlabel("cosine with ∇HE of the\ngradient of that part of HE")
    for axes, name in zip(left, edits, strict=True):
        own = edit[edit["edit"] == name]
        _dots(axes, own, "space", names, "change_left", groups, log=True)
        shrunk = own[_group(own) == next(iter(groups))]
        means = [_geometric(shrunk[shrunk["space"] == space]["change_shrunk"])[0] for space in names]
        axes.plot(means, range(len(names)), "|", color="0.2", markersize=16, gid="shrunk")
        axes.axvline(1, color="0.6", linewidth=0.8)
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis)
        axes.set_yticks(range(len(names)), [""] * len(names))
        axes.set_title(name, loc="left", fontsize="medium")
        axes.set_xlabel("|ΔHE| left by P, after / before\n( | : shrunk to the same norm)")
    for axes in grid:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="y", color="0.93")
        axes.invert_yaxis()
    for k, (group, colour) in enumerate(groups.items()):
        explained.text(
            0.03, 0.24 - 0.06 * k, group, color=colour, transform=explained.transAxes, fontsize="small"
        )
    _title(figure, "Why directions of variance, for an energy of angles?")
    caption(
        figure,
        f"{_layers(rows)} and {_seeds(rows)} of a synthetic layer, up to "
        f"{_count(edit['draw'].max() + 1, 'batch', 'batches')} of {int(edit['batch'].max())} edits a layer "
        f"from the pretrained weights, η = {rows['eta'].iloc[0]:g}, α = {rows['alpha'].iloc[0]:g}. To "
        "second order in the cosines HE is a constant + √½(½‖Σûᵢ‖² + ⅜‖ÛᵀÛ‖²): mean direction and "
        "covariance. Small: one layer or seed; large: mean (of |ΔHE| geometric) with its 95% interval "
        "over them (Student's t).",
        width=180,
    )
    return figure


def _plain_ticks(axis: Axis) -> None:
    """Numbers on a logarithmic axis as they are read, few enough not to touch."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = sorted(axis.get_view_interval())
    steps = (1,) if high / low > 100 else (1, 2, 5) if high / low > 3 else (1, 1.2, 1.5, 2, 3, 5, 8, 9)
    ticks = [step * 10.0**power for power in range(-9, 10) for step in steps]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _dots(
    axes: Axes,
    rows: pd.DataFrame,
    by: str,
    names: Sequence[str],
    column: str,
    groups: Mapping[str, str],
    *,
    log: bool = False,
) -> None:
    """One small mark a layer or seed, and their mean with its interval, in a row a name."""
    average = _geometric if log else mean_interval
    for k, (group, colour) in enumerate(groups.items()):
        shift = 0.16 * (2 * k - len(groups) + 1)
        own = rows[_group(rows) == group]
        found = {}
        for place, name in enumerate(names):
            one = own[own[by] == name].groupby(["host", "seed"], sort=False)[column]
            each = np.array([average(draws.to_numpy())[0] for _, draws in one])
            if len(each):
                axes.plot(each, [place + shift] * len(each), ".", color=colour, alpha=0.45, markersize=5)
                found[place + shift] = average(each)
        if found:
            mean, low, high = np.array(list(found.values())).T
            axes.hlines(list(found), low, high, color=colour, linewidth=1.2)
            axes.plot(mean, list(found), "D", color=colour, markersize=5, gid=group, zorder=3)


def _geometric(values: pd.Series | np.ndarray) -> tuple[float, float, float]:
    mean, low, high = np.exp(mean_interval(np.log(np.asarray(values, dtype=float))))
    return float(mean), float(low), float(high)


# ---- SPHERE's space and AlphaEdit's ------------------------------------------------------------------------


def null_space(rows: pd.DataFrame) -> Figure:
    """How much of SPHERE's space AlphaEdit's null space contains, and how much of an edit SPHERE's space.

    Parameters
    ----------
    rows
        Of `SpaceOverlap`.

    Returns
    -------
    Figure
        Share inside against chance, a curve a layer, thresholds marked; and the share of ‖ΔW‖² that SPHERE
        would suppress, beside chance.
    """
    figure, (share, edits) = panels(1, 2, width=12, height=4.8)
    curves, marks, edit = (rows[rows["kind"] == kind] for kind in ("curve", "threshold", "edit"))
    groups = _palette(rows)
    for (label, seed), line in curves.groupby(["host", "seed"], sort=False):
        colour = groups[_group(line).iloc[0]]
        share.plot(line["chance"], line["inside"], color=colour, linewidth=0.9, label=f"{label}, seed {seed}")
    share.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, linestyle=":", label="_chance")
    shapes = dict(zip(sorted(marks["threshold"].unique()), "ovsD^P", strict=False))
    for threshold, shape in shapes.items():
        own = marks[(marks["threshold"] == threshold) & (marks["kept"] > 0)]
        share.scatter(
            own["chance"],
            own["inside"],
            marker=shape,
            s=24,
            c=[groups[g] for g in _group(own)],
            zorder=3,
            label=f"C0 < {threshold:g}",
        )
    share.set_xlabel("share of all directions in the null space, q / d: by chance")
    share.set_ylabel("share of span(U) inside, ‖QᵀU‖² / r")
    for k, (group, colour) in enumerate(groups.items()):
        share.text(
            0.03, 0.96 - 0.06 * k, group, color=colour, transform=share.transAxes, va="top", fontsize="small"
        )
    handles, names = share.get_legend_handles_labels()
    chosen = [(h, n) for h, n in zip(handles, names, strict=True) if n.startswith("C0 <")]
    share.legend(
        *zip(*chosen, strict=True), loc="lower right", frameon=False, fontsize="x-small", title="threshold"
    )
    told = edit.assign(what=[_edit_name(*one) for one in edit[["edit", "threshold"]].itertuples(index=False)])
    whats = list(dict.fromkeys(told["what"]))
    _dots(edits, told, "what", whats, "edit_inside", groups)
    for k, (group, colour) in enumerate(groups.items()):
        own = told[_group(told) == group].groupby("what", sort=False)["chance"].mean()
        shift = 0.16 * (2 * k - len(groups) + 1)
        edits.plot(
            own, [whats.index(w) + shift for w in own.index], "|", color=colour, markersize=14, gid="chance"
        )
    edits.set_yticks(range(len(whats)), whats, fontsize="small")
    edits.invert_yaxis()
    edits.set_xlim(0, None)
    edits.set_xlabel("share of ‖ΔW‖² in span(U)   ( | : by chance)")
    for axes in (share, edits):
        axes.spines[["top", "right"]].set_visible(False)
    _title(figure, "SPHERE's space and AlphaEdit's null space")
    caption(
        figure,
        f"{_layers(rows)}, {_seeds(rows)} of a synthetic layer; U: η = {rows['eta'].iloc[0]:g}. Chance for "
        "an edit: anywhere in the null space, or for MEMIT anywhere. Small: a layer or seed, mean over up "
        f"to {_count(edit['draw'].max() + 1, 'batch', 'batches')} of {int(rows['batch'].max())} edits; "
        "large: their mean and its 95% interval (Student's t).",
        width=160,
    )
    return figure


def _edit_name(edit: str, threshold: float) -> str:
    return edit if np.isnan(threshold) else f"{edit}, C0 < {threshold:g}"


def seeds(found: pd.DataFrame, about: str) -> Figure:
    """What SPHERE adds to one editor along streams, over seeds.

    Parameters
    ----------
    found
        As `gains_along` returns them.
    about
        Host and sample sizes, for the caption.

    Returns
    -------
    Figure
        A panel a metric: with SPHERE, without, and above each the paired difference.
    """
    base = found["base"].iloc[0]
    figure, grid = panels(2, len(METRICS), width=12, height=5.6)
    levels, differences = grid[: len(METRICS)], grid[len(METRICS) :]
    for axes, difference, metric in zip(levels, differences, METRICS, strict=True):
        own = found[found["metric"] == metric]
        for column, colour, name in (("before", COLOURS[0], base), ("after", COLOURS[1], f"{base} + SPHERE")):
            axes.plot(own["edits"], own[column], color=colour, linewidth=1.4, label=name)
        difference.plot(own["edits"], own["gain"], color="0.2", linewidth=1.4, label="gain")
        difference.fill_between(own["edits"], own["low"], own["high"], color="0.2", alpha=0.15, linewidth=0)
        difference.axhline(0, color="0.5", linewidth=0.8)
        axes.set_ylim(-0.03, 1.03)
        axes.set_title(metric, loc="left", fontsize="medium")
        difference.set_xlabel("edits")
        for one in (axes, difference):
            one.set_xlim(0, None)
            one.spines[["top", "right"]].set_visible(False)
    levels[0].set_ylabel("mean over seeds")
    differences[0].set_ylabel("with SPHERE − without")
    last = found[found["metric"] == METRICS[-1]].iloc[-1]
    ends = [(last["before"], base, COLOURS[0]), (last["after"], f"{base} + SPHERE", COLOURS[1])]
    _end_labels(levels[-1], ends)
    _title(figure, f"{base} with and without SPHERE, over seeds")
    caption(
        figure,
        f"{about}. Below: paired on {int(found['seeds'].min())} or more seeds; band: 95% interval "
        "(Student's t).",
        width=150,
    )
    return figure


def _count(number: Any, one: str, many: str | None = None) -> str:
    return f"{int(number)} {one if number == 1 else many or one + 's'}"


def _layers(rows: pd.DataFrame) -> str:
    real = rows[rows["real"].astype(bool)]
    return f"{_count(real['host'].nunique(), f'{REAL} layer')} with recorded keys"


def _seeds(rows: pd.DataFrame) -> str:
    return _count(rows[~rows["real"].astype(bool)]["seed"].nunique(), "seed")


def _title(figure: Figure, text: str) -> None:
    figure.suptitle(text, x=0.02, ha="left", fontsize="large")
