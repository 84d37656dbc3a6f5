"""Figures of streams against the edit count: metrics and energy, and the bound under stress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.analysis.regimes import TAYLOR_TOLERANCE
from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.runs import LEVEL
from sphere_theory.figures.style import COLOURS, canvas, caption, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Column and label of each row of panels.
ROWS = {
    "energy_uniform": "HE / uniform",
    "energy_change": "ΔHE, own scales",
    "efficacy": "efficacy",
    "generalisation": "generalisation",
    "specificity": "specificity",
}
_SHARES = ("efficacy", "generalisation", "specificity")
WITHOUT, WITH = COLOURS[0], COLOURS[1]


def sample_sizes(points: pd.DataFrame) -> str:
    """Host, runs, seeds and edits in words, for captions.

    Parameters
    ----------
    points
        What was drawn.

    Returns
    -------
    str
        Without a full stop.
    """
    hosts = "; ".join(points["host"].unique())
    runs, seeds = points["run"].nunique(), points["seed"].nunique()
    batch = ", ".join(str(size) for size in sorted(points["batch_size"].unique()))
    drawn = f"{runs} runs on {seeds} seed{'s' * (seeds > 1)}"
    return f"{hosts}. {drawn}, batches of {batch}, {int(points['edits'].max()):,} edits"


def curves(points: pd.DataFrame) -> Figure:
    """HE and the metrics against the edit count, a column a base editor, with and without SPHERE.

    Parameters
    ----------
    points
        Of comparable runs without SPHERE or with its settings of the paper, as `gather` returns them.

    Returns
    -------
    Figure
        Seeds as thin lines, their mean, and its 95% interval as a band.
    """
    bases = list(dict.fromkeys(points["base"]))
    # Two columns or fewer would leave title and key no room side by side.
    width = max(7.0, 1.2 + 2.2 * len(bases))
    figure, grid = panels(len(ROWS), len(bases), width=width, height=9.0)
    cells = np.array(grid, dtype=object).reshape(len(ROWS), len(bases))
    for axes_row, (column, label) in zip(cells, ROWS.items(), strict=True):
        for axes, base in zip(axes_row, bases, strict=True):
            own = points[points["base"] == base]
            for projected, colour in ((False, WITHOUT), (True, WITH)):
                name = f"{base} + SPHERE" if projected else base
                _seeds(axes, own[own["eta"].notna() == projected], column, name, colour)
            _dress(axes, column)
        if column != "energy_change":
            _same_scale(axes_row)
        axes_row[0].set_ylabel(label)
    for axes, base in zip(cells[0], bases, strict=True):
        axes.set_title(base, loc="left", fontsize="medium")
    for axes in cells[-1]:
        axes.set_xlabel("edits")
    figure.text(0.99, 0.993, "with SPHERE", color=WITH, ha="right", va="top")
    figure.text(
        0.99 - 1.2 / figure.get_figwidth(), 0.993, "without SPHERE", color=WITHOUT, ha="right", va="top"
    )
    figure.suptitle("Energy and metrics along streams of edits", x=0.02, ha="left", fontsize="large")
    caption(
        figure,
        f"{sample_sizes(points)}. Thin: one seed; thick: their mean; band: its 95% interval (Student's t). "
        f"Dotted: {LEVEL:g}, below which efficacy or specificity counts as collapsed, and HE of the uniform "
        "distribution.",
        width=int(16 * width),
    )
    return figure


def _seeds(axes: Axes, runs: pd.DataFrame, column: str, name: str, colour: str) -> None:
    for _, run in runs.groupby("run", sort=False):
        axes.plot(run["edits"], run[column], color=colour, linewidth=0.5, alpha=0.6, label=f"_{name}")
    if not len(runs):
        return
    found = {edits: mean_interval(own.to_numpy()) for edits, own in runs.groupby("edits")[column]}
    edits = list(found)
    mean, low, high = np.array(list(found.values())).T
    if column in _SHARES:
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    axes.plot(edits, mean, color=colour, linewidth=1.6, label=name)
    axes.fill_between(edits, low, high, color=colour, alpha=0.2, linewidth=0)


def _dress(axes: Axes, column: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(0, None)
    axes.ticklabel_format(axis="y", useOffset=False)  # 1.001 is read at once, 0.001 with a +1 above is not
    if column in _SHARES:
        axes.set_ylim(-0.03, 1.03)
    reference = {"energy_uniform": 1.0, "energy_change": 0.0, "generalisation": None}.get(column, LEVEL)
    if reference is not None:
        axes.axhline(reference, color="0.6", linewidth=0.8, linestyle=":")


def _same_scale(row: Any) -> None:
    limits = [axes.get_ylim() for axes in row]
    for k, axes in enumerate(row):
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        if k:
            axes.tick_params(labelleft=False)


# Column, title and scale of each panel under stress.
STRESS = {
    "total_smallest_gap": ("smallest gap min φ (radians)", "linear"),
    "total_first_order_error": ("first-order error |ΔHE − ⟨∇HE, ΔW⟩| / |ΔHE|", "log"),
    "total_unconditional_tightness": ("tightness (ΔHE/K*)² / ‖ΔV‖²", "log"),
    "energy_change": ("ΔHE (symmetric log)", "symlog"),
}


def stress(points: pd.DataFrame) -> Figure:
    """Smallest gap, first-order error, tightness and ΔHE along streams.

    Parameters
    ----------
    points
        Of runs with audits, as `gather` returns them.

    Returns
    -------
    Figure
        A line a run in the colour of its base editor, dashed with SPHERE, and above them for how long the
        sign of ΔHE is certified, and no two neurons can have met.
    """
    bases = list(dict.fromkeys(points["base"]))
    palette = {base: COLOURS[k % len(COLOURS)] for k, base in enumerate(bases)}
    editors = points["editor"].nunique()
    figure, _ = canvas(width=9.5, height=6.2 + 0.22 * editors)
    figure.clear()
    layout = [["status", "status"], *np.array(list(STRESS)).reshape(2, 2).tolist()]
    axes = figure.subplot_mosaic(layout, height_ratios=[0.3 + 0.1 * editors, 1, 1])
    _lasting(axes["status"], points, palette)
    for column, (title, scale) in STRESS.items():
        _stressed(axes[column], points, column, palette, scale)
        axes[column].set_title(title, loc="left", fontsize="small")
        axes[column].set_xlabel("edits")
    gap, taylor = axes["total_smallest_gap"], axes["total_first_order_error"]
    gap.axhline(0, color="0.4", linewidth=0.8)
    _note(gap, "two neurons may have met below 0", 0)
    taylor.axhline(TAYLOR_TOLERANCE, color="0.4", linewidth=0.8)
    _note(taylor, f"right to {TAYLOR_TOLERANCE:.0%} below", TAYLOR_TOLERANCE)
    figure.suptitle("Where streams leave the range of Theorem 1's proof", x=0.02, ha="left", fontsize="large")
    caption(
        figure,
        f"{sample_sizes(points)}; one line a run, dashed with SPHERE. Bars: edits up to which the sign of "
        "ΔHE since the pretrained weights is certified (filled), and no two neurons can have met (outline), "
        f"mean over seeds; dots: seeds. The bound ‖ΔV‖² ≥ (ΔHE/K*)² is violated at "
        f"{int((points['total_unconditional'] == 'violated').sum())} of {len(points):,} points.",
        width=140,
    )
    return figure


def _note(axes: Axes, text: str, height: float) -> None:
    axes.annotate(
        text,
        (0.99, height),
        xytext=(0, 2),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        fontsize="x-small",
        color="0.4",
    )


def _stressed(axes: Axes, points: pd.DataFrame, column: str, palette: dict[str, str], scale: str) -> None:
    for (base, editor, _), run in points.groupby(["base", "editor", "run"], sort=False):
        style = "-" if editor == base else "--"
        axes.plot(
            run["edits"], run[column], style, color=palette[base], linewidth=0.9, alpha=0.8, label=editor
        )
    axes.set_yscale(scale)
    axes.spines[["top", "right"]].set_visible(False)


def lasting(points: pd.DataFrame) -> pd.DataFrame:
    """How far each run stays in the range of Theorem 1's proof.

    Parameters
    ----------
    points
        Of runs with audits.

    Returns
    -------
    pandas.DataFrame
        One row a run: editor, run, sign and apart: the last edits up to which the sign of ΔHE since W0 is
        certified at every point, and up to which no two neurons can have met; 0 if not even at the first.
    """
    import pandas as pd

    rows = []
    for (editor, name), run in points.groupby(["editor", "run"], sort=False):
        rows.append({
            "editor": editor,
            "run": name,
            "sign": _unbroken(run["edits"], run["total_sign"] != 0),
            "apart": _unbroken(run["edits"], run["total_smallest_gap"] > 0),
        })
    return pd.DataFrame(rows)


def _unbroken(edits: pd.Series, good: pd.Series) -> int:
    return int(edits[good.astype(bool).cummin()].max()) if bool(good.iloc[0]) else 0


def _lasting(axes: Axes, points: pd.DataFrame, palette: dict[str, str]) -> None:
    found = lasting(points)
    editors = dict(points[["editor", "base"]].drop_duplicates().to_numpy())
    for place, (editor, base) in enumerate(editors.items()):
        own, colour = found[found["editor"] == editor], palette[base]
        axes.barh(place, own["apart"].mean(), height=0.6, facecolor="none", edgecolor=colour, linewidth=1.2)
        axes.barh(place, own["sign"].mean(), height=0.6, color=colour)
        axes.plot(own["sign"], [place] * len(own), linestyle="none", marker=".", color="0.2", markersize=3)
        axes.plot(own["apart"], [place] * len(own), linestyle="none", marker=".", color="0.2", markersize=3)
    axes.set_yticks(range(len(editors)), list(editors), fontsize="small")
    for tick, base in zip(axes.get_yticklabels(), editors.values(), strict=True):
        tick.set_color(palette[base])
    axes.invert_yaxis()
    axes.set_xlim(0, points["edits"].max())
    axes.set_title("sign certified, neurons apart, up to this number of edits", loc="left", fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
