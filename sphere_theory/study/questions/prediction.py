"""Does hyperspherical energy predict how long editing lasts? |ΔHE| beside its rivals.

The statistics are Spearman's correlation of each predictor with each metric before collapse
(`rank_correlation`), and how surely, how early and how often for nothing it warns of a collapse
(`early_warning`). Needed are courses, for warnings of two editors or more: an alarm for one is set on others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.hosts.base import METRICS
from sphere_theory.plotting import COLOURS, bare, caption, panels, title
from sphere_theory.study.choices import COURSE, courses, several_editors
from sphere_theory.study.collapses import HORIZON, LEVEL, approaches
from sphere_theory.study.early_warning import FALSE_ALARMS, alarms, verdicts
from sphere_theory.study.estimates import NONE, Estimate, HostEstimates, Signal, rounded
from sphere_theory.study.markdown import number, table
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.question import Chosen, Frames, Lines, Material, Question, RunFigure
from sphere_theory.study.rank_correlation import KINDS, PHASES, correlations
from sphere_theory.study.run_table import PROJECTED
from sphere_theory.study.statistics import means_along
from sphere_theory.study.wording import about, counts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# How figures and tables call each signal of `early_warning`.
LABELS: Mapping[str, str] = {**PREDICTORS, "edits": "edit count", "lost": "the metrics so far"}

# The energy's own predictors stand out in the margin.
_OWN = ("energy_level", "energy_step")

_PHASES = dict(zip(PHASES, ("before collapse", "overall"), strict=True))
_KINDS = dict(
    zip(KINDS, ("within runs", "over all runs", "over all runs, given the edit count"), strict=True)
)
_MARKS = dict(zip(KINDS, (("o", "0.55"), ("s", COLOURS[0]), ("D", COLOURS[1])), strict=True))

# Column and label of each row of panels along streams.
_ROWS = {
    "energy_uniform": "HE / uniform",
    "energy_change": "ΔHE, own scales",
    "efficacy": "efficacy",
    "generalisation": "generalisation",
    "specificity": "specificity",
}
_REFERENCES = {"energy_uniform": 1.0, "energy_change": 0.0, "efficacy": LEVEL, "specificity": LEVEL}
_SIDES = {"": ("without SPHERE", COLOURS[0]), PROJECTED: ("with SPHERE", COLOURS[1])}


# --- the numbers that findings print and the ledger quotes ---------------------------------------


def host_estimates(material: Material) -> tuple[HostEstimates, ...]:
    """What the runs of each host say of claim 1.

    Parameters
    ----------
    material
        A store.

    Returns
    -------
    tuple of HostEstimates
        One for each host with courses of several editors, real layers first.
    """

    def estimated() -> tuple[HostEstimates, ...]:
        chosen = material.of_hosts(several_editors)
        return tuple(_estimated(host, points, material.samples) for host, points in chosen)

    return material.once("host estimates", estimated)


def _estimated(host: str, points: pd.DataFrame, samples: int) -> HostEstimates:
    found = correlations(points, samples=samples)
    early = found[(found["phase"] == "before_collapse") & (found["metric"] == "efficacy")]
    warned = _warned(points, samples).set_index("signal")
    signals = tuple(
        Signal(
            name,
            label,
            _correlation(early, name, "pooled"),
            _correlation(early, name, "given_edits"),
            Estimate.of(warned.loc[name], "area"),
            **{key: rounded(warned.loc[name, key]) for key in ("warned", "lead", "early")},
        )
        for name, label in PREDICTORS.items()
    )
    ahead = warned.index[warned["beyond_low"] > 0]
    behind = warned.index[warned["beyond_high"] < 0]
    return HostEstimates(host, *counts(points), signals, _labels(ahead), _labels(behind))


def _correlation(rows: pd.DataFrame, predictor: str, kind: str) -> Estimate:
    own = rows[(rows["predictor"] == predictor) & (rows["kind"] == kind)]
    return Estimate.of(own.iloc[0], "value") if len(own) else NONE


def _labels(signals: pd.Index) -> tuple[str, ...]:
    return tuple(LABELS[name] for name in signals)


def _warned(points: pd.DataFrame, samples: int) -> pd.DataFrame:
    """Verdicts on alarms whose thresholds have not seen the run's editor."""
    rows = approaches(points)
    return verdicts(rows, alarms(rows, by="base"), samples=samples)


# --- in words ------------------------------------------------------------------------------------

_HEAD = (
    "predictor",
    "ρ with efficacy before collapse",
    "the same, given edits",
    "AUC, near collapse",
    "collapses warned of, and lead",
    "false alarms",
)


def _answer(material: Material) -> Lines:
    for found in host_estimates(material):
        yield from _paragraphs(found)


