"""How sensitive are results to η and α, and does SPHERE reach what λ does not? Where all settings end.

The statistics are those of `pareto_front`: means over seeds at the end of each setting, and whether they lie
beyond the curve that the base editor alone draws as its λ is turned, beside those of SPHERE's controls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sphere_theory.editing.control import KINDS
from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.plotting import COLOURS, bare, caption, panels, title
from sphere_theory.study.choices import SEEDS_NEEDED, largest, seeded, studies
from sphere_theory.study.markdown import number, table
from sphere_theory.study.pareto_front import (
    BEYOND,
    DOMINATED,
    OFF,
    UNDECIDED,
    front_gaps,
    front_shares,
    settings_reached,
)
from sphere_theory.study.question import Chosen, Frames, Lines, Material, Question, RunFigure
from sphere_theory.study.run_table import PROJECTED
from sphere_theory.study.wording import headed, spanned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Pairs of η and α that make a grid.
GRID_NEEDED = 6


def grids_of(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """The study with enough pairs of η and α."""
    found = []
    for study in map(seeded, studies(points, host)):
        sphere = study[study["operator"] == PROJECTED]
        if len(sphere[["eta", "alpha"]].drop_duplicates()) >= GRID_NEEDED:
            found.append(study)
    return largest(found, points)


def fronts(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """A grid of η and α beside base editors with another strength."""
    chosen = grids_of(points, host)
    try:
        front_gaps(chosen)
    except InputError:
        return points.iloc[:0]
    return chosen


def _itself(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of SPHERE, without its variants and controls."""
    return rows[(rows["operator"] == PROJECTED) & (rows["variant"] == "")]


def _called(operator: str, variant: str) -> str:
    return f"{operator}, {variant}" if variant else operator


# ---- Heat maps ---------------------------------------------------------------------------------------------

# Column, label and colour map of each; the energy's zero is white.
_MAPS = {
    "efficacy": ("efficacy", "Blues"),
    "specificity": ("specificity", "Greens"),
    "energy_level": ("|ΔHE|/uniform HE", "Oranges"),
}


def _reached(chosen: Chosen) -> Frames:
    return {"settings": settings_reached(chosen.points)}


def _draw_maps(frames: Frames, about: str) -> Figure:
    """A row a base editor, a column a measure: η × α, and the base editor alone in the title."""
    found = frames["settings"]
    grids, alone = _itself(found), found[(found["operator"] == "") & ~found["turned"]]
    bases = list(dict.fromkeys(grids["base"]))
    figure, cells = panels(len(bases), len(_MAPS), width=9.5, height=1.2 + 2.5 * len(bases))
    for k, (column, (label, colours)) in enumerate(_MAPS.items()):
        top = float(found[column].max()) if column == "energy_level" else 1.0
        for j, base in enumerate(bases):
            axes, own = cells[j * len(_MAPS) + k], grids[grids["base"] == base]
            _draw_map(axes, own.pivot_table(index="eta", columns="alpha", values=column), colours, top)
            base_alone = alone[alone["base"] == base][column]
            without = f", {_short(float(base_alone.iloc[0]))} without" if len(base_alone) else ""
            axes.set_title(f"{base}: {label}{without}", loc="left", fontsize="small")
            axes.set_xlabel("α" if j == len(bases) - 1 else "")
            axes.set_ylabel("η" if k == 0 else "")
    title(figure, "SPHERE's η and α")
    caption(
        figure,
        f"{about}. Means over seeds ({int(grids['seeds'].min())} or more) at each run's "
        "last point, which comes early where the weights were lost.",
        width=140,
    )
    return figure


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def _draw_map(axes: Axes, values: pd.DataFrame, colours: str, top: float) -> None:
    axes.imshow(values.to_numpy(), cmap=colours, vmin=0, vmax=top, aspect="auto", origin="lower")
    axes.set_xticks(range(len(values.columns)), [f"{alpha:g}" for alpha in values.columns])
    axes.set_yticks(range(len(values.index)), [f"{eta:g}" for eta in values.index])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (y, x), value in np.ndenumerate(values.to_numpy()):
        if math.isfinite(value):
            colour = "white" if value > 0.6 * top else "0.2"
            axes.text(x, y, _short(value), ha="center", va="center", fontsize="x-small", color=colour)


# ---- Front -------------------------------------------------------------------------------------------------


class _Look(NamedTuple):
    label: str
    marker: str
    colour: str
    hollow: bool = False


_ALONE, _TURNED = _Look("base editor", "*", COLOURS[0]), _Look("own ridge turned", ".", "0.5")
_SPHERE = _Look(PROJECTED, "o", COLOURS[1])
_CONTROLS = {
    kind: _Look(kind, marker, colour, hollow=True)
    for kind, marker, colour in zip(KINDS.values(), "sDv", (COLOURS[4], COLOURS[3], COLOURS[5]), strict=True)
}
# Variants of SPHERE are triangles in the colours that are left.
_VARIANTS = (COLOURS[2], COLOURS[6])

