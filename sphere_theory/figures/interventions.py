"""Figures of cause or correlate: an edited layer changed once, and streams with upkeep, from stored rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sphere_theory.analysis import upkeep
from sphere_theory.analysis.effects import CASE, COMPANIONS, associations, averages, differences
from sphere_theory.analysis.interventions import CHECK, CONTRASTS, MOVES_ENERGY, QUIET, UNDO
from sphere_theory.analysis.runs import METRICS
from sphere_theory.figures.style import COLOURS, caption, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What stands for each arm: colour, marker, line. One colour for what moves HE, one for what does not.
LOOKS: Mapping[str, tuple[str, str, Any]] = {
    MOVES_ENERGY[0]: (COLOURS[0], "v", "-"),
    MOVES_ENERGY[1]: (COLOURS[1], "^", "-"),
    QUIET[0]: (COLOURS[0], "v", ":"),
    QUIET[1]: (COLOURS[1], "^", ":"),
    "signs": ("0.35", "s", "-"),
    "radial": (COLOURS[2], "o", "-"),
    "norms back": (COLOURS[2], "<", "--"),
    "norms away": (COLOURS[2], ">", ":"),
    "rotation": (COLOURS[3], "D", "-"),
    CHECK: ("0.7", "x", "-"),
    UNDO: (COLOURS[4], "P", "--"),
}
UPKEEP_LOOKS: Mapping[str, tuple[str, Any]] = {
    "none": ("0.2", "-"),
    "HE held": (COLOURS[0], "-"),
    "mirror": (COLOURS[1], "-"),
    "signs": ("0.55", "--"),
    "norms held": (COLOURS[2], "-"),
    "pulled back": (COLOURS[4], "--"),
    "peaks clipped": (COLOURS[3], "-"),
}

# Where the scale of ΔHE turns from linear to logarithmic, over the uniform energy.
_LINEAR = 1e-3


def dose_response(frame: pd.DataFrame, about: str, metric: str = "specificity") -> Figure:
    """Change of a metric against what an intervention changed: the energy, and the outputs.

    If the energy were the cause, the arms would share one curve on the left; if the size of the output change
    were, on the right.

    Parameters
    ----------
    frame
        Rows of `Intervention`, with their fields.
    about
        What was edited, for the caption.
    metric
        One of `METRICS`. Default specificity.

    Returns
    -------
    Figure
        A row a case (host and editor), two panels each: ΔHE and ‖D C0^½‖_F/‖W C0^½‖_F across.
    """
    columns = ("energy_change", "output_change")
    table = averages(frame, [f"{metric}_change", *columns], ["size"])
    cases = _cases(table)
    figure, grid = panels(len(cases), 2, width=10, height=1.6 + 2.6 * len(cases))
    for k, case in enumerate(cases):
        own = _of(table, case)
        for axes, column in zip(grid[2 * k : 2 * k + 2], columns, strict=True):
            axes.axhline(0, color="0.8", linewidth=0.8)
            for arm, rows in own.groupby("arm", sort=False):
                across = rows[rows["value"] == column].sort_values("size")
                up = rows[rows["value"] == f"{metric}_change"].sort_values("size")
                _points(axes, arm, across, up)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_ylabel(f"change of {metric}" if axes is grid[2 * k] else "")
        left, right = grid[2 * k : 2 * k + 2]
        _energy_scale(left)
        _output_scale(right, table.loc[table["value"] == columns[1], "mean"])
        left.set_title(_title(case), loc="left", fontsize="medium")
        if k == len(cases) - 1:
            left.set_xlabel("ΔHE / uniform energy")
            right.set_xlabel(r"output change $\Vert D\,C_0^{1/2}\Vert_F\,/\,\Vert W C_0^{1/2}\Vert_F$")
    _key(figure, [arm for arm in LOOKS if (table["arm"] == arm).any()])
    figure.suptitle(f"What an intervention does to {metric}", x=0.02, ha="left", fontsize="large")
    caption(
        figure,
        f"{about}. Means over {_seeds(table)} seeds, 95% intervals (Student's t); a line joins the sizes "
        f"‖D‖/‖W‖ = {_list(frame['size'])} of one arm. HE lowered, HE raised and signs have the same ‖D‖, "
        "‖D C0^½‖ and ‖Dk‖ for every key; green and pink leave HE exactly as it is. Metrics before: "
        + "; ".join(_before(frame, case, metric) for case in cases)
        + ".",
        width=150,
    )
    return figure


def _points(axes: Axes, arm: str, across: pd.DataFrame, up: pd.DataFrame) -> None:
    colour, marker, line = LOOKS[arm]
    x, y = across["mean"].to_numpy(), up["mean"].to_numpy()
    axes.plot(x, y, color=colour, linestyle=line, linewidth=0.8, marker=marker, markersize=4, gid=arm)
    axes.vlines(x, up["low"], up["high"], color=colour, linewidth=0.7, alpha=0.6)


def _energy_scale(axes: Axes) -> None:
    from matplotlib.ticker import SymmetricalLogLocator

    axes.set_xscale("symlog", linthresh=_LINEAR)
    axes.axvline(0, color="0.8", linewidth=0.8)
    axes.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=_LINEAR))


def _output_scale(axes: Axes, values: pd.Series) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.set_xlim(values.min() / 1.15, values.max() * 1.15)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _key(figure: Figure, arms: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=LOOKS[arm][0], marker=LOOKS[arm][1], linestyle=LOOKS[arm][2], label=arm)
        for arm in arms
    ]
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize="small")


def contrasts(frame: pd.DataFrame, about: str) -> Figure:
    """Differences between arms on the same layer, by metric.

    Parameters
    ----------
    frame
        Rows of `Intervention`, with their fields.
    about
        What was edited, for the caption.

    Returns
    -------
    Figure
        A row of panels a size, a column a metric; in each panel a row a contrast, with a mark a case.
    """
    found = differences(frame, CONTRASTS, ["size"])
    sizes = sorted(found["size"].unique())
    cases = _cases(found)
    figure, grid = panels(len(sizes), len(METRICS), width=13, height=1.7 + 2.1 * len(sizes))
    places = [(size, metric) for size in sizes for metric in METRICS]
    for axes, (size, metric) in zip(grid, places, strict=True):
        own = found[(found["size"] == size) & (found["value"] == metric)]
        _forest(axes, own, CONTRASTS, cases, named=metric == METRICS[0])
        axes.set_title(f"{metric}, ‖D‖/‖W‖ = {size:g}", loc="left", fontsize="medium")
        if size == sizes[-1]:
            axes.set_xlabel("first less second")
    _case_key(figure, cases)
    figure.suptitle("Changes of an edited layer compared", x=0.02, ha="left", fontsize="large")
    caption(
        figure,
        f"{about}. Paired by layer, means over {_seeds(found)} seeds, 95% intervals (Student's t). Against "
        "signs: HE lowered and HE raised at the same ‖D‖, ‖D C0^½‖ and ‖Dk‖ for every key; radial, norms "
        "back and rotation at the same ‖D C0^½‖ with HE exactly as it was. No mark: norms back or undo would "
        "go beyond the layer before any edit, rotation beyond half a turn.",
        width=150,
    )
    return figure


def companions(frame: pd.DataFrame, about: str) -> Figure:
    """Rank correlation between what interventions changed and the change of each metric.

    Parameters
    ----------
    frame
        Rows of `Intervention`, with their fields.
    about
        What was edited, for the caption.

    Returns
    -------
    Figure
        A column a metric, a row a column of `COMPANIONS`, a mark a case.
    """
    found = associations(frame, leave=[CHECK])
    cases, names = _cases(found), list(COMPANIONS)
    figure, grid = panels(1, len(METRICS), width=12, height=3.6)
    for axes, metric in zip(grid, METRICS, strict=True):
        own = found[found["value"] == metric]
        for k, case in enumerate(cases):
            rows = _of(own, case)
            spots = [names.index(name) + _shift(k, len(cases)) for name in rows["companion"]]
            _marks(axes, rows, spots, k)
        _rows(axes, list(COMPANIONS.values()), named=metric == METRICS[0])
        axes.set_xlim(-1.05, 1.05)
        axes.set_title(metric, loc="left", fontsize="medium")
        axes.set_xlabel("Spearman's ρ with its change")
    _case_key(figure, cases)
    figure.suptitle("What goes with the change of a metric", x=0.02, ha="left", fontsize="large")
    arms = frame[frame["arm"] != CHECK]["arm"].nunique()
    caption(
        figure,
        f"{about}. ρ over {arms} kinds of intervention at ‖D‖/‖W‖ = {_list(frame['size'])} on one layer, "
        f"mean over {_seeds(found)} seeds, 95% intervals (Student's t) cut at ±1. No mark: the metric never "
        "changed.",
        width=150,
    )
    return figure


def with_upkeep(frame: pd.DataFrame, about: str) -> Figure:
    """Energy and metrics along streams that get a step after every batch.

    Parameters
    ----------
    frame
        Rows of `Upkeep`, with their fields.
    about
        What was edited, for the caption.

    Returns
    -------
    Figure
        A row a case; ΔHE and the metrics against the edit count, a line an arm, shaded intervals.
    """
    columns = ("energy_change", *METRICS)
    table = averages(frame, columns, ["planned", "edits"])
    cases = _cases(table)
    figure, grid = panels(len(cases), len(columns), width=12, height=1.4 + 2.4 * len(cases))
    for place, axes in enumerate(grid):
        case, column = cases[place // len(columns)], columns[place % len(columns)]
        own = _of(table[table["value"] == column], case)
        for arm, rows in own.groupby("arm", sort=False):
            colour, line = UPKEEP_LOOKS[arm]
            x = rows["edits"].to_numpy()
            axes.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, rows["mean"], color=colour, linestyle=line, linewidth=1.3, gid=arm)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylabel("ΔHE / uniform energy" if column == "energy_change" else column)
        if column == "energy_change":
            axes.set_title(_title(case), loc="left", fontsize="medium")
            axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        else:
            axes.set_ylim(-0.03, 1.03)
        if place // len(columns) == len(cases) - 1:
            axes.set_xlabel("edits")
    _line_key(figure)
    figure.suptitle("Streams with a step after every batch", x=0.02, ha="left", fontsize="large")
    share = frame[frame["arm"] == "HE held"].groupby(list(CASE), sort=False)["step_share"].median()
    shares = "; ".join(f"{_title(case)}: {share[case]:.2g}" for case in cases)
    caption(
        figure,
        f"{about}. Means over {_seeds(table)} seeds, 95% intervals (Student's t). HE held: S along ∓∇HE back "
        "to the HE of the unedited layer; mirror: −S; signs: diag(±1)S, both moving every key's output as "
        "far as S; norms held: row norms put back, HE untouched; as long as S: pulled back, towards the "
        "unedited weights, and peaks clipped, of the largest singular values. Median ‖S‖ over that of the "
        f"batch's ΔW: {shares}.",
        width=170,
    )
    return figure


def upkeep_contrasts(frame: pd.DataFrame, about: str) -> Figure:
    """Differences between arms of streams with upkeep, after the last edit.

    Parameters
    ----------
    frame
        Rows of `Upkeep`, with their fields.
    about
        What was edited, for the caption.

    Returns
    -------
    Figure
        A column a metric; in each panel a row a contrast, with a mark a case.
    """
    last = frame[frame["edits"] == frame["planned"]]
    found = differences(last, upkeep.CONTRASTS, ["planned"])
    cases = _cases(found)
    figure, grid = panels(1, len(METRICS), width=13, height=4.2)
    for axes, metric in zip(grid, METRICS, strict=True):
        own = found[found["value"] == metric]
        _forest(axes, own, upkeep.CONTRASTS, cases, named=metric == METRICS[0])
        axes.set_title(metric, loc="left", fontsize="medium")
        axes.set_xlabel("first less second")
    _case_key(figure, cases)
    figure.suptitle("Streams with upkeep compared after the last edit", x=0.02, ha="left", fontsize="large")
    ends = last.groupby(list(CASE), sort=False)["planned"].max()
    counts = "; ".join(f"{_title(case)}: {ends[case]:,} edits" for case in cases)
    caption(
        figure,
        f"{about}. Paired by stream, means over {_seeds(found)} seeds, 95% intervals (Student's t). "
        f"{counts}.",
        width=150,
    )
    return figure


# --- what the panels share ----------------------------------------------------------------------


def _cases(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(*(table[name] for name in CASE), strict=True)))


def _of(table: pd.DataFrame, case: tuple[str, str]) -> pd.DataFrame:
    return table[(table[CASE[0]] == case[0]) & (table[CASE[1]] == case[1])]


def _title(case: tuple[str, str]) -> str:
    return f"{case[0]}, {case[1]}"


def _seeds(table: pd.DataFrame) -> str:
    low, high = int(table["seeds"].min()), int(table["seeds"].max())
    return f"{high}" if low == high else f"{low} to {high}"


def _list(values: pd.Series) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values.unique()))


def _before(frame: pd.DataFrame, case: tuple[str, str], metric: str) -> str:
    own = _of(frame, case)
    edits = ", ".join(f"{count:,}" for count in sorted(own["edits"].unique()))
    return f"{_title(case)}, {edits} edits: {own[f'{metric}_before'].mean():.2f}"


def _shift(k: int, count: int) -> float:
    return 0.6 * (k / max(1, count - 1) - 0.5) if count > 1 else 0.0


def _forest(
    axes: Axes,
    rows: pd.DataFrame,
    pairs: tuple[tuple[str, str], ...],
    cases: list[tuple[str, str]],
    *,
    named: bool,
) -> None:
    for k, case in enumerate(cases):
        own = _of(rows, case)
        drawn = list(zip(own["first"], own["second"], strict=True))
        _marks(axes, own, [pairs.index(pair) + _shift(k, len(cases)) for pair in drawn], k)
    _rows(axes, [f"{first} − {second}" for first, second in pairs], named=named)


def _marks(axes: Axes, rows: pd.DataFrame, places: list[float], k: int) -> None:
    colour, marker = COLOURS[k % len(COLOURS)], "osD^vP"[k % 6]
    axes.hlines(places, rows["low"], rows["high"], color=colour, linewidth=1.1)
    axes.plot(rows["mean"], places, color=colour, marker=marker, linestyle="none", markersize=4.5, gid=str(k))


def _rows(axes: Axes, labels: list[str], *, named: bool) -> None:
    axes.set_yticks(range(len(labels)), labels if named else [""] * len(labels), fontsize="small")
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.axvline(0, color="0.6", linewidth=0.8)
    for edge in range(1, len(labels)):
        axes.axhline(edge - 0.5, color="0.93", linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _case_key(figure: Figure, cases: list[tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[k % len(COLOURS)], marker="osD^vP"[k % 6], label=_title(case))
        for k, case in enumerate(cases)
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize="small")


def _line_key(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=c, linestyle=line, label=arm) for arm, (c, line) in UPKEEP_LOOKS.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=7, frameon=False, fontsize="small")