def _paragraphs(found: HostEstimates) -> Lines:
    yield about(found.host, found.runs, found.seeds, found.edits) + ":"
    yield table(_HEAD, [_cells(one) for one in found.signals])
    yield (
        f"Better warnings than |ΔHE| (interval of the difference above 0): {_named(found.better)}. "
        f"Worse: {_named(found.worse)}."
    )


def _cells(one: Signal) -> tuple[str, ...]:
    return (
        one.label,
        *(str(found) for found in (one.correlation, one.given_edits, one.area)),
        f"{number(one.warned, '.0%')}, {number(one.lead, ',.0f')} edits",
        number(one.early, ".0%"),
    )


def _named(labels: Sequence[str]) -> str:
    return "; ".join(labels) or "none"


# --- along streams -------------------------------------------------------------------------------


def _along(chosen: Chosen) -> Frames:
    runs = chosen.points[["run", "base", "operator", "editor", "seed", "edits", *_ROWS]]
    return {"runs": runs, "means": means_along(chosen.points, list(_ROWS))}


def _draw_along(frames: Frames, about: str) -> Figure:
    """HE and the metrics against the edit count, a column a base editor, with and without SPHERE."""
    bases = list(dict.fromkeys(frames["runs"]["base"]))
    # Two columns or fewer would leave title and key no room side by side.
    width = max(7.0, 1.2 + 2.2 * len(bases))
    figure, grid = panels(len(_ROWS), len(bases), width=width, height=9.0)
    cells = np.array(grid, dtype=object).reshape(len(_ROWS), len(bases))
    for row, (column, label) in zip(cells, _ROWS.items(), strict=True):
        for axes, base in zip(row, bases, strict=True):
            own = {name: frame[frame["base"] == base] for name, frame in frames.items()}
            _seeds_and_mean(axes, own, column)
            _dress(axes, column)
        if column != "energy_change":
            _same_scale(row)
        row[0].set_ylabel(label)
    for axes, base in zip(cells[0], bases, strict=True):
        axes.set_title(base, loc="left", fontsize="medium")
    for axes in cells[-1]:
        axes.set_xlabel("edits")
    for (words, colour), left in zip(_SIDES.values(), (1.2, 0.0), strict=True):
        figure.text(0.99 - left / width, 0.993, words, color=colour, ha="right", va="top")
    title(figure, "Energy and metrics along streams of edits")
    caption(
        figure,
        f"{about}. Thin: one seed; thick: their mean; band: its 95% interval (Student's t). Dotted: "
        f"{LEVEL:g}, below which efficacy or specificity counts as collapsed, and HE of the uniform "
        "distribution.",
        width=int(16 * width),
    )
    return figure


def _seeds_and_mean(axes: Axes, frames: Frames, column: str) -> None:
    """One editor's runs without SPHERE and with it."""
    for operator, (_, colour) in _SIDES.items():
        runs, means = (frames[name][frames[name]["operator"] == operator] for name in ("runs", "means"))
        for (_, editor), run in runs.groupby(["run", "editor"], sort=False):
            axes.plot(run["edits"], run[column], color=colour, linewidth=0.5, alpha=0.6, label=f"_{editor}")
        for editor, line in means[means["column"] == column].groupby("editor", sort=False):
            low, high = line["low"], line["high"]
            if column in METRICS:
                low, high = low.clip(0, 1), high.clip(0, 1)
            axes.plot(line["edits"], line["mean"], color=colour, linewidth=1.6, label=editor)
            axes.fill_between(line["edits"], low, high, color=colour, alpha=0.2, linewidth=0)


def _dress(axes: Axes, column: str) -> None:
    bare(axes)
    axes.set_xlim(0, None)
    axes.ticklabel_format(axis="y", useOffset=False)  # 1.001 is read at once, 0.001 with a +1 above is not
    if column in METRICS:
        axes.set_ylim(-0.03, 1.03)
    if column in _REFERENCES:
        axes.axhline(_REFERENCES[column], color="0.6", linewidth=0.8, linestyle=":")


def _same_scale(row: Any) -> None:
    limits = [axes.get_ylim() for axes in row]
    for k, axes in enumerate(row):
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        if k:
            axes.tick_params(labelleft=False)


# --- correlations --------------------------------------------------------------------------------