# By operator and variant.
_Looks = Mapping[tuple[str, str], _Look]

# Points nearer to each other than this share one label.
_CROWDED = 0.06

# Least distance of two labels beside a panel, in its height.
_APART = 0.085


def _front_of(chosen: Chosen) -> Frames:
    shares = front_shares(front_gaps(chosen.points), samples=chosen.samples)
    return {**_reached(chosen), "shares": shares}


def _draw_front(frames: Frames, about: str) -> Figure:
    """A panel a base editor with all of its settings; below, the share of each kind that no λ reaches."""
    found, shares = frames["settings"], frames["shares"]
    bases = list(dict.fromkeys(_itself(found)["base"]))
    looks = _looks(found)
    figure, cells = panels(2, len(bases), width=1.0 + 4.6 * len(bases), height=6.8)
    for axes, below, base in zip(cells[: len(bases)], cells[len(bases) :], bases, strict=True):
        own = found[found["base"] == base]
        _draw_settings(axes, own, looks)
        axes.set_title(base, loc="left", fontsize="medium")
        axes.set_xlabel("specificity")
        bare(axes)
        _label_kinds(axes, own, looks)
        _draw_shares(below, shares, base, looks, named=base == bases[0])
    cells[0].set_ylabel("efficacy")
    title(figure, "Efficacy and specificity that settings reach")
    caption(
        figure,
        f"{about}. Means over seeds at the last edit; bars: 95% intervals (Student's t). SPHERE's marks "
        "darken with α. The line joins values of the base editor's own ridge (λ, or AlphaEdit's L2), written "
        "beside. Below: share of a kind's settings that are beyond the line, no point of which is as good in "
        "both measures, by more than the 95% interval over seeds; bars: seeds resampled. In brackets: "
        "those beyond it however it bends between two λ. Behind: some point is better in both. Left out: "
        "settings better than the line where it is best at its last λ.",
        width=int(17 * figure.get_figwidth()),
    )
    return figure


def _looks(found: pd.DataFrame) -> _Looks:
    """Of SPHERE, its variants and its controls, in the order in which they are listed."""
    looks = {(PROJECTED, ""): _SPHERE}
    for k, variant in enumerate(dict.fromkeys(found["variant"][found["variant"] != ""])):
        label = _called(PROJECTED, variant)
        looks[PROJECTED, variant] = _Look(label, "^", _VARIANTS[k % len(_VARIANTS)])
    return looks | {(kind, ""): look for kind, look in _CONTROLS.items()}


def _draw_settings(axes: Axes, rows: pd.DataFrame, looks: _Looks) -> None:
    """The base editor's own strength as a line, SPHERE's points darker with α, its controls hollow."""
    _draw_curve(axes, rows[rows["operator"] == ""].sort_values("strength"))
    for kind in sorted(looks, key=lambda kind: not looks[kind].hollow):
        own = _of(rows, kind)
        if looks[kind] is not _SPHERE and len(own):
            _scatter(axes, own, looks[kind])
    sphere = _itself(rows)
    for alpha, own in sphere.groupby("alpha"):
        share = float((alpha - sphere["alpha"].min()) / max(1e-9, np.ptp(sphere["alpha"])))
        look = _SPHERE._replace(label=f"{PROJECTED}, α = {alpha:g}")
        _scatter(axes, own, look, alpha=0.35 + 0.65 * share)
    _scatter(axes, rows[(rows["operator"] == "") & ~rows["turned"]], _ALONE, markersize=11)


def _of(rows: pd.DataFrame, kind: tuple[str, str]) -> pd.DataFrame:
    return rows[(rows["operator"] == kind[0]) & (rows["variant"] == kind[1])]


def _draw_curve(axes: Axes, turned: pd.DataFrame) -> None:
    xs, ys, look = turned["specificity"], turned["efficacy"], _TURNED
    axes.plot(xs, ys, color=look.colour, marker=look.marker, linewidth=1, label=look.label, zorder=3)
    axes.margins(x=0.12)
    named: list[tuple[float, float]] = []
    for strength, x, y in zip(turned["strength"], xs, ys, strict=True):
        # Where points crowd, the first has its value.
        if any(math.dist(place, (x, y)) < _CROWDED for place in named):
            continue
        named.append((x, y))
        axes.annotate(
            f"{strength:g}", (x, y), (3, 4), textcoords="offset points", fontsize="xx-small", color="0.4"
        )


def _scatter(
    axes: Axes, rows: pd.DataFrame, look: _Look, *, alpha: float | None = None, markersize: float = 5
) -> None:
    for along, across, lines in (
        ("specificity", "efficacy", axes.hlines),
        ("efficacy", "specificity", axes.vlines),
    ):
        low, high = (rows[f"{along}_{end}"].clip(0, 1) for end in ("low", "high"))
        lines(rows[across], low, high, color=look.colour, alpha=0.3, linewidth=0.7)
    axes.plot(
        rows["specificity"],
        rows["efficacy"],
        linestyle="none",
        marker=look.marker,
        color=look.colour,
        markerfacecolor="none" if look.hollow else look.colour,
        markersize=markersize,
        alpha=alpha,
        label=look.label,
    )


