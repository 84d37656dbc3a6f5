"""Does the bound outlast the small-perturbation assumption? Where each part of the argument stops holding.

Of every run the first edit count at which the sign of ΔHE is no longer certified, neurons may have met, the
first order is off by more than 10%, or the edits are no longer there, against the size of a step; and by
which power of the step the count falls (`small_perturbation_ends`). Needed are long audited runs of one
editor at several strengths, so that its steps differ in size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.plotting import bare, caption, palette, panels, title
from sphere_theory.study.choices import SEEDS_NEEDED, largest, once, plain_or_as_paper
from sphere_theory.study.markdown import number, table
from sphere_theory.study.question import Chosen, Frames, Lines, Material, Question, RunFigure
from sphere_theory.study.small_perturbation_ends import (
    CRITERIA,
    ENDED,
    HELD,
    NEVER,
    RESAMPLES,
    ends_by_setting,
    ends_of_smallness,
    step_exponents,
)
from sphere_theory.study.wording import Row, headed, spanned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# --- which runs -----------------------------------------------------------------------------------

# Settings of one editor, so that its steps differ in size.
STEPS_NEEDED = 3


def step_sizes(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Long audited runs of editors of several strengths, alone and with SPHERE as in the paper."""
    own = points[points["host"] == host]
    if "total_sign" not in own:
        return points.iloc[:0]
    own = plain_or_as_paper(once(own.dropna(subset=["total_sign", "path_bound"])))
    found = []
    for _, same in own.groupby(["batch_size", "conditions"], sort=False):
        # Runs of 50,000 edits beside those of 100,000.
        long = same[same["planned"] >= same["planned"].max() / 2]
        seeds = long.groupby(["base", "settings", "editor", "planned"])["seed"].transform("nunique")
        seeded = long[seeds >= SEEDS_NEEDED]
        if len(seeded) and seeded.groupby("base")["settings"].nunique().max() >= STEPS_NEEDED:
            found.append(seeded)
    return largest(found, points)


# --- edit count against step size -----------------------------------------------------------------


def _step_data(chosen: Chosen) -> Frames:
    ends = ends_of_smallness(chosen.points)
    powers = step_exponents(ends, samples=min(chosen.samples, RESAMPLES))
    return {"ends": ends, "settings": ends_by_setting(ends), "powers": powers}


def _draw_steps(frames: Frames, about: str) -> Figure:
    """Up to which edit count each criterion holds, against the size of a step: runs, means, the power."""
    ends, means = frames["ends"], frames["settings"]
    powers = frames["powers"].set_index("criterion")
    figure, cells = panels(2, 2, width=10.0, height=8.0)
    colours = palette(ends["base"])
    wide = float(ends["step"].min() / 1.5), float(ends["step"].max() * 1.5)
    high = float(ends["edits"].min() / 1.5), float(ends["edits"].max() * 1.8)
    for axes, (criterion, words) in zip(cells, CRITERIA.items(), strict=True):
        # First: of marks at one height matplotlib would make limits of its own, and warn of them.
        axes.set(xscale="log", yscale="log", xlim=wide, ylim=high)
        _power(axes, powers.loc[criterion], wide)
        _settings(axes, means[means["criterion"] == criterion], colours)
        _runs(axes, ends[ends["criterion"] == criterion], colours)
        axes.set_title(words, loc="left", fontsize="medium")
        bare(axes)
    for axes in cells[2:]:
        axes.set_xlabel("median step ‖ΔW_t‖ / ‖W0‖")
    for axes in cells[::2]:
        axes.set_ylabel("edits until it no longer holds")
    _key(figure, cells[0], colours)
    title(figure, "Where small perturbations end")
    caption(
        figure,
        f"{about}. Marks: runs, filled with SPHERE; triangles: runs in which it held to the end. Lines: "
        "geometric means over seeds, dashed with SPHERE, with 95% intervals (Student's t of the logarithms) "
        "where no run held. Counts are the first measured ones at which it does not hold: a mark at "
        f"{int(ends['edits'].min()):,} edits may stand for fewer. The first order is judged relative to ΔHE, "
        f"and is off where ΔHE comes close to 0.{_GREY if powers['exponent'].notna().any() else ''}",
        width=150,
    )
    return figure


_GREY = (
    " Grey: edits ∝ step^p over all runs, where those that ended after their first point say which p; "
    "intervals from resampling runs."
)


def _key(figure: Figure, axes: Axes, colours: dict[str, str]) -> None:
    figure.legend(
        [axes.plot([], [], "o", color=colour, markersize=5)[0] for colour in colours.values()],
        list(colours),
        loc="outside upper right",
        ncols=len(colours),
        frameon=False,
        labelcolor="linecolor",
        fontsize="small",
    )


def _power(axes: Axes, row: pd.Series, steps: tuple[float, float]) -> None:
    if not math.isfinite(row["exponent"]):
        return
    x = np.array(steps)
    axes.plot(x, np.exp(row["level"]) * x ** row["exponent"], ":", color="0.5", linewidth=1, gid="power")
    said = f"edits ∝ step^{row['exponent']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    axes.annotate(
        said.replace("-", "−"),
        (0.98, 0.97),
        xycoords="axes fraction",
        ha="right",
        va="top",
        fontsize="small",
        color="0.35",
    )


