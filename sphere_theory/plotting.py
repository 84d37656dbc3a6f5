"""The one look of all figures: theme, colours, labels, captions, and how a figure is written.

A figure is a function of stored results that returns a matplotlib figure and measures nothing; `save` writes
it as PNG and SVG with its provenance in the file's metadata.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.files import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Wong's palette, told apart under the common kinds of colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@contextmanager
def theme() -> Generator[None]:
    """The one look of all figures, for the duration of a block.

    Yields
    ------
    None
        matplotlib's settings are put back afterwards.
    """
    import matplotlib
    import seaborn

    style = seaborn.axes_style("ticks") | seaborn.plotting_context("paper", font_scale=1.1)
    with matplotlib.rc_context(
        style | {"svg.hashsalt": "sphere_theory", "figure.dpi": 150, "savefig.dpi": 150}
    ):
        yield


def canvas(width: float = 7.0, height: float = 4.2) -> tuple[Figure, Axes]:
    """A figure with one panel.

    Parameters
    ----------
    width, height
        In inches.

    Returns
    -------
    figure, axes
        Empty.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot: no global list of figures, and no window system is asked for.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of panels.

    Parameters
    ----------
    rows, columns
        Of the grid.
    width, height
        Of the figure, in inches.

    Returns
    -------
    figure, axes
        Panels row by row, empty.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def caption(figure: Figure, text: str, width: int = 120) -> None:
    """Say below a figure what it was drawn from.

    Parameters
    ----------
    figure
        Which.
    text
        Host, sample sizes, how to read it.
    width
        Letters a line.
    """
    figure.supxlabel(fill(text, width), fontsize="x-small", color="0.35", x=0.02, ha="left")


def label_ends(axes: Axes, x: float, ends: list[tuple[float, str, str]]) -> None:
    """Label lines at their right ends, moved apart where they are close.

    Parameters
    ----------
    axes
        Their panel.
    x
        Where they end.
    ends
        Height, text and colour of each.
    """
    low, high = axes.get_ylim()
    least = 0.055 * (high - low)
    at = -math.inf
    for y, text, colour in sorted(ends):
        at = max(y, at + least)
        axes.annotate(
            text,
            (x, y),
            xytext=(x + 0.15, at),
            color=colour,
            va="center",
            fontsize="small",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5},
        )
    axes.set_xlim(None, x + 1.2)


def title(figure: Figure, text: str) -> None:
    """What a figure shows, at its upper left.

    Parameters
    ----------
    figure
        Which.
    text
        A line.
    """
    figure.suptitle(text, x=0.02, ha="left", fontsize="large")


def bare(axes: Axes) -> None:
    """Leave out the lines that frame nothing.

    Parameters
    ----------
    axes
        A panel.
    """
    axes.spines[["top", "right"]].set_visible(False)


def palette(names: Iterable[str]) -> dict[str, str]:
    """A colour for each different name, in the order in which they come.

    Parameters
    ----------
    names
        Any number of times each.

    Returns
    -------
    dict
        Colours by name.
    """
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(dict.fromkeys(names))}


def plain_ticks(axis: Axis) -> None:
    """Numbers on a logarithmic axis as they are read, few enough not to touch.

    Parameters
    ----------
    axis
        With its limits set.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = sorted(axis.get_view_interval())
    steps = (1,) if high / low > 100 else (1, 2, 5) if high / low > 3 else (1, 1.2, 1.5, 2, 3, 5, 8, 9)
    ticks = [step * 10.0**power for power in range(-9, 10) for step in steps]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def name_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Label lines right of the panel, at the height of their ends, moved apart where they are close.

    Parameters
    ----------
    axes
        Their panel, with its limits set.
    ends
        Height, text and colour of each.
    """
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


def course(
    axes: Axes,
    found: pd.DataFrame,
    column: str,
    label: str,
    *,
    styles: Mapping[str, str],
    scale: float = 1.0,
    named: bool = False,
) -> None:
    """One column along streams: a line an editor in the colour of its base, with its interval.

    Parameters
    ----------
    axes
        A panel.
    found
        As `means_along` returns them, with style, a key of `styles`.
    column
        Which.
    label
        Of the upright axis.
    styles
        How lines are drawn.
    scale
        Of the values.
    named
        Whether editors are named at the right ends of their lines.
    """
    own, colours = found[found["column"] == column], palette(found["base"])
    ends = []
    for (base, editor, style), line in own.groupby(["base", "editor", "style"], sort=False):
        mean, low, high = (line[name] * scale for name in ("mean", "low", "high"))
        axes.plot(line["edits"], mean, styles[style], color=colours[base], linewidth=1.4, label=editor)
        axes.fill_between(line["edits"], low, high, color=colours[base], alpha=0.15, linewidth=0)
        ends.append((float(mean.iloc[-1]), str(editor), colours[base]))
    axes.set_xlim(0, None)
    axes.set_xlabel("edits")
    axes.set_ylabel(label)
    bare(axes)
    if named:
        name_ends(axes, ends)


def log_heights(axes: Axes, means: pd.Series) -> None:
    """A logarithmic scale around means: the lower end of an interval may be below 0.

    Parameters
    ----------
    axes
        A panel.
    means
        All that are drawn.
    """
    # In this order: of one value alone a logarithmic axis would make limits of its own, and warn of them.
    axes.set_ylim(means.min() / 2, means.max() * 2)
    axes.set_yscale("log")
    plain_ticks(axes.yaxis)


def save(
    figure: Figure, path: Path, provenance: Mapping[str, str], data: Mapping[str, pd.DataFrame] | None = None
) -> list[Path]:
    """Write a figure as PNG and SVG, and its data as CSV, each complete or not at all.

    Parameters
    ----------
    figure
        What to write.
    path
        Where, without a suffix.
    provenance
        Written into the metadata of both files.
    data
        What it shows, by name; a single table is called as the figure is.

    Returns
    -------
    list of Path
        The files.
    """
    written = []
    for name, table in (data or {}).items():
        target = path.with_name(f"{path.name}.csv" if len(data or {}) == 1 else f"{path.name}-{name}.csv")
        with replacing(target) as partial:
            table.to_csv(partial, index=False, lineterminator="\n")
        written.append(target)
    about = "; ".join(f"{key}={value}" for key, value in provenance.items())
    # Fixed dates: the same results give the same bytes.
    metadata: dict[str, dict[str, str | None]] = {
        ".png": {"Description": about, "Software": "sphere_theory"},
        ".svg": {"Description": about, "Creator": "sphere_theory", "Date": None},
    }
    for suffix, facts in metadata.items():
        target = path.with_suffix(suffix)
        with replacing(target) as partial:
            figure.savefig(partial, format=suffix[1:], metadata=facts)
        written.append(target)
    return written
