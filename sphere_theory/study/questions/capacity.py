"""After how many edits will a stream collapse, seen from its first tenth? Forecasts by failure time models.

Each model sees some of what is measured there (`collapse_forecast`) and is scored by the factor that it is
off on runs whose editor, or whose seed, it has not seen. Needed are courses of several editors, enough of
which collapse later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.plotting import COLOURS, bare, caption, palette, panels, title
from sphere_theory.study.choices import COURSE, several_editors
from sphere_theory.study.collapse_forecast import (
    CONFIDENCE,
    FOLDS,
    MODELS,
    WINDOW,
    openings,
    out_of_sample,
    scores,
    usable,
)
from sphere_theory.study.markdown import number, table
from sphere_theory.study.question import Chosen, Frames, Lines, Material, Question, RunFigure
from sphere_theory.study.run_table import PROJECTED
from sphere_theory.study.wording import headed, spanned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# How figures and tables call each model of `MODELS`, by what it sees, and each of `FOLDS`.
LABELS: Mapping[str, str] = {
    "count": "count only",
    "norm": "norm only",
    "energy": "|ΔHE|",
    "row_norm_growth": "row-norm growth",
    "R": "R",
    "rank_left": "rank left",
    "metrics": "metrics so far",
    "others": "norm growth, R, rank left",
    "energy_and_others": "|ΔHE|, norm growth, R, rank left",
}
LEFT_OUT: Mapping[str, str] = {"base": "editor left out", "seed": "seed left out"}

# Models that have a panel; all of them are in the last column.
_SHOWN = ("count", "norm", "energy", "energy_and_others")


def forecastable(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses of several editors, enough of them to fit on where an editor or a seed is left out."""
    chosen = several_editors(points, host)
    if not len(chosen):
        return chosen
    runs = usable(openings(chosen))
    return points.iloc[:0] if any(out_of_sample(runs, by=fold).empty for fold in FOLDS) else chosen


def _forecasts(runs: pd.DataFrame, samples: int) -> Frames:
    """Out of sample, by what was left out: the forecasts of usable runs, and how far off each model is."""
    import pandas as pd

    found = {fold: out_of_sample(runs, by=fold) for fold in FOLDS}
    scored = {fold: scores(own, samples=samples) for fold, own in found.items()}
    every = {"forecasts": found, "scores": scored}
    return {
        name: pd.concat([own.assign(fold=fold) for fold, own in by.items()], ignore_index=True)
        for name, by in every.items()
    }


# --- in words ------------------------------------------------------------------------------------


def _answer(material: Material) -> Lines:
    for host, points in material.of_hosts(forecastable):
        runs = usable(openings(points))
        held = int((~np.isfinite(runs["collapse"])).sum())
        yield (
            f"{headed(host, points)}; {len(runs)} usable runs, {held} of them held to the end; mean factor "
            f"off, and the share of collapses inside the {CONFIDENCE:.0%} interval:"
        )
        scored = _forecasts(runs, material.samples)["scores"]
        by = {fold: own.set_index("model") for fold, own in scored.groupby("fold", sort=False)}
        heads = [f"{LEFT_OUT[fold]} ({own['runs'].iloc[0]} runs scored)" for fold, own in by.items()]
        rows = [(LABELS[name], *(_cell(own.loc[name]) for own in by.values())) for name in MODELS]
        yield table(("seen", *heads), rows)


def _cell(row: pd.Series) -> str:
    return f"{spanned(row, 'factor')} ({number(row['covered'], '.0%')})"


# --- forecast against actual collapse ------------------------------------------------------------


def _data(chosen: Chosen) -> Frames:
    return _forecasts(usable(openings(chosen.points)), chosen.samples)


def _draw(frames: Frames, about: str) -> Figure:
    """A row for what was left out, a column for each of `_SHOWN`, and one for how far off each model is."""
    found, scored = (dict(iter(frames[name].groupby("fold", sort=False))) for name in ("forecasts", "scores"))
    columns = len(_SHOWN) + 1
    figure, cells = panels(len(found), columns, width=15.5, height=1.6 + 3.3 * len(found))
    grid = np.array(cells, dtype=object).reshape(len(found), columns)
    colours = palette(frames["forecasts"]["base"])
    for row, fold in zip(grid, found, strict=True):
        _fold(list(row), found[fold], scored[fold], colours)
    for axes in grid[-1, :-1]:
        axes.set_xlabel("actual collapse (edits)")
    figure.legend(
        _keys(cells[0], colours),
        list(colours),
        loc="outside upper right",
        ncols=len(colours),
        frameon=False,
        labelcolor="linecolor",
        fontsize="small",
    )
    title(figure, "Collapse forecast from the beginning of a stream")
    sizes = "; ".join(f"{LEFT_OUT[fold]}: {_counted(own)}" for fold, own in found.items())
    caption(
        figure,
        f"{about}. Seen: the first {WINDOW:.0%} of each run. {sizes}. Every forecast is by a model fitted on "
        f"runs of other editors, or of other seeds. Bars: {CONFIDENCE:.0%} intervals of the forecast. "
        "Filled: with SPHERE. Triangles: runs that held to their end, drawn there: right if at or above the "
        "diagonal. Last column (bold: the models drawn): factor by which a forecast is too early or too "
        "late, 95% intervals from resampling runs, and the share of collapses inside the "
        f"{CONFIDENCE:.0%} interval.",
        width=230,
    )
    return figure


