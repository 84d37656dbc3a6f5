"""The one look of all figures: theme, colours, labels, captions, and how a figure is written.

A figure is a function of stored results that returns a matplotlib figure and measures nothing; `save` writes
it as PNG and SVG with its provenance in the file's metadata.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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


def save(figure: Figure, path: Path, provenance: Mapping[str, str]) -> list[Path]:
    """Write a figure as PNG and SVG, each complete or not at all.

    Parameters
    ----------
    figure
        What to write.
    path
        Where, without a suffix.
    provenance
        Written into the metadata of both files.

    Returns
    -------
    list of Path
        The two files.
    """
    written = []
    about = "; ".join(f"{key}={value}" for key, value in provenance.items())
    # Fixed dates: the same results give the same bytes.
    metadata: dict[str, dict[str, str | None]] = {
        ".png": {"Description": about, "Software": "sphere_theory"},
        ".svg": {"Description": about, "Creator": "sphere_theory", "Date": None},
    }
    for suffix, facts in metadata.items():
        target = path.with_suffix(suffix)
        partial = target.with_name(f".{target.name}.partial")
        figure.savefig(partial, format=suffix[1:], metadata=facts)
        partial.replace(target)
        written.append(target)
    return written
