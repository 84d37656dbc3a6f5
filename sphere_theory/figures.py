"""Every figure, drawn from stored results only.

A figure takes records, as `verify` stores them, and returns a matplotlib figure; `save` writes it as
PNG and SVG with its provenance in the file's metadata. Nothing here measures anything.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from sphere_theory.analysis.regimes import REGIMES, TAYLOR_TOLERANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Sequence[Mapping[str, Any]]

# Wong's palette, told apart under the common kinds of colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REGIME_COLOURS = ("#009E73", "#56B4E9", "#F0E442", "#E69F00", "#7F7F7F")

RELATIVE = r"$\Vert\Delta W\Vert_F\,/\,\Vert W\Vert_F$"

ROLES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention output",
    "intermediate.dense": "FFN in",
    "output.dense": "FFN out",
}


@contextmanager
def theme() -> Generator[None]:
    """The one look of all figures, for the duration of a block.

    Yields
    ------
    None
        matplotlib's settings are put back afterwards.
    """
    import matplotlib
    import seaborn

    style = seaborn.axes_style("ticks") | seaborn.plotting_context("paper", font_scale=1.1)
    with matplotlib.rc_context(
        style | {"svg.hashsalt": "sphere_theory", "figure.dpi": 150, "savefig.dpi": 150}
    ):
        yield


def _canvas(width: float = 7.0, height: float = 4.2) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot: no global list of figures, and no window system is asked for.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _caption(figure: Figure, text: str) -> None:
    figure.supxlabel(fill(text, 120), fontsize="x-small", color="0.35", x=0.02, ha="left")


def _role(tensor: str) -> str:
    return next((role for part, role in ROLES.items() if f".{part}." in tensor), tensor)


def energy_by_layer(rows: Records) -> Figure:
    """HE over its uniform expectation for every matrix, by layer and role.

    Parameters
    ----------
    rows
        Records of `LayerRow`, named ``encoder.layer.{i}.…``.

    Returns
    -------
    Figure
        One line for each role, labelled at its end.
    """
    figure, axes = _canvas()
    axes.axhline(1, color="0.6", linewidth=1)
    ends: list[tuple[float, str, str]] = []
    for colour, role in zip(COLOURS, ROLES.values(), strict=True):
        mine = sorted(
            (_layer(row["tensor"]), row["uniformity"]) for row in rows if _role(row["tensor"]) == role
        )
        if mine:
            axes.plot(*zip(*mine, strict=True), marker="o", markersize=4, color=colour, label=role)
            ends.append((mine[-1][1], role, colour))
    layers = sorted({_layer(row["tensor"]) for row in rows})
    _label_ends(axes, layers[-1], ends)
    axes.annotate(
        "independent uniform directions",
        (0.3, 1),
        xytext=(0.3, 0.3),
        xycoords=axes.get_yaxis_transform(),
        textcoords="axes fraction",
        color="0.4",
        fontsize="small",
        arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.7},
    )
    axes.set(xlabel="layer", ylabel="HE / uniform expectation (1 = uniform)", xticks=layers)
    axes.set_title("Neurons of trained layers are almost uniformly spread", loc="left")
    sizes = ", ".join(sorted({f"{row['n']}×{row['d']}" for row in rows}))
    _caption(figure, f"all-MiniLM-L6-v2, {len(rows)} matrices (n×d: {sizes}), s = {rows[0]['s']:g}")
    return figure


def _layer(tensor: str) -> int:
    return int(tensor.split(".")[2])


def _label_ends(axes: Axes, x: float, ends: list[tuple[float, str, str]]) -> None:
    """Label lines at their right ends, moved apart where they are close."""
    low, high = axes.get_ylim()
    least = 0.055 * (high - low)
    at = -math.inf
    for y, text, colour in sorted(ends):
        at = max(y, at + least)
        axes.annotate(
            text,
            (x, y),
            xytext=(x + 0.15, at),
            color=colour,
            va="center",
            fontsize="small",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5},
        )
    axes.set_xlim(None, x + 1.2)


def tightness_by_size(audits: Records) -> Figure:
    """(ΔHE/K)²/‖ΔV‖² against the relative size of the edit, by direction and constant.

    Parameters
    ----------
    audits
        Records of audits with orthonormal inputs.

    Returns
    -------
    Figure
        Median over layers with the range shaded; above 1 the bound is violated.
    """
    figure, axes = _canvas(height=4.6)
    edits = list(dict.fromkeys(record["edit"] for record in audits))
    for colour, edit in zip(COLOURS, edits, strict=False):
        mine = [record for record in audits if record["edit"] == edit]
        for constant, style in (("gradient", "-"), ("certified", "--")):
            _range_line(axes, mine, constant, color=colour, linestyle=style, label=f"{edit}, K {constant}")
    axes.axhline(1, color="0.3", linewidth=1)
    axes.text(
        0.01,
        1.4,
        "violated above this line (×)",
        transform=axes.get_yaxis_transform(),
        fontsize="small",
        color="0.3",
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=f"relative size of the edit {RELATIVE}",
        ylabel=r"tightness $(\Delta HE/K)^2\,/\,\Vert\Delta V\Vert_F^2$",
    )
    axes.set_title("How tight Theorem 1 is, by kind of edit (× violated)", loc="left")
    axes.legend(fontsize="x-small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    layers = sorted({record["layer"] for record in audits})
    _caption(
        figure,
        f"all-MiniLM-L6-v2 FFN outputs, layers {', '.join(map(str, layers))}; {len(audits)} edits, "
        "orthonormal inputs; dashed lines end where the certificate stops applying",
    )
    return figure


def _range_line(axes: Axes, audits: Records, constant: str, **style: Any) -> None:
    sizes: dict[float, list[float]] = {}
    for record in audits:
        check = record["checks"][constant]
        if check["verdict"] != "not applicable" and check["tightness"] > 0:
            sizes.setdefault(float(f"{record['relative_edit']:.6g}"), []).append(check["tightness"])
    if not sizes:
        return
    x = sorted(sizes)
    axes.plot(x, [sorted(sizes[k])[len(sizes[k]) // 2] for k in x], **style)
    broken = [
        (r["relative_edit"], r["checks"][constant]["tightness"]) for r in audits if _violated(r, constant)
    ]
    if broken:
        axes.scatter(*zip(*broken, strict=True), marker="x", color=style["color"], zorder=3)
    axes.fill_between(
        x, [min(sizes[k]) for k in x], [max(sizes[k]) for k in x], color=style["color"], alpha=0.15, lw=0
    )


def _violated(record: Mapping[str, Any], constant: str) -> bool:
    return bool(record["checks"][constant]["verdict"] == "violated")


def regimes(cells: Records) -> Figure:
    """Step size × edit count, coloured by what still supports the bound.

    Parameters
    ----------
    cells
        Records of `RegimeCell`.

    Returns
    -------
    Figure
        The map, labelled inside; only regimes that occur are in the key.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    figure, axes = _canvas(height=4.6)
    steps, counts = (sorted({cell[key] for cell in cells}) for key in ("step", "edits"))
    grid = [[math.nan] * len(counts) for _ in steps]
    for cell in cells:
        grid[steps.index(cell["step"])][counts.index(cell["edits"])] = REGIMES.index(cell["regime"])
    axes.pcolormesh(
        range(len(counts)),
        range(len(steps)),
        grid,
        cmap=ListedColormap(REGIME_COLOURS),
        vmin=-0.5,
        vmax=len(REGIMES) - 0.5,
        edgecolors="white",
        linewidth=0.5,
    )
    axes.set(xlabel="number of edits", ylabel=f"relative size of one edit {RELATIVE}")
    axes.set_xticks(range(len(counts)), [f"{count:,}" for count in counts], rotation=45, ha="right")
    axes.set_yticks(range(len(steps)), [f"{step:.0e}" for step in steps])
    seen = [name for name in REGIMES if any(cell["regime"] == name for cell in cells)]
    handles = [Patch(color=REGIME_COLOURS[REGIMES.index(name)], label=name) for name in seen]
    axes.legend(
        handles=handles, frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
    axes.set_title("Where random edits leave the range of Theorem 1", loc="left")
    _caption(
        figure,
        f"all-MiniLM-L6-v2 layer 3 FFN output (384×1536), {len(cells)} cells; small perturbation: certified "
        f"and first order within {TAYLOR_TOLERANCE:.0%}; certified: the whole way, first order off",
    )
    return figure


def save(figure: Figure, path: Path, provenance: Mapping[str, str]) -> list[Path]:
    """Write a figure as PNG and SVG, each complete or not at all.

    Parameters
    ----------
    figure
        What to write.
    path
        Where, without a suffix.
    provenance
        Written into the metadata of both files.

    Returns
    -------
    list of Path
        The two files.
    """
    written = []
    about = "; ".join(f"{key}={value}" for key, value in provenance.items())
    # Fixed dates: the same results give the same bytes.
    metadata: dict[str, dict[str, str | None]] = {
        ".png": {"Description": about, "Software": "sphere_theory"},
        ".svg": {"Description": about, "Creator": "sphere_theory", "Date": None},
    }
    for suffix, facts in metadata.items():
        target = path.with_suffix(suffix)
        partial = target.with_name(f".{target.name}.partial")
        figure.savefig(partial, format=suffix[1:], metadata=facts)
        partial.replace(target)
        written.append(target)
    return written
