"""Costs in figures: growth along every axis, shapes beyond those measured, steps along a stream.

What is drawn are frames of `cost_growth`; see `sphere_theory.study.questions.cost`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sphere_theory.experiments.cost import ASPECT, BATCHWISE, DECOMPOSITIONS, ETA
from sphere_theory.plotting import COLOURS, bare, caption, name_ends, palette, panels, plain_ticks, title
from sphere_theory.study.markdown import number
from sphere_theory.study.question import Frames
from sphere_theory.study.wording import Row, spanned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# An operation, and the decay of its weights' spectrum; 0: Gaussian weights.
_Kind = tuple[str, float]

# Operations as they are called, in the order in which they are told of.
_NAMES = {
    "energy": "energy, afresh",
    "energy update": "energy, kept current",
    "memit-seq": "memit-seq step",
    "alphaedit": "alphaedit step",
    "projection": "SPHERE's projection",
    "covariance": "covariance, exact",
    "dual": "dual, exact",
    "randomized": "randomised",
}

# Kinds of operations, and their numbers in words.


def _kinds(points: pd.DataFrame) -> list[_Kind]:
    pairs = points[["operation", "decay"]].drop_duplicates().itertuples(index=False, name=None)
    order = list(_NAMES)
    return sorted(pairs, key=lambda kind: (order.index(kind[0]), kind[1]))


def _of(points: pd.DataFrame, kind: _Kind) -> pd.DataFrame:
    return points[(points["operation"] == kind[0]) & (points["decay"] == kind[1])]


def _among(points: pd.DataFrame, operations: Collection[str]) -> pd.DataFrame:
    return points[points["operation"].isin(list(operations))]


def _called(kind: _Kind) -> str:
    operation, decay = kind
    return _NAMES[operation] + (f", decay {decay:g}" if decay else "")


def _colour(kind: _Kind) -> str:
    operation, decay = kind
    family = list(BATCHWISE if operation in BATCHWISE else DECOMPOSITIONS)
    return COLOURS[family.index(operation) + bool(decay)]


_TIMES = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_BYTES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))


def in_units(value: float, quantity: str) -> str:
    """A time or a size in words.

    Parameters
    ----------
    value
        Seconds or bytes, not negative.
    quantity
        "seconds" or "peak_bytes".

    Returns
    -------
    str
        Such as "2.8 h" or "17 GiB".
    """
    units = _TIMES if quantity == "seconds" else _BYTES
    size, name = next(((size, name) for size, name in units if value >= size), units[-1])
    return f"{value / size:.{0 if value >= 10 * size else 1}f} {name}"


def named(rows: pd.DataFrame) -> Iterator[tuple[str, Row]]:
    """Rows with the names of their operations, in the order in which these are told of.

    Parameters
    ----------
    rows
        With operation and decay.

    Yields
    ------
    name, row
        Such as "randomised, decay 1".
    """
    for kind in _kinds(rows):
        yield from ((_called(kind), row) for row in _of(rows, kind).to_dict("records"))


def _ran_on(conditions: pd.DataFrame) -> str:
    threads = ", ".join(map(str, sorted(conditions["threads"].unique())))
    return f"{threads} thread(s) of {'; '.join(sorted(conditions['processor'].unique()))}"


def _timed(frames: Frames) -> str:
    """How the measured points of a figure came about."""
    return (
        f"W in float32; b = 100 edits a batch where it is not the axis; medians of "
        f"{frames['conditions']['repeats'].iloc[0]} repetitions after one untimed, bars from least to "
        f"largest; {_ran_on(frames['conditions'])}."
    )


# Growth along every axis.

_AXES = {
    "n": "neurons n",
    "d": "inputs d",
    "batch": "edits a batch",
    "shape": f"neurons n, with d = {ASPECT:g} n",
}
_PANELS = [("of every batch", BATCHWISE, axis) for axis in ("n", "d", "batch")]
_PANELS += [("of a layer", DECOMPOSITIONS, axis) for axis in ("n", "d", "shape")]


def draw_growth(frames: Frames, about: str) -> Figure:
    """Time along every axis, with its exponents.

    Parameters
    ----------
    frames
        "measured": `series` along every axis, named by "axis"; "exponents", as of `exponents`; "conditions":
        threads, processor and repeats.
    about
        Not said: a cost is of no host.

    Returns
    -------
    Figure
        A row of panels for what every batch takes and one for the decompositions of a layer, a column an
        axis; medians with bars from the smallest to the largest repetition.
    """
    figure, grid = panels(2, 3, width=11.5, height=7.6)
    for axes, (words, operations, axis) in zip(grid, _PANELS, strict=True):
        measured = frames["measured"]
        own = _among(measured[measured["axis"] == axis], operations)
        _growth_panel(axes, own, frames["exponents"])
        fixed = " or ".join(dict.fromkeys(own["fixed"])) or "no series"
        axes.set_title(f"{words}, {fixed}", loc="left", fontsize="small")
        axes.set_xlabel(_AXES[axis])
    for axes in grid[::3]:
        axes.set_ylabel("time (s)")
    title(figure, "How the time of editing grows")
    caption(
        figure,
        f"{_timed(frames)} Figures: exponent over the three largest points, its 95% interval (one repetition "
        "drawn for each point), and in brackets that of the counted operations alone. Steps of editors: "
        "mean over a cycle after which their inverse is multiplied out, setting up left out. Projection: a "
        "low-rank edit, U known. Energy kept current: update and energy. Principal spaces at "
        f"η = {ETA:g} of Gaussian weights, or with columns of variance 1/k where decay is written.",
        width=165,
    )
    return figure


def _growth_panel(axes: Axes, points: pd.DataFrame, powers: pd.DataFrame) -> None:
    _logarithmic(axes)
    for kind in _kinds(points):
        own, colour = _of(points, kind).sort_values("value"), _colour(kind)
        power = _of(powers[powers["axis"] == own["axis"].iloc[0]], kind).iloc[0]
        text = f"{_called(kind)}: {spanned(power, 'exponent')} ({number(power['counted'])})"
        axes.plot(own["value"], own["seconds"], marker="o", markersize=4, color=colour, label=text)
        axes.vlines(own["value"], own["seconds_low"], own["seconds_high"], color=colour, linewidth=0.8)
    _sized_ticks(axes, points["value"], {})
    if len(points):
        axes.legend(
            loc="upper left", bbox_to_anchor=(0, -0.2), frameon=False, fontsize="x-small", handlelength=1.2
        )


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.minorticks_off()
    bare(axes)


def _sized_ticks(axes: Axes, sizes: Iterable[float], names: Mapping[float, str]) -> None:
    """A tick at every size, labelled where no larger one is close to it, or where it has a name."""
    ticks = sorted(set(sizes))
    labels = []
    for size in ticks:
        apart = not any(size < other < 1.4 * size for other in ticks)
        labels.append(f"{size:g}\n{names[size]}" if size in names else f"{size:g}" if apart else "")
    axes.set_xticks(ticks, labels)


# Beyond measured sizes.

# Column, what it is called, and how many of it make the unit; its bounds.
_QUANTITIES = {"seconds": ("time (s)", 1.0), "peak_bytes": ("peak extra memory (MiB)", 2.0**20)}
_BOUNDS = {"seconds": ("seconds_low", "seconds_high"), "peak_bytes": ("peak_low", "peak_high")}


def draw_beyond(frames: Frames, about: str) -> Figure:
    """Time and memory measured along shapes, and what models say of those of 70B and 405B models.

    Parameters
    ----------
    frames
        "measured": `series` along "shape"; "extrapolated", as of `predictions`; "conditions" as in
        `draw_growth`.
    about
        Not said: a cost is of no host.

    Returns
    -------
    Figure
        Time above, memory below; what every batch takes left, the decompositions of a layer right. Measured
        points filled and joined; extrapolated ones hollow with 95% intervals, dashed, and labelled so.
    """
    figure, grid = panels(2, 2, width=11.5, height=9.0)
    sides = (("of every batch", BATCHWISE), ("of a layer, once", DECOMPOSITIONS))
    cells = [(quantity, *side) for quantity in _QUANTITIES for side in sides]
    for axes, (quantity, words, operations) in zip(grid, cells, strict=True):
        seen, ahead = (_among(frames[name], operations) for name in ("measured", "extrapolated"))
        _beyond_panel(axes, seen, ahead, quantity)
        axes.set_title(words, loc="left", fontsize="medium")
    for axes in grid[2:]:
        axes.set_xlabel("neurons n")
    beyond = frames["extrapolated"]
    shapes = beyond[["shape", "n", "d"]].drop_duplicates().itertuples(index=False)
    said = "; ".join(f"{name}: {n:,} × {d:,}" for name, n, d in shapes)
    title(figure, "Measured, and extrapolated to large models")
    caption(
        figure,
        f"{_timed(frames)} Filled: measured, d = {ASPECT:g} n. Hollow and dashed: extrapolated ({said}), not "
        "measured: time a·flops + b·(bytes, or operations of a decomposition), memory a + b·(arrays held), "
        "fitted to the largest measured points; 95% intervals from drawing points and repetitions, which "
        "know nothing of what happens beyond the measured sizes. Beside the names: "
        f"{beyond['shape'].iloc[-1]}. Ranks of principal spaces (η = {ETA:g}) by a power of n. Held out: "
        "what models fitted without the largest point predict there, over what was measured: "
        f"{_held_out(beyond)}.",
        width=165,
    )
    return figure


def _held_out(beyond: pd.DataFrame) -> str:
    return "; ".join(
        f"{name} {number(row['held_out'])} (memory {number(row['held_out_peak'])})"
        for name, row in named(beyond.drop_duplicates(["operation", "decay"]))
    )


def _beyond_panel(axes: Axes, seen: pd.DataFrame, ahead: pd.DataFrame, quantity: str) -> None:
    label, unit = _QUANTITIES[quantity]
    _logarithmic(axes)
    axes.set_ylabel(label)
    ends = []
    for kind in _kinds(ahead):
        later = _of(ahead, kind).sort_values("n")
        _continued(axes, _of(seen, kind).sort_values("n"), later, quantity)
        end = float(later[quantity].iloc[-1])
        ends.append((end / unit, f"{_called(kind)}: {in_units(end, quantity)}", _colour(kind)))
    _sized_ticks(axes, [*seen["n"], *ahead["n"]], dict(ahead[["n", "shape"]].itertuples(index=False)))
    axes.tick_params(axis="x", labelsize="x-small")
    first = float(ahead["n"].min())
    axes.axvspan(0.7 * first, axes.get_xlim()[1], color="0.96", zorder=0)
    place = axes.get_xaxis_transform()
    axes.annotate("extrapolated", (first, 0.02), xycoords=place, ha="center", fontsize="small", color="0.4")
    name_ends(axes, ends)


def _continued(axes: Axes, seen: pd.DataFrame, ahead: pd.DataFrame, quantity: str) -> None:
    """An operation's measured line, and from its last point on the extrapolated one."""
    import pandas as pd

    (kind,), (_, unit) = _kinds(ahead), _QUANTITIES[quantity]
    colour, text = _colour(kind), _called(kind)
    axes.plot(seen["n"], seen[quantity] / unit, marker="o", markersize=4, color=colour, label=text)
    joined = pd.concat([seen.tail(1), ahead])[["n", quantity]]
    axes.plot(joined["n"], joined[quantity] / unit, linestyle="--", linewidth=1, color=colour)
    hollow: dict[str, Any] = {"markersize": 6, "markerfacecolor": "white", "label": f"{text}, extrapolated"}
    axes.plot(ahead["n"], ahead[quantity] / unit, "o", color=colour, **hollow)
    low, high = (ahead[bound] / unit for bound in _BOUNDS[quantity])
    axes.vlines(ahead["n"], low, high, color=colour, linewidth=1)


