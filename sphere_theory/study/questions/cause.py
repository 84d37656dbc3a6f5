"""Is energy a cause of good edits, or a companion? What changes of an edited layer do to its metrics.

A layer is changed once, in ways that move its energy at a fixed change of weights and outputs, or leave the
energy where it is and move the outputs as far (`Intervention`); and copies of a layer get a step after every
batch that brings the energy back, or is as long and does not (`EnergyStabilization`). A cause would show in
differences between two such changes of the same layer, paired by seed (`differences`); what only goes with
good edits shows in rank correlations (`associations`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sphere_theory.experiments import energy_stabilization, interventions
from sphere_theory.experiments.base import Experiment, Row
from sphere_theory.experiments.energy_stabilization import EnergyStabilization
from sphere_theory.experiments.interventions import CHECK, MOVES_ENERGY, QUIET, UNDO, Intervention
from sphere_theory.hosts.base import METRICS
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.plotting import COLOURS, bare, caption, panels, title
from sphere_theory.study.effects import CASE, COVARIATES, associations, averages, differences
from sphere_theory.study.markdown import table
from sphere_theory.study.question import ExperimentFigure, Frames, Lines, Material, Question
from sphere_theory.study.wording import spanned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Case = tuple[str, str]
_Look = tuple[str, str, Any]

# How each arm is drawn: colour, marker, line. One colour for what moves HE, one for what does not.
_LOOKS: Mapping[str, _Look] = {
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
_STREAM_LOOKS: Mapping[str, _Look] = {
    "none": ("0.2", "", "-"),
    "HE held": (COLOURS[0], "", "-"),
    "mirror": (COLOURS[1], "", "-"),
    "signs": ("0.55", "", "--"),
    "norms held": (COLOURS[2], "", "-"),
    "pulled back": (COLOURS[4], "", "--"),
    "peaks clipped": (COLOURS[3], "", "-"),
}

# What an intervention may be a dose of; and the metric whose response is drawn.
_DOSES = ("energy_change", "output_change")
_RESPONSE = "specificity"

# Where the scale of ΔHE turns from linear to logarithmic, over the uniform energy.
_LINEAR = 1e-3


def _dose_response(rows: pd.DataFrame, metric: str = _RESPONSE) -> Frames:
    found = averages(rows, [f"{metric}_change", *_DOSES], ["size"])
    known = {"edits": ("edits", _listed), "mean": (f"{metric}_before", "mean")}
    before = rows.groupby([*CASE], sort=False).agg(**known)
    return {"changes": found, "before": before.reset_index()}


def _draw_dose_response(frames: Frames, about: str, metric: str = _RESPONSE) -> Figure:
    """A row a case: were the energy the cause, arms would share a curve on the left; outputs, right."""
    found = frames["changes"]
    cases = _cases(found)
    figure, grid = panels(len(cases), len(_DOSES), width=10, height=1.6 + 2.6 * len(cases))
    for k, case in enumerate(cases):
        left, right = grid[2 * k : 2 * k + 2]
        for axes, dose in ((left, _DOSES[0]), (right, _DOSES[1])):
            _responses(axes, _of(found, case), dose, f"{metric}_change")
        _energy_scale(left)
        _output_scale(right, found.loc[found["value"] == _DOSES[1], "mean"])
        left.set_ylabel(f"change of {metric}")
        left.set_title(_title(case), loc="left", fontsize="medium")
    grid[-2].set_xlabel("ΔHE / uniform energy")
    grid[-1].set_xlabel(r"output change $\Vert D\,C_0^{1/2}\Vert_F\,/\,\Vert W C_0^{1/2}\Vert_F$")
    drawn = {arm: look for arm, look in _LOOKS.items() if (found["arm"] == arm).any()}
    _key(figure, drawn, "outside right upper")
    title(figure, f"What an intervention does to {metric}")
    before = "; ".join(
        f"{_title((row['host'], row['editor']))}, {row['edits']} edits: {row['mean']:.2f}"
        for row in frames["before"].to_dict("records")
    )
    caption(
        figure,
        f"{about}. Means over {_seeds(found)} seeds, 95% intervals (Student's t); a line joins the sizes "
        f"‖D‖/‖W‖ = {_sizes(found)} of one arm. HE lowered, HE raised and signs have the same ‖D‖, "
        "‖D C0^½‖ and ‖Dk‖ for every key; green and pink leave HE exactly as it is. Metrics before: "
        f"{before}.",
        width=150,
    )
    return figure


def _responses(axes: Axes, own: pd.DataFrame, dose: str, response: str) -> None:
    axes.axhline(0, color="0.8", linewidth=0.8)
    for arm, rows in own.groupby("arm", sort=False):
        colour, marker, line = _LOOKS[arm]
        x, up = (rows[rows["value"] == column].sort_values("size") for column in (dose, response))
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": line}
        axes.plot(x["mean"].to_numpy(), up["mean"].to_numpy(), linewidth=0.8, markersize=4, gid=arm, **look)
        axes.vlines(x["mean"].to_numpy(), up["low"], up["high"], color=colour, linewidth=0.7, alpha=0.6)
    bare(axes)


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


def _contrasts(rows: pd.DataFrame) -> Frames:
    return {"contrasts": differences(rows, interventions.CONTRASTS, ["size"])}


def _draw_contrasts(frames: Frames, about: str) -> Figure:
    """A row of panels a size: differences between arms on the same layer."""
    found = frames["contrasts"]
    sizes, cases = sorted(found["size"].unique()), _cases(found)
    figure, grid = panels(len(sizes), len(METRICS), width=13, height=1.7 + 2.1 * len(sizes))
    for k, size in enumerate(sizes):
        row = grid[len(METRICS) * k : len(METRICS) * (k + 1)]
        _forests(row, _paired(found[found["size"] == size]), _pairs(interventions.CONTRASTS), cases)
        for axes, metric in zip(row, METRICS, strict=True):
            axes.set_title(f"{metric}, ‖D‖/‖W‖ = {size:g}", loc="left", fontsize="medium")
    for axes in grid[-len(METRICS) :]:
        axes.set_xlabel("first less second")
    _key(figure, _case_looks(cases), "outside upper right", 2)
    title(figure, "Changes of an edited layer compared")
    caption(
        figure,
        f"{about}. Paired by layer, means over {_seeds(found)} seeds, 95% intervals (Student's t). Against "
        "signs: HE lowered and HE raised at the same ‖D‖, ‖D C0^½‖ and ‖Dk‖ for every key; radial, norms "
        "back and rotation at the same ‖D C0^½‖ with HE exactly as it was. No mark: norms back or undo would "
        "go beyond the layer before any edit, rotation beyond half a turn.",
        width=150,
    )
    return figure


def _covariates(rows: pd.DataFrame) -> Frames:
    over = rows.loc[rows["arm"] != CHECK, ["arm", "size"]].drop_duplicates(ignore_index=True)
    return {"correlations": associations(rows, leave=[CHECK]), "interventions": over}


def _draw_covariates(frames: Frames, about: str) -> Figure:
    """A row a column of `COVARIATES`: its rank correlation with the change of each metric."""
    found, over = frames["correlations"], frames["interventions"]
    cases = _cases(found)
    figure, grid = panels(1, len(METRICS), width=12, height=3.6)
    _forests(grid, found.assign(label=found["covariate"].map(COVARIATES)), list(COVARIATES.values()), cases)
    for axes, metric in zip(grid, METRICS, strict=True):
        axes.set_xlim(-1.05, 1.05)
        axes.set_title(metric, loc="left", fontsize="medium")
        axes.set_xlabel("Spearman's ρ with its change")
    _key(figure, _case_looks(cases), "outside upper right", 2)
    title(figure, "What goes with the change of a metric")
    caption(
        figure,
        f"{about}. ρ over {over['arm'].nunique()} kinds of intervention at ‖D‖/‖W‖ = {_sizes(over)} on one "
        f"layer, mean over {_seeds(found)} seeds, 95% intervals (Student's t) cut at ±1. No mark: the metric "
        "never changed.",
        width=150,
    )
    return figure


def _stabilized(rows: pd.DataFrame) -> Frames:
    steps = rows[rows["arm"] == "HE held"].groupby([*CASE], sort=False)["step_share"].median()
    courses = averages(rows, ["energy_change", *METRICS], ["planned", "edits"])
    return {"courses": courses, "steps": steps.reset_index()}


def _draw_stabilized(frames: Frames, about: str) -> Figure:
    """A row a case: ΔHE and the metrics along the stream, a line an arm, shaded intervals."""
    found, columns = frames["courses"], ("energy_change", *METRICS)
    cases = _cases(found)
    figure, grid = panels(len(cases), len(columns), width=12, height=1.4 + 2.4 * len(cases))
    for place, axes in enumerate(grid):
        case, column = cases[place // len(columns)], columns[place % len(columns)]
        _courses(axes, _of(found[found["value"] == column], case))
        axes.set_ylabel("ΔHE / uniform energy" if column == "energy_change" else column)
        if column == "energy_change":
            axes.set_title(_title(case), loc="left", fontsize="medium")
            axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        else:
            axes.set_ylim(-0.03, 1.03)
    for axes in grid[-len(columns) :]:
        axes.set_xlabel("edits")
    _key(figure, _STREAM_LOOKS, "outside upper right", 7)
    title(figure, "Streams with a step after every batch")
    share = frames["steps"].set_index([*CASE])["step_share"]
    shares = "; ".join(f"{_title(case)}: {share[case]:.2g}" for case in cases)
    caption(
        figure,
        f"{about}. Means over {_seeds(found)} seeds, 95% intervals (Student's t). HE held: S along ∓∇HE back "
        "to the HE of the unedited layer; mirror: −S; signs: diag(±1)S, both moving every key's output as "
        "far as S; norms held: row norms put back, HE untouched; as long as S: pulled back, towards the "
        "unedited weights, and peaks clipped, of the largest singular values. Median ‖S‖ over that of the "
        f"batch's ΔW: {shares}.",
        width=170,
    )
    return figure


def _courses(axes: Axes, own: pd.DataFrame) -> None:
    for arm, rows in own.groupby("arm", sort=False):
        colour, _, line = _STREAM_LOOKS[arm]
        x = rows["edits"].to_numpy()
        axes.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, rows["mean"], color=colour, linestyle=line, linewidth=1.3, gid=arm)
    bare(axes)


def _stabilized_contrasts(rows: pd.DataFrame) -> Frames:
    """Differences at the end of the longest streams of each case."""
    last = rows[rows["edits"] == rows.groupby([*CASE])["edits"].transform("max")]
    return {"contrasts": differences(last, energy_stabilization.CONTRASTS, ["planned"])}


def _draw_stabilized_contrasts(frames: Frames, about: str) -> Figure:
    """Differences between arms after the last edit."""
    found = frames["contrasts"]
    cases = _cases(found)
    figure, grid = panels(1, len(METRICS), width=13, height=4.2)
    _forests(grid, _paired(found), _pairs(energy_stabilization.CONTRASTS), cases)
    for axes, metric in zip(grid, METRICS, strict=True):
        axes.set_title(metric, loc="left", fontsize="medium")
        axes.set_xlabel("first less second")
    _key(figure, _case_looks(cases), "outside upper right", 2)
    title(figure, "Streams with a step after every batch compared after the last edit")
    ends = found.groupby([*CASE], sort=False)["planned"].max()
    counts = "; ".join(f"{_title(case)}: {ends[case]:,} edits" for case in cases)
    how = f"Paired by stream, means over {_seeds(found)} seeds, 95% intervals (Student's t)"
    caption(figure, f"{about}. {how}. {counts}.", width=150)
    return figure


def _forests(grid: list[Axes], found: pd.DataFrame, labels: list[str], cases: list[_Case]) -> None:
    """A panel a metric, a row a label, a mark a case."""
    for axes, metric in zip(grid, METRICS, strict=True):
        own = found[found["value"] == metric]
        for k, (colour, marker, _) in enumerate(_case_looks(cases).values()):
            rows = _of(own, cases[k])
            apart = 0.6 * (k / (len(cases) - 1) - 0.5) if len(cases) > 1 else 0.0
            places = [labels.index(label) + apart for label in rows["label"]]
            axes.hlines(places, rows["low"], rows["high"], color=colour, linewidth=1.1)
            axes.plot(rows["mean"], places, marker, color=colour, markersize=4.5, gid=str(k))
        shown = labels if metric == METRICS[0] else [""] * len(labels)
        axes.set_yticks(range(len(labels)), shown, fontsize="small")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.axvline(0, color="0.6", linewidth=0.8)
        for edge in range(1, len(labels)):
            axes.axhline(edge - 0.5, color="0.93", linewidth=0.8)
        axes.spines[["top", "right", "left"]].set_visible(False)


def _case_looks(cases: list[_Case]) -> dict[str, _Look]:
    return {_title(case): (COLOURS[k % len(COLOURS)], "osD^vP"[k % 6], "-") for k, case in enumerate(cases)}


def _key(figure: Figure, looks: Mapping[str, _Look], loc: Any, columns: int = 1) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle=line, label=label)
        for label, (colour, marker, line) in looks.items()
    ]
    figure.legend(handles=handles, loc=loc, ncols=columns, frameon=False, fontsize="small")


def _paired(found: pd.DataFrame) -> pd.DataFrame:
    return found.assign(label=_pairs(zip(found["first"], found["second"], strict=True)))


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{first} − {second}" for first, second in pairs]


def _cases(found: pd.DataFrame) -> list[_Case]:
    return list(dict.fromkeys(zip(*(found[name] for name in CASE), strict=True)))


def _of(found: pd.DataFrame, case: _Case) -> pd.DataFrame:
    return found[(found[CASE[0]] == case[0]) & (found[CASE[1]] == case[1])]


def _title(case: _Case) -> str:
    return f"{case[0]}, {case[1]}"


def _seeds(found: pd.DataFrame) -> str:
    low, high = int(found["seeds"].min()), int(found["seeds"].max())
    return f"{high}" if low == high else f"{low} to {high}"


def _sizes(found: pd.DataFrame) -> str:
    return ", ".join(f"{size:g}" for size in sorted(found["size"].unique()))


def _listed(counts: pd.Series) -> str:
    return ", ".join(f"{count:,}" for count in sorted(counts.unique()))


def _answer(material: Material) -> Lines:
    """Interventions on the energy, and on everything but the energy."""
    rows = material.rows(Intervention.name)
    if len(rows):
        sizes = sorted(rows["size"].unique())
        size = sizes[(len(sizes) - 1) // 2]
        yield (
            f"One change of an edited layer of relative size {size:g}, first less second, paired by seed. A "
            "contrast is missing where an arm would have to go beyond the layer before any edit, or a "
            "rotation beyond half a turn:"
        )
        yield _in_words(differences(rows[rows["size"] == size], interventions.CONTRASTS, ()))
    rows = material.rows(EnergyStabilization.name)
    if len(rows):
        yield "A step after every batch, metrics after the last edit, first less second, paired by seed:"
        yield _in_words(_stabilized_contrasts(rows)["contrasts"])


def _in_words(found: pd.DataFrame) -> str:
    rows = []
    for (host, editor, label), own in _paired(found).groupby([*CASE, "label"], sort=False):
        by = own.set_index("value")
        cells = (spanned(by.loc[name], "mean", "+.3f") for name in METRICS)
        rows.append((str(host), str(editor), str(label), str(int(own["seeds"].min())), *cells))
    return table(("host", "editor", "contrast", "seeds", *METRICS), rows)


def _experiments(quick: bool) -> list[Experiment]:
    """Interventions and streams with a step after every batch, of each layer on some seeds."""
    power, flat = (SyntheticLayer((256, 1024), spectrum=spectrum) for spectrum in ("power", "flat"))
    # λ and L2 that leave each layer with most of its efficacy, and its specificity not at its ceiling.
    cases: list[tuple[Row, int, int]] = [
        ({"host": MiniLM()}, 300, 300 if quick else 600),
        ({"host": power, "settings": ("ridge=150",)}, 1000, 1000),
    ]
    if not quick:
        cases += [
            ({"host": MiniLM(), "editor": "alphaedit", "settings": ("l2=1",)}, 300, 600),
            ({"host": flat, "settings": ("ridge=150",)}, 1500, 1500),
        ]
    once: Row = {"sizes": (0.4,)} if quick else {}
    seeds = range(3 if quick else 4)
    made: list[Experiment] = []
    for case, edits, length in cases:
        made += [Intervention(**case, **once, edits=edits, seed=seed) for seed in seeds]
        made += [EnergyStabilization(**case, every=2, edits=length, seed=seed) for seed in seeds]
    return made


QUESTION = Question(
    order=7,
    question="Is energy a cause or a companion?",
    asked="the paper's limitations",
    answer=_answer,
    untested="Interventions along whole streams of thousands of edits, and on several layers at once.",
    figures={
        "dose-response": ExperimentFigure(Intervention.name, _draw_dose_response, _dose_response),
        "contrasts": ExperimentFigure(Intervention.name, _draw_contrasts, _contrasts),
        "covariates": ExperimentFigure(Intervention.name, _draw_covariates, _covariates),
        "energy-stabilization": ExperimentFigure(EnergyStabilization.name, _draw_stabilized, _stabilized),
        "energy-stabilization-contrasts": ExperimentFigure(
            EnergyStabilization.name, _draw_stabilized_contrasts, _stabilized_contrasts
        ),
    },
    experiments=_experiments,
)
