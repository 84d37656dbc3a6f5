"""Figures of SPHERE as a plug-in: gains over base editors, η × α, and what the editors' own ridge reaches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.analysis.ablation import CONTROLS, PLAIN, TURNED
from sphere_theory.analysis.front import BEYOND, DOMINATED, OFF
from sphere_theory.analysis.gains import QUOTED
from sphere_theory.analysis.runs import METRICS, PROJECTED
from sphere_theory.figures.style import COLOURS, caption, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def gain_rows(found: Sequence[pd.DataFrame], about: str) -> Figure:
    """Gain of each metric through SPHERE by base editor and edit count, the paper's own beside.

    Parameters
    ----------
    found
        As `gains` returns them, one for each edit count.
    about
        Host and sample sizes, for the caption.

    Returns
    -------
    Figure
        A column a metric, a row a base editor; without → with in figures, and the paper's gains as hollow
        diamonds, labelled with their host.
    """
    bases = list(dict.fromkeys(found[0]["base"]))
    figure, grid = panels(1, len(METRICS), width=10.5, height=1.8 + 0.9 * len(bases))
    shades = np.linspace(0.35, 1, len(found))
    for axes, metric in zip(grid, METRICS, strict=True):
        for k, (table, shade) in enumerate(zip(found, shades, strict=True)):
            own = table[table["metric"] == metric]
            shift = 0.5 * (k / max(1, len(found) - 1) - 0.5)
            _gains(axes, own, [bases.index(base) + shift for base in own["base"]], float(shade))
        _quoted(axes, metric, bases)
        axes.axvline(0, color="0.6", linewidth=0.8)
        axes.set_yticks(range(len(bases)), bases if metric == METRICS[0] else [""] * len(bases))
        axes.set_ylim(len(bases) - 0.4, -0.6)
        axes.set_title(metric, loc="left", fontsize="medium")
        axes.set_xlabel("gain (share of facts)")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    reach = 1.35 * max(abs(limit) for axes in grid for limit in axes.get_xlim())
    for axes in grid:
        axes.set_xlim(-reach, reach)
    counts = ", ".join(f"{int(table['edits'].iloc[0]):,}" for table in found)
    figure.suptitle("What SPHERE adds to each editor", x=0.02, ha="left", fontsize="large")
    where = "; ".join(dict.fromkeys(f"{one.base}: {one.where}" for one in QUOTED if one.base in bases))
    caption(
        figure,
        f"{about}. Squares: after {counts} edits, from top (pale) to bottom (dark), paired by seed, "
        f"{int(found[0]['seeds'].min())} seeds, 95% intervals (Student's t); figures: without → with. Hollow "
        f"diamonds: the paper's gains, on other hosts ({where or 'none for these editors'}).",
        width=150,
    )
    return figure


def _gains(axes: Axes, rows: pd.DataFrame, places: Sequence[float], shade: float) -> None:
    axes.hlines(places, rows["low"], rows["high"], color=COLOURS[0], alpha=shade, linewidth=1.2)
    axes.plot(
        rows["gain"],
        places,
        marker="s",
        color=COLOURS[0],
        alpha=shade,
        linestyle="none",
        markersize=5,
        gid="gain",
    )
    for place, before, after in zip(places, rows["before"], rows["after"], strict=True):
        axes.annotate(
            f"{before:.2f} → {after:.2f}",
            (1.02, place),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            fontsize="x-small",
            color="0.35",
        )


def _quoted(axes: Axes, metric: str, bases: list[str]) -> None:
    above: set[str] = set()  # editors with a label above their row: the next one goes below
    for one in QUOTED:
        value = getattr(one, metric)
        if one.base in bases and value is not None:
            axes.plot(
                value,
                bases.index(one.base),
                marker="D",
                markerfacecolor="none",
                color=COLOURS[1],
                markersize=7,
                linestyle="none",
                gid="paper",
            )
            axes.annotate(
                one.short,
                (value, bases.index(one.base)),
                (0, -12 if one.base in above else 6),
                textcoords="offset points",
                ha="center",
                fontsize="xx-small",
                color=COLOURS[1],
            )
            above.add(one.base)


# Column, label and colour map of each heat map; the energy's zero is white.
MAPS = {
    "efficacy": ("efficacy", "Blues"),
    "specificity": ("specificity", "Greens"),
    "energy_level": ("|ΔHE|/uniform HE", "Oranges"),
}


def ablation_maps(found: pd.DataFrame, about: str) -> Figure:
    """Heat maps over η × α of every base editor.

    Parameters
    ----------
    found
        As `settings_reached` returns them.
    about
        Host and sample sizes, for the caption.

    Returns
    -------
    Figure
        A row a base editor, a column a measure; each cell with its mean over seeds, and that of the base
        editor alone in the title.
    """
    grids = found[found["kind"] == PROJECTED]
    bases = list(dict.fromkeys(grids["base"]))
    figure, cells = panels(len(bases), len(MAPS), width=9.5, height=1.2 + 2.5 * len(bases))
    for k, (column, (label, colours)) in enumerate(MAPS.items()):
        top = float(found[column].max()) if column == "energy_level" else 1.0
        for j, base in enumerate(bases):
            axes, own = cells[j * len(MAPS) + k], grids[grids["base"] == base]
            table = own.pivot_table(index="eta", columns="alpha", values=column)
            _heat_map(axes, table, colours, top)
            alone = found[(found["base"] == base) & (found["kind"] == PLAIN)][column]
            without = f", {_short(float(alone.iloc[0]))} without" if len(alone) else ""
            axes.set_title(f"{base}: {label}{without}", loc="left", fontsize="small")
            axes.set_xlabel("α" if j == len(bases) - 1 else "")
            axes.set_ylabel("η" if k == 0 else "")
    figure.suptitle("SPHERE's η and α", x=0.02, ha="left", fontsize="large")
    caption(
        figure,
        f"{about}. Means over seeds ({int(grids['seeds'].min())} or more) at each run's "
        "last point, which comes early where the weights were lost.",
        width=140,
    )
    return figure


# Points nearer to each other than this share one label.
_CROWDED = 0.06


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def _heat_map(axes: Axes, table: pd.DataFrame, colours: str, top: float) -> None:
    axes.imshow(table.to_numpy(), cmap=colours, vmin=0, vmax=top, aspect="auto", origin="lower")
    axes.set_xticks(range(len(table.columns)), [f"{alpha:g}" for alpha in table.columns])
    axes.set_yticks(range(len(table.index)), [f"{eta:g}" for eta in table.index])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for y, row in enumerate(table.to_numpy()):
        for x, value in enumerate(row):
            if math.isfinite(value):
                colour = "white" if value > 0.6 * top else "0.2"
                axes.text(x, y, _short(value), ha="center", va="center", fontsize="x-small", color=colour)


# How the controls are marked on the front; variants of SPHERE are triangles in the colours that are left.
CONTROL_MARKS = dict(zip(CONTROLS, (("s", COLOURS[4]), ("D", COLOURS[3]), ("v", COLOURS[5])), strict=True))
VARIANT_COLOURS = (COLOURS[2], COLOURS[6])


def front(found: pd.DataFrame, about: str, shares: pd.DataFrame | None = None) -> Figure:
    """Efficacy against specificity of every setting: SPHERE's, and the controls'.

    Parameters
    ----------
    found
        As `settings_reached` returns them.
    about
        Host and sample sizes, for the caption.
    shares
        As `front_shares` returns them; None: not drawn.

    Returns
    -------
    Figure
        A panel a base editor: its own ridge turned as a line, SPHERE's points darker with α, variants of
        SPHERE as triangles, its controls hollow, the base editor alone as a star; below, the share of
        each kind's settings that no ridge reaches.
    """
    bases = list(dict.fromkeys(found[found["kind"] == PROJECTED]["base"]))
    rows = 1 if shares is None else 2
    figure, cells = panels(rows, len(bases), width=1.0 + 4.6 * len(bases), height=2.4 + 2.2 * rows)
    for axes, base in zip(cells, bases, strict=False):
        own = found[found["base"] == base]
        _front(axes, own)
        axes.set_title(base, loc="left", fontsize="medium")
        axes.set_xlabel("specificity")
        axes.spines[["top", "right"]].set_visible(False)
        _label_kinds(axes, own)
    cells[0].set_ylabel("efficacy")
    figure.suptitle("Efficacy and specificity that settings reach", x=0.02, ha="left", fontsize="large")
    text = (
        f"{about}. Means over seeds at the last edit; bars: 95% intervals (Student's t). SPHERE's marks "
        "darken with α. The line joins values of the base editor's own ridge (λ, or AlphaEdit's L2), written "
        "beside."
    )
    if shares is not None:
        drawn = set(shares["kind"])
        kinds = [kind for kind in (PROJECTED, *_variants(shares["kind"]), *CONTROLS) if kind in drawn]
        for axes, base in zip(cells[len(bases) :], bases, strict=True):
            _shares(axes, shares[shares["base"] == base], kinds, named=base == bases[0])
        text += (
            " Below: share of a kind's settings that are beyond the line, no point of which is as good in "
            "both measures, by more than the 95% interval over seeds; bars: seeds resampled. In brackets: "
            "those beyond it however it bends between two λ. Behind: some point is better in both. Left out: "
            "settings better than the line where it is best at its last λ."
        )
    caption(figure, text, width=int(17 * figure.get_figwidth()))
    return figure


def _style(kind: str, others: Sequence[str]) -> tuple[str, str]:
    """Marker and colour of a kind; `others` are the variants of SPHERE that are drawn."""
    known = {PROJECTED: ("o", COLOURS[1]), PLAIN: ("*", COLOURS[0]), TURNED: (".", "0.5"), **CONTROL_MARKS}
    return known.get(kind) or ("^", VARIANT_COLOURS[others.index(kind) % len(VARIANT_COLOURS)])


def _variants(kinds: Iterable[str]) -> list[str]:
    return [kind for kind in dict.fromkeys(kinds) if kind not in (PROJECTED, PLAIN, TURNED, *CONTROLS)]


def _called(kind: str, others: Sequence[str]) -> str:
    return f"SPHERE, {kind}" if kind in others else kind


def _front(axes: Axes, rows: pd.DataFrame) -> None:
    turned = rows[rows["kind"].isin([TURNED, PLAIN])].sort_values("strength")
    axes.plot(
        turned["specificity"],
        turned["efficacy"],
        color="0.5",
        marker=".",
        linewidth=1,
        label=TURNED,
        zorder=3,
    )
    axes.margins(x=0.12)
    named: list[tuple[float, float]] = []
    for strength, x, y in zip(turned["strength"], turned["specificity"], turned["efficacy"], strict=True):
        # Where points crowd, the first has its value.
        if any(math.dist(place, (x, y)) < _CROWDED for place in named):
            continue
        named.append((x, y))
        axes.annotate(
            f"{strength:g}", (x, y), (3, 4), textcoords="offset points", fontsize="xx-small", color="0.4"
        )
    others = _variants(rows["kind"])
    for kind in (*CONTROLS, *others):
        marker, colour = _style(kind, others)
        own = rows[rows["kind"] == kind]
        hollow = {"markerfacecolor": "none"} if kind in CONTROLS else {}
        if len(own):
            _scatter(axes, own, marker=marker, color=colour, label=_called(kind, others), **hollow)
    sphere = rows[rows["kind"] == PROJECTED]
    for alpha, own in sphere.groupby("alpha"):
        share = float((alpha - sphere["alpha"].min()) / max(1e-9, np.ptp(sphere["alpha"])))
        _scatter(
            axes, own, marker="o", color=COLOURS[1], alpha=0.35 + 0.65 * share, label=f"SPHERE, α = {alpha:g}"
        )
    _scatter(axes, rows[rows["kind"] == PLAIN], marker="*", color=COLOURS[0], label=PLAIN, markersize=11)


def _scatter(axes: Axes, rows: pd.DataFrame, **style: object) -> None:
    for column, lines in (("specificity", axes.hlines), ("efficacy", axes.vlines)):
        other = "efficacy" if column == "specificity" else "specificity"
        lines(
            rows[other],
            rows[f"{column}_low"].clip(0, 1),
            rows[f"{column}_high"].clip(0, 1),
            color=style["color"],
            alpha=0.3,
            linewidth=0.7,
        )
    look: dict[str, Any] = {"markersize": 5, **style}
    axes.plot(rows["specificity"], rows["efficacy"], linestyle="none", **look)


# Least distance of two labels beside a panel, in its height.
_APART = 0.085


def _label_kinds(axes: Axes, rows: pd.DataFrame) -> None:
    """Name each kind to the right of its most specific setting, in its colour."""
    others = _variants(rows["kind"])
    tops = rows.loc[rows.groupby("kind", sort=False)["specificity"].idxmax()].sort_values("efficacy")
    bottom, top = axes.get_ylim()
    wanted = ((tops["efficacy"] - bottom) / (top - bottom)).to_numpy()
    heights = wanted.clip(0, 1)
    for k in range(1, len(heights)):
        heights[k] = max(heights[k], heights[k - 1] + _APART)
    heights -= max(0.0, heights[-1] - 1)
    for k in reversed(range(len(heights) - 1)):
        heights[k] = min(heights[k], heights[k + 1] - _APART)
    for height, (_, row) in zip(heights, tops.iterrows(), strict=True):
        colour = _style(row["kind"], others)[1]
        axes.annotate(
            _called(row["kind"], others),
            (row["specificity"], row["efficacy"]),
            xytext=(1.04, height),
            textcoords="axes fraction",
            color=colour,
            va="center",
            fontsize="small",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "alpha": 0.6, "relpos": (0, 0.5)},
        )


def _shares(axes: Axes, rows: pd.DataFrame, kinds: list[str], *, named: bool) -> None:
    others = _variants(rows["kind"])
    axes.axvline(0, color="0.85", linewidth=0.8)
    for _, row in rows.iterrows():
        place = kinds.index(row["kind"])
        marker, colour = _style(row["kind"], others)
        axes.hlines(place, row["low"], row["high"], color=colour, linewidth=1.2)
        axes.plot(row["share"], place, marker=marker, color=colour, linestyle="none", gid=row["kind"])
        by = f" by ≤ {row['furthest']:.1g}" if row[BEYOND] else ""
        axes.annotate(
            f"{row[BEYOND]} of {row['settings'] - row[OFF]} [{row['sure']}]{by}, {row[DOMINATED]} behind",
            (1.04, place),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            fontsize="x-small",
            color="0.35",
        )
    labels = [_called(kind, _variants(kinds)) for kind in kinds] if named else [""] * len(kinds)
    axes.set_yticks(range(len(kinds)), labels, fontsize="small")
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of settings beyond the line")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