# Along a stream.


def draw_stream(frames: Frames, about: str) -> Figure:
    """Time of every step along a stream, and the memory that it leaves.

    Parameters
    ----------
    frames
        "steps"; their means, as of `tenths`; "ratios", as of `constancy`; "carried": bytes by operation and
        edits; "conditions": threads and processor.
    about
        Not said: a cost is of no host.

    Returns
    -------
    Figure
        A panel for each operation: every step of every seed as a dot, means over seeds and a tenth of the
        stream as a line; and a panel with the memory.
    """
    ratios = frames["ratios"]
    figure, grid = panels(1, len(ratios) + 1, width=3.2 * (len(ratios) + 1), height=4.0)
    colours = palette(ratios["operation"])
    for axes, ratio in zip(grid[:-1], ratios.to_dict("records"), strict=True):
        operation = [ratio["operation"]]
        steps, means = (_among(frames[name], operation) for name in ("steps", "tenths"))
        _steps_panel(axes, steps, means, ratio, colours[ratio["operation"]])
    grid[0].set_ylabel("time of a step (ms)")
    _carried_panel(grid[-1], frames["carried"], colours)
    title(figure, "Does a step of a long stream cost more?")
    first = ratios.iloc[0]
    caption(
        figure,
        f"W of {first['n']}×{first['d']} in float32, {first['steps']:,} batches of {first['batch']}, "
        f"Gaussian keys, {int(ratios['seeds'].min())} seeds, {_ran_on(frames['conditions'])}. "
        f"Dots: every step; lines: means of {max(1, first['steps'] // 10)} steps over seeds. Ratios: "
        "mean over seeds with 95% interval (Student's t). Memory: tensors that the next step needs "
        "beside W and C0.",
        width=150,
    )
    return figure


