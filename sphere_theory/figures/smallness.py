"""Figure of where small perturbations end: edit count against step size, a panel a criterion."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.analysis.smallness import CRITERIA, ENDED, HELD, NEVER, ends_by_setting
from sphere_theory.figures.style import COLOURS, caption, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def step_size_map(ends: pd.DataFrame, exponents: pd.DataFrame, about: str) -> Figure:
    """Up to which edit count each criterion holds, against the size of a step.

    Parameters
    ----------
    ends
        As `ends_of_smallness` returns them.
    exponents
        As `step_exponents` returns them.
    about
        Host and sample sizes, for the caption.

    Returns
    -------
    Figure
        A panel for each of `CRITERIA`: a mark a run in the colour of its base editor, filled with SPHERE, a
        triangle at its end if the criterion held; lines join the means of settings, dashed with SPHERE; the
        fitted power of the step in grey.
    """
    figure, cells = panels(2, 2, width=10.0, height=8.0)
    bases = list(dict.fromkeys(ends["base"]))
    palette = {base: COLOURS[k % len(COLOURS)] for k, base in enumerate(bases)}
    powers = exponents.set_index("criterion")
    steps, counts = ends["step"], ends["edits"].dropna()
    wide = float(steps.min() / 1.5), float(steps.max() * 1.5)
    high = float(counts.min() / 1.5), float(counts.max() * 1.8)
    for axes, (criterion, words) in zip(cells, CRITERIA.items(), strict=True):
        own = ends[ends["criterion"] == criterion]
        # First: of marks at one height matplotlib would make limits of its own, and warn of them.
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(wide)
        axes.set_ylim(high)
        _power(axes, powers.loc[criterion], wide)
        _settings(axes, ends_by_setting(own), palette)
        _runs(axes, own, palette)
        axes.set_title(words, loc="left", fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in cells[2:]:
        axes.set_xlabel("median step ‖ΔW_t‖ / ‖W0‖")
    for axes in cells[::2]:
        axes.set_ylabel("edits until it no longer holds")
    for base, colour in palette.items():
        cells[0].plot([], [], "o", color=colour, markersize=5, gid="key", label=f"_{base}")
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
    figure.suptitle("Where small perturbations end", x=0.02, ha="left", fontsize="large")
    first = int(ends["edits"].min())
    power = (
        " Grey: edits ∝ step^p over all runs, where those that ended after their first point say which p; "
        "intervals from resampling runs."
    )
    caption(
        figure,
        f"{about}. Marks: runs, filled with SPHERE; triangles: runs in which it held to the end. Lines: "
        "geometric means over seeds, dashed with SPHERE, with 95% intervals (Student's t of the logarithms) "
        "where no run held. Counts are the first measured ones at which it does not hold: a mark at "
        f"{first:,} edits may stand for fewer. The first order is judged relative to ΔHE, and is off where "
        f"ΔHE comes close to 0.{power if powers['exponent'].notna().any() else ''}",
        width=150,
    )
    return figure


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


def _settings(axes: Axes, means: pd.DataFrame, palette: dict[str, str]) -> None:
    # Streams of all lengths: one that held longer than another ran is no break in the line.
    for (base, editor), rows in means.groupby(["base", "editor"], sort=False):
        line = rows.sort_values("step")
        axes.plot(
            line["step"],
            line["edits"],
            "-" if editor == base else "--",
            color=palette[base],
            linewidth=1,
            alpha=0.8,
            label=editor,
            gid="mean",
        )
        known = line.dropna(subset=["low"])
        axes.vlines(
            known["step"], known["low"], known["high"], color=palette[base], linewidth=2.5, alpha=0.25
        )


def _runs(axes: Axes, ends: pd.DataFrame, palette: dict[str, str]) -> None:
    for (base, editor), own in ends.groupby(["base", "editor"], sort=False):
        fill = "none" if editor == base else palette[base]
        for outcome, marker in ((ENDED, "o"), (HELD, "^")):
            there = own[own["outcome"] == outcome]
            axes.plot(
                there["step"],
                there["edits"],
                linestyle="none",
                marker=marker,
                color=palette[base],
                markerfacecolor=fill,
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
