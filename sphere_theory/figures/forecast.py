"""Figure of forecasts: predicted against actual collapse, for runs that a model has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.analysis.forecast import CONFIDENCE, FOLDS, MODELS
from sphere_theory.figures.style import COLOURS, caption, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Models that have a panel; all of `MODELS` are in the last column.
SHOWN = ("count only", "norm only", "|ΔHE|", "|ΔHE|, norm growth, R, rank left")


def forecast_panels(
    found: Mapping[str, pd.DataFrame], scored: Mapping[str, pd.DataFrame], about: str
) -> Figure:
    """Forecast against actual collapse, and how far off each model is.

    Parameters
    ----------
    found
        As `out_of_sample` returns them, by what was left out: keys of `FOLDS`.
    scored
        Of the same, as `scores` returns them.
    about
        Host and sample sizes, for the caption.

    Returns
    -------
    Figure
        A row for what was left out, a column for each of `SHOWN`, a mark a run in the colour of its base
        editor, filled with SPHERE, a triangle if it held to its end; in the last column the factor by which
        each model is off, and the share of collapses in its interval.
    """
    folds = [fold for fold in FOLDS if fold in found]
    columns = len(SHOWN) + 1
    figure, cells = panels(len(folds), columns, width=15.5, height=1.6 + 3.3 * len(folds))
    cells_of = np.array(cells, dtype=object).reshape(len(folds), columns)
    every = [found[fold] for fold in folds]
    bases = list(dict.fromkeys(base for table in every for base in table["base"]))
    palette = {base: COLOURS[k % len(COLOURS)] for k, base in enumerate(bases)}
    for row, fold in zip(cells_of, folds, strict=True):
        limits = _limits(found[fold])
        for axes, model in zip(row, SHOWN, strict=False):
            _runs(axes, found[fold][found[fold]["model"] == model], palette, limits)
            axes.set_title(f"{model},\n{FOLDS[fold]}", loc="left", fontsize="small")
            if fold == folds[-1]:
                axes.set_xlabel("actual collapse (edits)")
        row[0].set_ylabel("forecast collapse (edits)")
        _factors(row[-1], scored[fold])
        row[-1].set_title(f"how far off, {FOLDS[fold]}", loc="left", fontsize="small")
    for base, colour in palette.items():
        cells[0].plot([], [], "o", color=colour, markersize=4.5, gid="key", label=f"_{base}")
    keys = [line for line in cells[0].lines if line.get_gid() == "key"]
    figure.legend(
        keys,
        bases,
        loc="outside upper right",
        ncols=len(bases),
        frameon=False,
        labelcolor="linecolor",
        fontsize="small",
    )
    figure.suptitle("Collapse forecast from the beginning of a stream", x=0.02, ha="left", fontsize="large")
    sizes = "; ".join(f"{FOLDS[fold]}: {_counts(found[fold])}" for fold in folds)
    caption(
        figure,
        f"{about}. {sizes}. Every forecast is by a model fitted on runs of other editors, or of other seeds. "
        f"Bars: {CONFIDENCE:.0%} intervals of the forecast. Filled: with SPHERE. Triangles: runs that held "
        "to their end, drawn there: right if at or above the diagonal. Last column (bold: the models drawn): "
        "factor by which a forecast is too early or too late, 95% intervals from resampling runs, and the "
        f"share of collapses inside the {CONFIDENCE:.0%} interval.",
        width=230,
    )
    return figure


def _counts(found: pd.DataFrame) -> str:
    runs = found.drop_duplicates("run")
    return f"{len(runs)} runs, {int((~np.isfinite(runs['collapse'])).sum())} of them held"


def _limits(found: pd.DataFrame) -> tuple[float, float]:
    """Of all panels of a row: forecasts, and what became of the runs."""
    shown = found[found["model"].isin(SHOWN)]
    values = np.concatenate([shown["median"], _actual(shown)])
    return float(values.min() / 1.6), float(values.max() * 1.6)


def _actual(runs: pd.DataFrame) -> pd.Series:
    """Where each run collapsed, or how far it held."""
    return runs["collapse"].where(np.isfinite(runs["collapse"]), runs["last"])


def _runs(axes: Axes, runs: pd.DataFrame, palette: Mapping[str, str], limits: tuple[float, float]) -> None:
    axes.plot(limits, limits, color="0.6", linewidth=0.8)
    actual, held = _actual(runs), ~np.isfinite(runs["collapse"])
    for base, colour in palette.items():
        own = (runs["base"] == base).to_numpy()
        axes.vlines(actual[own], runs["low"][own], runs["high"][own], color=colour, alpha=0.35, linewidth=0.8)
        for projected, fill in ((False, "none"), (True, colour)):
            for stayed, marker in ((False, "o"), (True, ">")):
                chosen = own & ((runs["editor"] != base) == projected) & (held == stayed)
                name = f"{base} + SPHERE" if projected else base
                axes.plot(
                    actual[chosen],
                    runs["median"][chosen],
                    linestyle="none",
                    marker=marker,
                    color=colour,
                    markerfacecolor=fill,
                    markersize=4.5,
                    gid="held" if stayed else "collapsed",
                    label=name,
                )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    for axis in (axes.xaxis, axes.yaxis):
        _plain_ticks(axis, limits)
    axes.spines[["top", "right"]].set_visible(False)


def _plain_ticks(axis: Axis, limits: tuple[float, float]) -> None:
    """Edit counts written out, few enough to be read."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    decades = np.log10(limits[1] / limits[0])
    subs = (1, 2, 5) if decades < 1.3 else (1, 3) if decades < 2 else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def _factors(axes: Axes, scored: pd.DataFrame) -> None:
    table = scored.set_index("model").loc[list(MODELS)]
    places = range(len(table))
    axes.hlines(places, table["low"], table["high"], color=COLOURS[0], linewidth=1)
    axes.plot(
        table["factor"], places, marker="s", color=COLOURS[0], linestyle="none", markersize=4, gid="factor"
    )
    axes.axvline(1, color="0.6", linewidth=0.8)
    for place, (factor, covered) in enumerate(zip(table["factor"], table["covered"], strict=True)):
        axes.annotate(
            f"{factor:.2f}×, {covered:.0%} covered",
            (1.03, place),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            fontsize="x-small",
            color="0.35",
            annotation_clip=False,
        )
    axes.set_yticks(places, list(table.index), fontsize="x-small")
    for tick, model in zip(axes.get_yticklabels(), table.index, strict=True):
        tick.set_fontweight("bold" if model in SHOWN else "normal")
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlabel("factor off (1: exact)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="0.92")