def _steps_panel(axes: Axes, steps: pd.DataFrame, means: pd.DataFrame, ratio: Row, colour: str) -> None:
    dots: dict[str, Any] = {"alpha": 0.25, "markersize": 3, "gid": "steps"}
    axes.set_yscale("log")
    axes.plot(steps["edits"], 1000 * steps["seconds"], ".", color=colour, **dots)
    axes.plot(means["edits"], 1000 * means["seconds"], color=colour, linewidth=2, gid="mean")
    axes.margins(y=0.25)
    plain_ticks(axes.yaxis)
    axes.set_title(_NAMES[ratio["operation"]], loc="left", fontsize="medium")
    axes.set_xlabel("edits made")
    said = f"last third / middle third:\n{spanned(ratio, 'ratio', '.3f')}"
    axes.annotate(said, (0.03, 0.97), xycoords="axes fraction", va="top", fontsize="small")
    bare(axes)


def _carried_panel(axes: Axes, carried: pd.DataFrame, colours: Mapping[str, str]) -> None:
    ends = []
    for operation, own in carried.groupby("operation", sort=False):
        name, sizes = str(operation), own["state_bytes"] / 2**20
        axes.plot(own["edits"], sizes, color=colours[name])
        ends.append((float(sizes.iloc[-1]), _NAMES[name], colours[name]))
    axes.set_ylim(0, None)
    axes.set_xlabel("edits made")
    axes.set_ylabel("memory carried to the next step (MiB)")
    bare(axes)
    name_ends(axes, ends)