def _label_kinds(axes: Axes, rows: pd.DataFrame, looks: _Looks) -> None:
    """Name each kind to the right of its most specific setting, in its colour."""
    best = rows.groupby(["operator", "variant", "turned"], sort=False)["specificity"].idxmax()
    tops = rows.loc[best].sort_values("efficacy")
    bottom, top = axes.get_ylim()
    heights = ((tops["efficacy"] - bottom) / (top - bottom)).to_numpy().clip(0, 1)
    for k in range(1, len(heights)):
        heights[k] = max(heights[k], heights[k - 1] + _APART)
    heights -= max(0.0, heights[-1] - 1)
    for k in reversed(range(len(heights) - 1)):
        heights[k] = min(heights[k], heights[k + 1] - _APART)
    for height, (_, row) in zip(heights, tops.iterrows(), strict=True):
        alone = _TURNED if row["turned"] else _ALONE
        look = looks[row["operator"], row["variant"]] if row["operator"] else alone
        axes.annotate(
            look.label,
            (row["specificity"], row["efficacy"]),
            xytext=(1.04, height),
            textcoords="axes fraction",
            color=look.colour,
            va="center",
            fontsize="small",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": look.colour, "lw": 0.5, "alpha": 0.6, "relpos": (0, 0.5)},
        )


def _draw_shares(axes: Axes, shares: pd.DataFrame, base: str, looks: _Looks, *, named: bool) -> None:
    kinds = [kind for kind in looks if len(_of(shares, kind))]
    axes.axvline(0, color="0.85", linewidth=0.8)
    for row in shares[shares["base"] == base].to_dict("records"):
        kind = row["operator"], row["variant"]
        place, look = kinds.index(kind), looks[kind]
        axes.hlines(place, row["low"], row["high"], color=look.colour, linewidth=1.2)
        axes.plot(
            row["share"], place, marker=look.marker, color=look.colour, linestyle="none", gid=look.label
        )
        by = f" by ≤ {row['furthest']:.1g}" if row[BEYOND] else ""
        axes.annotate(
            f"{row[BEYOND]} of {row['settings'] - row[OFF]} [{row['sure']}]{by}, {row[DOMINATED]} behind",
            (1.04, place),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            fontsize="x-small",
            color="0.35",
        )
    labels = [looks[kind].label if named else "" for kind in kinds]
    axes.set_yticks(range(len(kinds)), labels, fontsize="small")
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of settings beyond the line")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


# ---- Answer ------------------------------------------------------------------------------------------------


def _answer(material: Material) -> Lines:
    """How much depends on η and α, and whether λ alone does as well."""
    for host, points in material.of_hosts(grids_of):
        yield f"{headed(host, points)}; means over seeds at the end, range over all η × α:"
        yield table(("editor", "settings", *METRICS), _ranges(_itself(settings_reached(points))))
    for host, points in material.of_hosts(fronts):
        yield f"{headed(host, points)}; settings against what turning the base editor's own strength reaches:"
        shares = front_shares(front_gaps(points), samples=material.samples)
        yield _shares_table(shares)


def _ranges(sphere: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (str(base), str(len(own)), *(f"{number(own[m].min())} to {number(own[m].max())}" for m in METRICS))
        for base, own in sphere.groupby("base", sort=False)
    ]


# Columns that are counts, and what a table calls them.
_COUNTS = {
    "settings": "settings",
    BEYOND: BEYOND,
    "sure": "beyond any curve through those λ",
    DOMINATED: DOMINATED,
    UNDECIDED: UNDECIDED,
    OFF: OFF,
}


def _shares_table(shares: pd.DataFrame) -> str:
    rows = [
        (
            row["base"],
            _called(row["operator"], row["variant"]),
            *(str(row[name]) for name in _COUNTS),
            spanned(row, "share"),
            number(row["furthest"], ".3f"),
        )
        for row in shares.to_dict("records")
    ]
    return table(("editor", "in place of P", *_COUNTS.values(), "share beyond", "furthest"), rows)


QUESTION = Question(
    order=5,
    question="How sensitive are results to η and α, and does SPHERE reach what λ does not?",
    asked="the paper, open question 2",
    answer=_answer,
    untested="Other architectures; the settings were not tuned on held-out streams.",
    figures={
        "ablation": RunFigure(
            f"{GRID_NEEDED} or more pairs of η and α on {SEEDS_NEEDED} or more seeds",
            grids_of,
            _reached,
            _draw_maps,
        ),
        "front": RunFigure(
            "as ablation, and base editors with another ridge", fronts, _front_of, _draw_front
        ),
    },
)