def _keys(axes: Axes, colours: Mapping[str, str]) -> list[Line2D]:
    """A mark without a place for each base editor."""
    return [
        axes.plot([], [], "o", color=colour, markersize=4.5, gid="key", label=f"_{base}")[0]
        for base, colour in colours.items()
    ]


def _counted(found: pd.DataFrame) -> str:
    runs = found.drop_duplicates("run")
    return f"{len(runs)} runs, {int((~np.isfinite(runs['collapse'])).sum())} of them held"


def _fold(row: Sequence[Axes], found: pd.DataFrame, scored: pd.DataFrame, colours: Mapping[str, str]) -> None:
    words, limits = LEFT_OUT[found["fold"].iloc[0]], _limits(found)
    for axes, model in zip(row, _SHOWN, strict=False):
        _runs(axes, found[found["model"] == model], colours, limits)
        axes.set_title(f"{LABELS[model]},\n{words}", loc="left", fontsize="small")
    row[0].set_ylabel("forecast collapse (edits)")
    _factors(row[-1], scored)
    row[-1].set_title(f"how far off, {words}", loc="left", fontsize="small")


def _limits(found: pd.DataFrame) -> tuple[float, float]:
    """Of all panels of a row: forecasts, and what became of the runs."""
    shown = found[found["model"].isin(_SHOWN)]
    values = np.concatenate([shown["median"], _actual(shown)])
    return float(values.min() / 1.6), float(values.max() * 1.6)


def _actual(runs: pd.DataFrame) -> pd.Series:
    """Where each run collapsed, or how far it held."""
    return runs["collapse"].where(np.isfinite(runs["collapse"]), runs["last"])


def _runs(axes: Axes, runs: pd.DataFrame, colours: Mapping[str, str], limits: tuple[float, float]) -> None:
    """A mark a run in the colour of its base editor, filled with SPHERE, a triangle if it held to its end."""
    axes.plot(limits, limits, color="0.6", linewidth=0.8)
    known = runs.assign(actual=_actual(runs), held=~np.isfinite(runs["collapse"]))
    for base, colour in colours.items():
        own = known[known["base"] == base]
        axes.vlines(own["actual"], own["low"], own["high"], color=colour, alpha=0.35, linewidth=0.8)
        for (operator, held, editor), alike in own.groupby(["operator", "held", "editor"]):
            axes.plot(
                alike["actual"],
                alike["median"],
                linestyle="none",
                marker=">" if held else "o",
                color=colour,
                markerfacecolor=colour if operator == PROJECTED else "none",
                markersize=4.5,
                gid="held" if held else "collapsed",
                label=editor,
            )
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        _edit_counts(axis, limits)
    bare(axes)


def _edit_counts(axis: Axis, limits: tuple[float, float]) -> None:
    """Edit counts written out, few enough to be read."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    decades = np.log10(limits[1] / limits[0])
    subs = (1, 2, 5) if decades < 1.3 else (1, 3) if decades < 2 else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def _factors(axes: Axes, scored: pd.DataFrame) -> None:
    """Factor by which each model is off, and the share of collapses in its interval."""
    places = range(len(scored))
    axes.hlines(places, scored["low"], scored["high"], color=COLOURS[0], linewidth=1)
    axes.plot(
        scored["factor"], places, marker="s", color=COLOURS[0], linestyle="none", markersize=4, gid="factor"
    )
    axes.axvline(1, color="0.6", linewidth=0.8)
    for place, (factor, covered) in enumerate(zip(scored["factor"], scored["covered"], strict=True)):
        axes.annotate(
            f"{factor:.2f}×, {covered:.0%} covered",
            (1.03, place),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            fontsize="x-small",
            color="0.35",
            annotation_clip=False,
        )
    axes.set_yticks(places, [LABELS[model] for model in scored["model"]], fontsize="x-small")
    for tick, model in zip(axes.get_yticklabels(), scored["model"], strict=True):
        tick.set_fontweight("bold" if model in _SHOWN else "normal")
    axes.set_ylim(len(scored) - 0.5, -0.5)
    axes.set_xlabel("factor off (1: exact)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="0.92")


QUESTION = Question(
    order=8,
    question="After how many edits will a stream collapse, seen from its first tenth?",
    asked="editing capacity",
    answer=_answer,
    untested="Streams of other hosts than the one that a forecast was fitted on.",
    figures={
        "forecast": RunFigure(
            f"{COURSE}, of two or more editors that collapse later", forecastable, _data, _draw
        )
    },
)
