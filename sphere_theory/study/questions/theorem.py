"""Does |ΔV| ≥ (ΔHE/K)² hold? Verdicts of Theorem 1, audited along streams and probed.

Along every audited stream the verdict of each constant K is counted, over single steps and over the whole way
since W0; edits of every size and direction, an adversary's among them, probe it on drawn and on real weights.
The figures show how far streams stay in the range of the theorem's proof, which takes long streams with
audits and a path bound, and which edits violate it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.bound import KINDS
from sphere_theory.experiments.probe import SIZES, SYNTHETIC, Probe
from sphere_theory.experiments.regimes import TAYLOR_TOLERANCE
from sphere_theory.plotting import bare, canvas, caption, palette, panels, title
from sphere_theory.study.choices import COURSE, courses
from sphere_theory.study.estimates import VERDICTS, Audited
from sphere_theory.study.markdown import number, table
from sphere_theory.study.question import (
    Chosen,
    ExperimentFigure,
    Frames,
    Lines,
    Material,
    Question,
    RunFigure,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Sequence[Mapping[str, Any]]

# --- audits along streams -------------------------------------------------------------------------

_WAYS = {"step": "single steps", "total": "whole ways"}


def audit_counts(points: pd.DataFrame) -> Audited | None:
    """Verdicts of the audits along streams, of the constants that every one of them has.

    Parameters
    ----------
    points
        As `load_points` returns them.

    Returns
    -------
    Audited or None
        None where no stream was audited.
    """
    if "total_certified" not in points:
        return None
    found = points.dropna(subset=["total_certified"])
    kinds = [kind for kind in KINDS if f"total_{kind}" in found and found[f"total_{kind}"].notna().all()]
    counts = {
        way: {
            kind: {name: int((found[f"{way}_{kind}"] == name).sum()) for name in VERDICTS} for kind in kinds
        }
        for way in _WAYS
    }
    return Audited(len(found), found["run"].nunique(), counts)


def audits(found: Audited) -> Lines:
    """The findings' table of audits along streams; a verdict has its column if it occurs.

    Parameters
    ----------
    found
        Its numbers.

    Yields
    ------
    str
        Paragraphs of Markdown.
    """
    every = [counts for kinds in found.counts.values() for counts in kinds.values()]
    shown = [verdict for verdict in VERDICTS if verdict != "undecided" or any(c.get(verdict) for c in every)]
    yield f"Audits at {found.points:,} points of {found.streams} streams:"
    yield table(
        ("of", "constant", *shown),
        [
            (_WAYS[way], f"K {kind}", *(f"{counts.get(verdict, 0):,}" for verdict in shown))
            for way, kinds in found.counts.items()
            for kind, counts in kinds.items()
        ],
    )


def audited(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """The longest courses with audits and a path bound."""
    if "total_sign" not in points:
        return points.iloc[:0]
    own = courses(points.dropna(subset=["total_sign", "path_bound"]), host)
    return own[own["planned"] == own["planned"].max()]


def lasting(points: pd.DataFrame) -> pd.DataFrame:
    """How far each run stays in the range of Theorem 1's proof.

    Parameters
    ----------
    points
        Of runs with audits.

    Returns
    -------
    pandas.DataFrame
        One row a run: base, editor, run, sign and apart: the last edits up to which the sign of ΔHE since W0
        is certified at every point, and up to which no two neurons can have met; 0 if not even at the first.
    """
    import pandas as pd

    rows = []
    for (base, editor, name), run in points.groupby(["base", "editor", "run"], sort=False):
        rows.append({
            "base": base,
            "editor": editor,
            "run": name,
            "sign": _unbroken(run["edits"], run["total_sign"] != 0),
            "apart": _unbroken(run["edits"], run["total_smallest_gap"] > 0),
        })
    return pd.DataFrame(rows)


def _unbroken(edits: pd.Series, good: pd.Series) -> int:
    return int(edits[good.astype(bool).cummin()].max()) if bool(good.iloc[0]) else 0


# --- streams under stress -------------------------------------------------------------------------

# Column, title and scale of each panel.
_STRESS = {
    "total_smallest_gap": ("smallest gap min φ (radians)", "linear"),
    "total_first_order_error": ("first-order error |ΔHE − ⟨∇HE, ΔW⟩| / |ΔHE|", "log"),
    "total_unconditional_tightness": ("tightness (ΔHE/K*)² / ‖ΔV‖²", "log"),
    "energy_change": ("ΔHE (symmetric log)", "symlog"),
}


def _stress_data(chosen: Chosen) -> Frames:
    shown = ["run", "base", "operator", "editor", "seed", "edits", *_STRESS, "total_unconditional"]
    return {"points": chosen.points[shown], "lasting": lasting(chosen.points)}


def _draw_stress(frames: Frames, about: str) -> Figure:
    """A line a run, and above them how long the sign of ΔHE is certified, and no neurons can have met."""
    points, colours = frames["points"], palette(frames["points"]["base"])
    editors = points["editor"].nunique()
    figure, _ = canvas(width=9.5, height=6.2 + 0.22 * editors)
    figure.clear()
    layout = [["status", "status"], *np.array(list(_STRESS)).reshape(2, 2).tolist()]
    axes = figure.subplot_mosaic(layout, height_ratios=[0.3 + 0.1 * editors, 1, 1])
    _lasting(axes["status"], frames["lasting"], colours)
    axes["status"].set_xlim(0, points["edits"].max())
    for column, (name, scale) in _STRESS.items():
        _stressed(axes[column], points, column, colours, scale)
        axes[column].set_title(name, loc="left", fontsize="small")
    _limit(axes["total_smallest_gap"], 0, "two neurons may have met below 0")
    _limit(axes["total_first_order_error"], TAYLOR_TOLERANCE, f"right to {TAYLOR_TOLERANCE:.0%} below")
    title(figure, "Where streams leave the range of Theorem 1's proof")
    caption(
        figure,
        f"{about}; one line a run, dashed with SPHERE. Bars: edits up to which the sign of "
        "ΔHE since the pretrained weights is certified (filled), and no two neurons can have met (outline), "
        f"mean over seeds; dots: seeds. The bound ‖ΔV‖² ≥ (ΔHE/K*)² is violated at "
        f"{int((points['total_unconditional'] == 'violated').sum())} of {len(points):,} points.",
        width=140,
    )
    return figure


def _limit(axes: Axes, height: float, text: str) -> None:
    axes.axhline(height, color="0.4", linewidth=0.8)
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


def _stressed(axes: Axes, points: pd.DataFrame, column: str, colours: dict[str, str], scale: str) -> None:
    axes.set_yscale(scale)
    runs = points.groupby(["base", "operator", "editor", "run"], sort=False)
    for (base, operator, editor, _), run in runs:
        style = "--" if operator else "-"
        axes.plot(
            run["edits"], run[column], style, color=colours[base], linewidth=0.9, alpha=0.8, label=editor
        )
    axes.set_xlabel("edits")
    bare(axes)


def _lasting(axes: Axes, found: pd.DataFrame, colours: dict[str, str]) -> None:
    editors = dict(found[["editor", "base"]].drop_duplicates().to_numpy())
    for place, (editor, base) in enumerate(editors.items()):
        own, colour = found[found["editor"] == editor], colours[base]
        axes.barh(place, own["apart"].mean(), height=0.6, facecolor="none", edgecolor=colour, linewidth=1.2)
        axes.barh(place, own["sign"].mean(), height=0.6, color=colour)
        for column in ("sign", "apart"):
            axes.plot(
                own[column], [place] * len(own), linestyle="none", marker=".", color="0.2", markersize=3
            )
    axes.set_yticks(range(len(editors)), list(editors), fontsize="small")
    for tick, base in zip(axes.get_yticklabels(), editors.values(), strict=True):
        tick.set_color(colours[base])
    axes.invert_yaxis()
    axes.set_title("sign certified, neurons apart, up to this number of edits", loc="left", fontsize="small")
    bare(axes)


# --- probes ---------------------------------------------------------------------------------------

# What the map of violations shows: a title, the constant, and the inputs it is drawn for (None: all).
_PANELS = (
    ("K gradient, complete inputs", "gradient", "orthonormal"),
    ("K gradient, m < d inputs", "gradient", "partial"),
    ("K triangle, complete inputs", "triangle", "orthonormal"),
    ("K*, every kind of inputs", "unconditional", None),
)

# The same for a real layer and its keys, to which the first-order constants hardly ever apply.
_REAL_PANELS = (
    ("K gradient, real keys", "gradient", "activations"),
    ("K*, real keys", "unconditional", "activations"),
)


def violations(rows: Records) -> Figure:
    """Relative size × direction of the edits of a probe, coloured by how many violate the bound.

    Parameters
    ----------
    rows
        Records of `probe_bound` cells: constant, inputs, direction, size, applicable, violations, tightness;
        and layer, unless weights were drawn.

    Returns
    -------
    Figure
        A panel a constant and kind of inputs; in each cell the worst tightness, "–" where nothing is
        applicable.
    """
    layers = sorted({row.get("layer", SYNTHETIC) for row in rows} - {SYNTHETIC})
    shown = _REAL_PANELS if layers else _PANELS
    lines = math.ceil(len(shown) / 2)
    figure, grid = panels(lines, 2, width=9.0, height=1.0 + 3.0 * lines)
    sizes = sorted({row["size"] for row in rows})
    directions = list(dict.fromkeys(row["direction"] for row in rows))
    for place, (axes, (name, constant, inputs)) in enumerate(zip(grid, shown, strict=True)):
        mine = [r for r in rows if r["constant"] == constant and inputs in (None, r["inputs"])]
        image = _violation_map(axes, mine, directions, sizes)
        axes.set_title(name, loc="left", fontsize="medium")
        axes.set_xticks(range(len(sizes)), [f"{size:.0e}" for size in sizes], rotation=45, ha="right")
        axes.set_yticks(range(len(directions)), directions if place % 2 == 0 else [""] * len(directions))
        if place >= 2 * lines - 2:
            axes.set_xlabel(r"relative size of the edit $\Vert\Delta W\Vert_F\,/\,\Vert W\Vert_F$")
    bar = figure.colorbar(image, ax=grid, shrink=0.6, label="share of applicable trials that violate it")
    bar.outline.set_visible(False)
    title(figure, "Which edits violate Theorem 1, with which constant")
    trials = sum(row["trials"] for row in rows if row["constant"] == "gradient")
    shapes = ", ".join(dict.fromkeys(f"{row['n']}×{row['d']}" for row in rows))
    real = f"{Probe.family.title} layer {', '.join(map(str, layers))}"
    weights = real if layers else "Gaussian weights"
    caption(
        figure,
        f"{trials:,} edits of {weights} (n×d: {shapes}); numbers: worst (ΔHE/K)²/‖ΔV‖², with σ² for "
        "K*: above 1 the bound is violated; ∞: outputs move by rounding alone; –: not applicable",
        width=150,
    )
    return figure


def _violation_map(axes: Axes, rows: Records, directions: Sequence[str], sizes: Sequence[float]) -> Any:
    """One panel; returns the image that the colour bar belongs to."""
    rates = [[math.nan] * len(sizes) for _ in directions]
    for y, direction in enumerate(directions):
        for x, size in enumerate(sizes):
            cells = [r for r in rows if r["direction"] == direction and r["size"] == size]
            applicable = sum(cell["applicable"] for cell in cells)
            if applicable:
                rates[y][x] = sum(cell["violations"] for cell in cells) / applicable
            worst = [float(c["tightness"]) for c in cells if not math.isnan(float(c["tightness"]))]
            said = _shown(max(worst)) if applicable and worst else "–"
            colour = "white" if applicable and rates[y][x] > 0.6 else "0.2"
            axes.text(x, y, said, ha="center", va="center", fontsize="x-small", color=colour)
    axes.set_facecolor("0.9")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes.imshow(rates, cmap="OrRd", vmin=0, vmax=1, aspect="auto")


def _shown(value: float) -> str:
    """Two digits; what is rounding over something is 0, something over rounding ∞."""
    if value > 1e20:
        return "∞"
    if value < 1e-20:
        return "0"
    if 100 <= value < 1000:
        return f"{value:.0f}"
    return f"{value:.2g}" if 0.01 <= value < 100 else f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")


def _draw_violations(frames: Frames, about: str) -> Figure:
    return violations(frames["rows"].to_dict("records"))


def _experiments(quick: bool) -> list[Probe]:
    """Synthetic weights and real layers: three seeds for each shape and for layer 3."""
    sizes = SIZES[::3] if quick else SIZES
    shapes = [(4, 3)] if quick else [(4, 3), (12, 10)]
    synthetic = [Probe(shape=shape, sizes=sizes, seed=seed) for shape in shapes for seed in range(3)]
    layers = [(3, seed) for seed in range(3)] + ([] if quick else [(0, 0), (5, 0)])
    sizes = (1e-5,) if quick else SIZES[::3]
    real = [Probe(layer, (384, 1536), sizes, trials=1, seed=seed) for layer, seed in layers]
    return synthetic + real


# --- in words -------------------------------------------------------------------------------------


def _answer(material: Material) -> Lines:
    found = audit_counts(material.points)
    if found is not None:
        yield from audits(found)
    probe = material.rows(Probe.name)
    if len(probe):
        yield "Probed with edits of every size and direction, an adversary among them:"
        head = ("weights", "inputs", "constant", "trials", "applicable", "violated")
        yield table((*head, "bound over ‖ΔV‖², largest"), _probed(probe))


def _probed(probe: pd.DataFrame) -> Iterable[Sequence[str]]:
    by = ["real", "inputs", "constant"]
    counted = probe.assign(real=probe["layer"] != SYNTHETIC).groupby(by, sort=False)
    worst = counted["tightness"].max()
    for (real, inputs, kind), row in counted[["trials", "applicable", "violations"]].sum().iterrows():
        weights = str(Probe.family.title) if real else "Gaussian"
        largest = number(worst[real, inputs, kind], ".1e")
        yield weights, str(inputs), f"K {kind}", *(f"{int(n):,}" for n in row), largest


QUESTION = Question(
    order=3,
    question="Does |ΔV| ≥ (ΔHE/K)² hold?",
    asked="the paper, Theorem 1",
    answer=_answer,
    untested="Streams that were run without audits. What is proved, corrected and refuted stands in the "
    "ledger (`sphere-theory claims`).",
    figures={
        "stress": RunFigure(f"{COURSE}, with audits and a path bound", audited, _stress_data, _draw_stress),
        "bound": ExperimentFigure(
            Probe.name, _draw_violations, which=lambda rows: rows[rows["layer"] == SYNTHETIC]
        ),
        "bound-real": ExperimentFigure(
            Probe.name, _draw_violations, which=lambda rows: rows[rows["layer"] != SYNTHETIC]
        ),
    },
    experiments=_experiments,
)