def _draw_correlations(frames: Frames, about: str) -> Figure:
    """A column a metric, a row a phase; in each panel a row a predictor with a mark for each kind."""
    found = frames["correlations"]
    phases = [phase for phase in PHASES if (found["phase"] == phase).any()]
    figure, grid = panels(len(phases), len(METRICS), width=9.5, height=1.6 + 3.4 * len(phases))
    places = [(phase, metric) for phase in phases for metric in METRICS]
    for axes, (phase, metric) in zip(grid, places, strict=True):
        own = found[(found["phase"] == phase) & (found["metric"] == metric)]
        for kind in KINDS:
            _marks(axes, own[own["kind"] == kind], kind)
        _signal_rows(axes, list(PREDICTORS), named=metric == METRICS[0])
        axes.axvline(0, color="0.6", linewidth=0.8)
        axes.set_xlim(-1.05, 1.05)
        axes.set_title(f"{metric}, {_PHASES[phase]}", loc="left", fontsize="medium")
        if phase == phases[-1]:
            axes.set_xlabel("Spearman's ρ")
    for axes, kind in zip(grid, KINDS, strict=False):
        marker, colour = _MARKS[kind]
        axes.plot([], [], marker=marker, color=colour, linestyle="none", markersize=4, label=_KINDS[kind])
    figure.legend(loc="outside upper right", ncols=len(KINDS), frameon=False, fontsize="small")
    title(figure, "What goes with the metrics of editing")
    sizes = "; ".join(
        f"{_PHASES[phase]}: {int(own['points'].max())} points of {int(own['runs'].max())} runs"
        for phase, own in found.groupby("phase", sort=False)
    )
    caption(
        figure,
        f"{about}. {sizes}. Bars: 95% intervals from resampling whole runs. No mark: not defined.",
        width=140,
    )
    return figure


def _marks(axes: Axes, rows: pd.DataFrame, kind: str) -> None:
    marker, colour = _MARKS[kind]
    shift = 0.25 * (KINDS.index(kind) - 1)
    places = [list(PREDICTORS).index(name) + shift for name in rows["predictor"]]
    axes.hlines(places, rows["low"], rows["high"], color=colour, linewidth=1)
    axes.plot(
        rows["value"], places, marker=marker, color=colour, linestyle="none", markersize=4, gid=kind, zorder=3
    )


def _signal_rows(axes: Axes, names: list[str], *, named: bool) -> None:
    labels = [LABELS[name] for name in names] if named else [""] * len(names)
    axes.set_yticks(range(len(names)), labels, fontsize="small")
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name in _OWN else "normal")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


# --- warnings ------------------------------------------------------------------------------------


def _draw_warnings(frames: Frames, about: str) -> Figure:
    """Three panels with a row a signal, the surest first."""
    found = frames["verdicts"].sort_values("area", ascending=False, ignore_index=True)
    names, places = found["signal"].tolist(), range(len(found))
    figure, (area, shares, lead) = panels(1, 3, width=9.5, height=4.4)
    area.hlines(places, found["low"], found["high"], color=COLOURS[0], linewidth=1)
    area.plot(found["area"], places, marker="s", color=COLOURS[0], linestyle="none", markersize=5)
    area.axvline(0.5, color="0.6", linewidth=0.8)
    area.set_xlabel("area under the curve (½: chance)")
    for column, marker, colour in (("warned", "o", COLOURS[2]), ("early", "x", COLOURS[1])):
        shares.plot(found[column], places, marker=marker, color=colour, linestyle="none", markersize=5)
    shares.set_xlim(-0.03, 1.03)
    shares.set_xlabel("share of collapses warned of (o)\nand of far points with an alarm (×)")
    _leads(lead, found)
    for axes in (area, shares, lead):
        _signal_rows(axes, names, named=axes is area)
        axes.grid(axis="y", color="0.92")
    title(figure, "What warns of a collapse")
    caption(
        figure,
        f"{about}. Near: at most {HORIZON} edits before efficacy or specificity falls below {LEVEL:g}. "
        f"Area: near against far points of {found['runs'].iloc[0]} runs, 95% intervals from resampling runs. "
        f"Alarms: thresholds that {FALSE_ALARMS:.0%} of the far points of other editors pass.",
        width=140,
    )
    return figure


def _leads(axes: Axes, found: pd.DataFrame) -> None:
    axes.plot(found["lead"], range(len(found)), marker="o", color=COLOURS[3], linestyle="none", markersize=5)
    axes.set_xlim(0, None)
    axes.set_xlabel("median lead (edits) of n warnings")
    for place, (edits, warnings) in enumerate(zip(found["lead"], found["warnings"], strict=True)):
        axes.annotate(
            f"n = {warnings}",
            (0 if math.isnan(edits) else edits, place),
            (5, 4),
            textcoords="offset points",
            fontsize="xx-small",
            color="0.4",
        )


QUESTION = Question(
    order=1,
    question="Does hyperspherical energy predict how long editing lasts?",
    asked="the paper, claim 1",
    answer=_answer,
    untested="Language models; general abilities after collapse.",
    figures={
        "streams": RunFigure(COURSE, courses, _along, _draw_along),
        "correlation": RunFigure(
            COURSE,
            courses,
            lambda chosen: {"correlations": correlations(chosen.points, samples=chosen.samples)},
            _draw_correlations,
        ),
        "warning": RunFigure(
            f"{COURSE}, of two or more editors",
            several_editors,
            lambda chosen: {"verdicts": _warned(chosen.points, chosen.samples)},
            _draw_warnings,
        ),
    },
)
