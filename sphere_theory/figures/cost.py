"""Figures of cost: growth along every axis, steps along a stream, and shapes beyond those measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.analysis.cost import ASPECT, BATCHWISE, DECOMPOSITIONS, ETA
from sphere_theory.analysis.cost_growth import constancy, cost_points, exponents, predictions, series
from sphere_theory.arrays import as_choice
from sphere_theory.figures.style import COLOURS, caption, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Column, its bounds, what it is called, and how many of it make the unit.
QUANTITIES: Mapping[str, tuple[str, str, str, float]] = {
    "seconds": ("seconds_low", "seconds_high", "time (s)", 1.0),
    "peak_bytes": ("peak_low", "peak_high", "peak extra memory (MiB)", 2.0**20),
}

_COLUMNS = {
    "n": "neurons n",
    "d": "inputs d",
    "batch": "edits a batch",
    "shape": f"neurons n, with d = {ASPECT:g} n",
}
_ROWS = (
    ("of every batch", BATCHWISE, ("n", "d", "batch")),
    ("of a layer", DECOMPOSITIONS, ("n", "d", "shape")),
)

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


def cost_growth(rows: pd.DataFrame, quantity: str = "seconds") -> Figure:
    """Time or memory along every axis, with the exponents of time.

    Parameters
    ----------
    rows
        Of `Cost`, with its fields as columns.
    quantity
        A key of `QUANTITIES`.

    Returns
    -------
    Figure
        A row of panels for what every batch takes and one for the decompositions of a layer, a column an
        axis; medians with bars from the smallest to the largest repetition.

    Raises
    ------
    RangeError
        An unknown quantity.
    """
    as_choice(quantity, "quantity", tuple(QUANTITIES))
    points, found = cost_points(rows), exponents(rows) if quantity == "seconds" else None
    figure, grid = panels(2, 3, width=11.5, height=7.6)
    for j, (title, operations, axes_names) in enumerate(_ROWS):
        for k, axis in enumerate(axes_names):
            axes, own = grid[3 * j + k], series(points, axis)
            own = own[own["operation"].isin(list(operations))]
            _growth_panel(axes, own, quantity, found, axis)
            axes.set_title(f"{title}, {_fixed(own)}", loc="left", fontsize="small")
            axes.set_xlabel(_COLUMNS[axis])
            axes.set_ylabel(QUANTITIES[quantity][2] if k == 0 else "")
    what = "time" if quantity == "seconds" else "memory"
    figure.suptitle(f"How the {what} of editing grows", x=0.02, ha="left", fontsize="large")
    exponent = (
        "Figures: exponent over the three largest points, its 95% interval (one repetition drawn for "
        "each point), and in brackets that of the counted operations alone. "
        if quantity == "seconds"
        else "Extra: growth of the process's resident memory during a call beyond its inputs; constant "
        "buffers and the allocator's rounding are part of it. "
    )
    caption(
        figure,
        f"{_about(rows)} {exponent}Steps of editors: mean over a cycle after which their inverse is "
        "multiplied out, setting up left out. Projection: a low-rank edit, U known. Energy kept "
        f"current: update and energy. Principal spaces at η = {ETA:g} of Gaussian weights, or with "
        "columns of variance 1/k where decay is written.",
        width=165,
    )
    return figure


def _about(rows: pd.DataFrame) -> str:
    threads = ", ".join(map(str, sorted(rows["threads"].unique())))
    processors = "; ".join(sorted(rows["processor"].unique()))
    repeats = int(cost_points(rows)["repeats"].min())
    return (
        f"W in float32; b = 100 edits a batch where it is not the axis; medians of {repeats} "
        f"repetitions after one untimed, bars from least to largest; {threads} thread(s) of "
        f"{processors}."
    )


def _fixed(own: pd.DataFrame) -> str:
    return " or ".join(dict.fromkeys(own["fixed"])) if len(own) else "no series"


def operation_words(operation: str, decay: float) -> str:
    """How an operation is called.

    Parameters
    ----------
    operation
        As in the rows of `Cost`.
    decay
        Of the spectrum of its weights; 0: Gaussian ones.

    Returns
    -------
    str
        Such as "randomised, decay 1".
    """
    return _NAMES[operation] + (f", decay {decay:g}" if decay else "")


def operations_of(points: pd.DataFrame) -> list[tuple[str, float]]:
    """Operations with the decay of their weights' spectrum, in the order in which they are told of.

    Parameters
    ----------
    points
        With columns operation and decay.

    Returns
    -------
    list of tuple
        Each pair once.
    """
    pairs = points[["operation", "decay"]].drop_duplicates()
    order = list(_NAMES)
    found = [(str(operation), float(decay)) for operation, decay in pairs.itertuples(index=False)]
    return sorted(found, key=lambda kind: (order.index(kind[0]), kind[1]))


def _colour(operation: str, decay: float) -> str:
    family = list(BATCHWISE) if operation in BATCHWISE else list(DECOMPOSITIONS)
    return COLOURS[family.index(operation) + (1 if decay else 0)]


def _growth_panel(
    axes: Axes, points: pd.DataFrame, quantity: str, found: pd.DataFrame | None, axis: str
) -> None:
    low, high, _, unit = QUANTITIES[quantity]
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    for operation, decay in operations_of(points):
        own = points[(points["operation"] == operation) & (points["decay"] == decay)].sort_values("value")
        text, colour = operation_words(operation, decay), _colour(operation, decay)
        if found is not None:
            text += _exponent(found, axis, operation, decay)
        axes.plot(own["value"], own[quantity] / unit, marker="o", markersize=4, color=colour, label=text)
        axes.vlines(own["value"], own[low] / unit, own[high] / unit, color=colour, linewidth=0.8)
    values = sorted(set(points["value"]))
    axes.set_xticks(values, [f"{value:g}" if _apart(value, values) else "" for value in values])
    axes.minorticks_off()
    if len(points):
        axes.legend(
            loc="upper left", bbox_to_anchor=(0, -0.2), frameon=False, fontsize="x-small", handlelength=1.2
        )


def _apart(value: float, values: list[float]) -> bool:
    """Whether a tick's label has room: whether no round number is close to it."""
    return not any(other > value and other < 1.4 * value for other in values)