def _settings(axes: Axes, means: pd.DataFrame, colours: dict[str, str]) -> None:
    # Streams of all lengths: one that held longer than another ran is no break in the line.
    for (base, operator, editor), rows in means.groupby(["base", "operator", "editor"], sort=False):
        line, colour = rows.sort_values("step"), colours[base]
        style = "--" if operator else "-"
        axes.plot(
            line["step"], line["edits"], style, color=colour, linewidth=1, alpha=0.8, label=editor, gid="mean"
        )
        known = line.dropna(subset=["low"])
        axes.vlines(known["step"], known["low"], known["high"], color=colour, linewidth=2.5, alpha=0.25)


def _runs(axes: Axes, ends: pd.DataFrame, colours: dict[str, str]) -> None:
    for (base, operator, editor), own in ends.groupby(["base", "operator", "editor"], sort=False):
        for outcome, marker in ((ENDED, "o"), (HELD, "^")):
            there = own[own["outcome"] == outcome]
            axes.plot(
                there["step"],
                there["edits"],
                linestyle="none",
                marker=marker,
                color=colours[base],
                markerfacecolor=colours[base] if operator else "none",
                markersize=4.5,
                gid=outcome,
                label=f"_{editor}",
            )
    counts = ends["outcome"].value_counts()
    said = [f"{counts[HELD]} of {len(ends)} held"] if HELD in counts else []
    said += [f"{counts[NEVER]} never there"] if NEVER in counts else []
    axes.annotate(
        ", ".join(said), (0.02, 0.03), xycoords="axes fraction", fontsize="small", color="0.35", gid="counts"
    )


# --- in words -------------------------------------------------------------------------------------


def _answer(material: Material) -> Lines:
    for host, points in material.of_hosts(step_sizes):
        ends = ends_of_smallness(points)
        yield (
            f"{headed(host, points)}, by the median size of a step. A count is the first measured point at "
            "which it no longer holds, so that it may stand for fewer edits (≤: it held at no point). The "
            "first order's error is relative to ΔHE, and large wherever ΔHE passes 0. "
            f"{_of_the_bound(points)}:"
        )
        found = ends_by_setting(ends).sort_values(["base", "editor", "strength"])
        yield table(("editor", "λ", "‖ΔW_t‖/‖W‖", *CRITERIA.values()), _rows(found))
        powers = [
            f"{CRITERIA[row['criterion']]}: {spanned(row, 'exponent')}"
            for row in step_exponents(ends).to_dict("records")
            if math.isfinite(row["exponent"])
        ]
        if powers:
            yield f"Edits ∝ stepᵖ with p = {'; '.join(powers)}."


def _rows(found: pd.DataFrame) -> Iterable[Sequence[str]]:
    for (editor, strength), own in found.groupby(["editor", "strength"], sort=False, dropna=False):
        by = own.set_index("criterion")
        cells = (
            ends_in_words(by.loc[[name]].to_dict("records")) if name in by.index else "–" for name in CRITERIA
        )
        yield str(editor), number(strength, "g"), number(own["step"].iloc[0], ".2e"), *cells


def _of_the_bound(points: pd.DataFrame) -> str:
    """How the bound for every edit fares on the whole way, and how much of it |ΔHE| is."""
    violated = int((points["total_unconditional"] == "violated").sum())
    share = np.sqrt(points["total_unconditional_tightness"])
    return (
        f"The bound for every edit, ‖ΔV‖² ≥ (ΔHE/K*)², is violated at {violated} of {len(points):,} points; "
        f"|ΔHE| is {number(share.median(), '.1e')} of it, at most {number(share.max(), '.1e')}"
    )


def ends_in_words(rows: Iterable[Row]) -> str:
    """Edit counts at which something stopped holding.

    Parameters
    ----------
    rows
        Of `ends_by_setting`.

    Returns
    -------
    str
        Such as "≤ 500" or "≥ 700 (1 of 3 held)".
    """
    cells = []
    for row in rows:
        if row["held"] == row["seeds"]:
            cells.append(f"held to {row['edits']:,.0f}")
        elif row["at_once"]:
            cells.append(f"≤ {row['edits']:,.0f}")
        elif row["held"]:
            cells.append(f"≥ {row['edits']:,.0f} ({row['held']} of {row['seeds']} held)")
        else:
            cells.append(spanned(row, "edits", ",.0f"))
    return "; ".join(cells)


QUESTION = Question(
    order=4,
    question="Does the bound outlast the small-perturbation assumption?",
    asked="the paper, open question 1",
    answer=_answer,
    untested="Other editors at these lengths; keys that repeat as subjects do.",
    figures={
        "stress-steps": RunFigure(
            needs=f"streams with audits and a path bound of an editor with {STEPS_NEEDED} or more λ, each on "
            f"{SEEDS_NEEDED} or more seeds",
            choose=step_sizes,
            data=_step_data,
            draw=_draw_steps,
        )
    },
)