def _exponent(found: pd.DataFrame, axis: str, operation: str, decay: float) -> str:
    own = found[(found["axis"] == axis) & (found["operation"] == operation) & (found["decay"] == decay)].iloc[
        0
    ]
    said = f": {own['exponent']:.2f} [{own['low']:.2f}, {own['high']:.2f}] ({own['counted']:.2f})"
    return said.replace("-", "−")


def cost_along_stream(rows: pd.DataFrame) -> Figure:
    """Time of every step along a stream, and the memory that it leaves.

    Parameters
    ----------
    rows
        Of `StreamCost`, with its fields as columns.

    Returns
    -------
    Figure
        A panel for each operation: every step of every seed as a dot, means over seeds and a tenth of the
        stream as a line; and a panel with the memory.
    """
    from matplotlib.ticker import LogLocator

    found = constancy(rows)
    figure, grid = panels(1, len(found) + 1, width=3.2 * (len(found) + 1), height=4.0)
    for axes, colour, verdict in zip(grid, COLOURS, found.to_dict("records"), strict=False):
        own = rows[rows["operation"] == verdict["operation"]]
        axes.plot(
            own["edits"], 1000 * own["seconds"], ".", color=colour, alpha=0.25, markersize=3, gid="steps"
        )
        size = max(1, verdict["steps"] // 10)
        smooth = own.groupby((own["step"] - 1) // size).agg(
            edits=("edits", "mean"), seconds=("seconds", "mean")
        )
        axes.plot(smooth["edits"], 1000 * smooth["seconds"], color=colour, linewidth=2, gid="mean")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_title(_NAMES[verdict["operation"]], loc="left", fontsize="medium")
        ratio = f"{verdict['ratio']:.3f} [{verdict['low']:.3f}, {verdict['high']:.3f}]"
        axes.annotate(
            f"last third / middle third:\n{ratio}",
            (0.03, 0.97),
            xycoords="axes fraction",
            va="top",
            fontsize="small",
        )
        axes.margins(y=0.25)
        axes.set_xlabel("edits made")
    grid[0].set_ylabel("time of a step (ms)")
    memory = grid[-1]
    for colour, (operation, own) in zip(COLOURS, rows.groupby("operation", sort=False), strict=False):
        held = own.groupby("edits")["state_bytes"].mean() / 2**20
        memory.plot(held.index, held, color=colour, label=str(operation))
        memory.annotate(
            _NAMES[str(operation)],
            (held.index[-1], float(held.max())),
            (0, -4 if operation == "alphaedit" else 3),  # its line lies just below that of memit-seq
            textcoords="offset points",
            ha="right",
            va="top" if operation == "alphaedit" else "bottom",
            color=colour,
            fontsize="small",
        )
    memory.set_ylim(0, None)
    memory.set_xlabel("edits made")
    memory.set_ylabel("memory carried to the next step (MiB)")
    for axes in grid:
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Does a step of a long stream cost more?", x=0.02, ha="left", fontsize="large")
    first, processors = found.iloc[0], "; ".join(sorted(rows["processor"].unique()))
    threads = ", ".join(map(str, sorted(rows["threads"].unique())))
    caption(
        figure,
        f"W of {first['n']}×{first['d']} in float32, {first['steps']:,} batches of {first['batch']}, "
        f"Gaussian keys, {int(found['seeds'].min())} seeds, {threads} thread(s) of {processors}. "
        f"Dots: every step; lines: means of {max(1, first['steps'] // 10)} steps over seeds. Ratios: "
        "mean over seeds with 95% interval (Student's t). Memory: tensors that the next step needs "
        "beside W and C0.",
        width=150,
    )
    return figure


def cost_extrapolated(rows: pd.DataFrame) -> Figure:
    """Time and memory measured along shapes, and what models say of those of 70B and 405B models.

    Parameters
    ----------
    rows
        Of `Cost`, with its fields as columns.

    Returns
    -------
    Figure
        Time above, memory below; what every batch takes left, the decompositions of a layer right. Measured
        points filled and joined; extrapolated ones hollow with 95% intervals, dashed, and labelled so.
    """
    along, beyond = series(cost_points(rows), "shape"), predictions(rows)
    figure, grid = panels(2, 2, width=11.5, height=9.0)
    for j, quantity in enumerate(QUANTITIES):
        for k, operations in enumerate((BATCHWISE, DECOMPOSITIONS)):
            axes = grid[2 * j + k]
            chosen = [table[table["operation"].isin(list(operations))] for table in (along, beyond)]
            _extrapolated_panel(axes, chosen[0], chosen[1], quantity)
            axes.set_title("of every batch" if k == 0 else "of a layer, once", loc="left", fontsize="medium")
            axes.set_xlabel("neurons n" if j else "")
    shapes = "; ".join(
        f"{name}: {n:,} × {d:,}"
        for name, n, d in beyond[["shape", "n", "d"]].drop_duplicates().itertuples(index=False)
    )
    figure.suptitle("Measured, and extrapolated to large models", x=0.02, ha="left", fontsize="large")
    caption(
        figure,
        f"{_about(rows)} Filled: measured, d = {ASPECT:g} n. Hollow and dashed: extrapolated "
        f"({shapes}), not measured: time a·flops + b·(bytes, or operations of a decomposition), "
        "memory a + b·(arrays held), fitted to the largest measured points; 95% intervals from "
        "drawing points and repetitions, which know nothing of what happens beyond the measured "
        f"sizes. Beside the names: {beyond['shape'].iloc[-1]}. Ranks of principal spaces (η = "
        f"{ETA:g}) by a power of n. Held out: what models fitted without the largest point predict "
        f"there, over what was measured: {_held_out(beyond)}.",
        width=165,
    )
    return figure


def _held_out(beyond: pd.DataFrame) -> str:
    once = beyond.drop_duplicates(["operation", "decay"])
    return "; ".join(
        f"{operation_words(str(operation), float(decay))} {time:.2f} (memory {memory:.2f})"
        for operation, decay, time, memory in once[
            ["operation", "decay", "held_out", "held_out_peak"]
        ].itertuples(index=False)
    )


def _extrapolated_panel(axes: Axes, along: pd.DataFrame, beyond: pd.DataFrame, quantity: str) -> None:
    low, high, label, unit = QUANTITIES[quantity]
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    ends = []
    for operation, decay in operations_of(beyond):
        colour, text = _colour(operation, decay), operation_words(operation, decay)
        seen, ahead = (
            table[(table["operation"] == operation) & (table["decay"] == decay)].sort_values("n")
            for table in (along, beyond)
        )
        axes.plot(seen["n"], seen[quantity] / unit, marker="o", markersize=4, color=colour, label=text)
        x = [*seen["n"].tail(1), *ahead["n"]]
        y = np.array([*seen[quantity].tail(1), *ahead[quantity]]) / unit
        axes.plot(x, y, linestyle="--", linewidth=1, color=colour)
        axes.plot(
            ahead["n"],
            ahead[quantity] / unit,
            marker="o",
            markersize=6,
            markerfacecolor="white",
            color=colour,
            linestyle="none",
            label=f"{text}, extrapolated",
        )
        axes.vlines(ahead["n"], ahead[low] / unit, ahead[high] / unit, color=colour, linewidth=1)
        last = ahead.iloc[-1]
        ends.append((float(last[quantity]), f"{text}: {in_units(float(last[quantity]), quantity)}", colour))
    _end_labels(axes, float(beyond["n"].max()), [(y / unit, text, colour) for y, text, colour in ends])
    ticks = [*sorted(set(along["n"])), *sorted(set(beyond["n"]))]
    names = dict(beyond[["n", "shape"]].itertuples(index=False))
    shown = [f"{n:g}\n{names[n]}" if n in names else f"{n:g}" if _apart(n, ticks) else "" for n in ticks]
    axes.set_xticks(ticks, shown)
    axes.axvspan(0.7 * float(beyond["n"].min()), axes.get_xlim()[1], color="0.96", zorder=0)
    axes.annotate(
        "extrapolated",
        (float(beyond["n"].min()), 0.02),
        xycoords=axes.get_xaxis_transform(),
        ha="center",
        fontsize="small",
        color="0.4",
    )
    axes.tick_params(axis="x", labelsize="x-small")
    axes.minorticks_off()


def _end_labels(axes: Axes, x: float, ends: list[tuple[float, str, str]]) -> None:
    """Texts right of the last points, moved apart on the logarithmic axis."""
    bottom, top = np.log(axes.get_ylim())
    least, at = 0.06 * (top - bottom), -np.inf
    for y, text, colour in sorted(ends):
        at = max(float(np.log(y)), at + least)
        axes.annotate(
            text,
            (x, y),
            (1.35 * x, float(np.exp(at))),
            color=colour,
            va="center",
            fontsize="small",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5},
        )


_TIMES = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_SIZES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))


def in_units(value: float, quantity: str) -> str:
    """A time in seconds or a size in bytes, in words.

    Parameters
    ----------
    value
        Not negative.
    quantity
        A key of `QUANTITIES`.

    Returns
    -------
    str
        Such as "2.8 h" or "17 GiB".
    """
    units = _TIMES if quantity == "seconds" else _SIZES
    size, name = next(((size, name) for size, name in units if value >= size), units[-1])
    return f"{value / size:.{0 if value >= 10 * size else 1}f} {name}"
