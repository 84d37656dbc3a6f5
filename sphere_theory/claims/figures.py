"""Figures of layers, of Theorem 1 and of its counterexamples, from the records that `verify` stores.

The map of edits that violate the bound stands with the study's question about it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sphere_theory.experiments.regimes import REGIMES, TAYLOR_TOLERANCE
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.models.minilm import MINILM_HUB_ID
from sphere_theory.plotting import COLOURS, bare, canvas, caption, label_ends, panels, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Sequence[Mapping[str, Any]]

# Whose layers the ledger is measured on.
_MODEL = MINILM_HUB_ID.rpartition("/")[2]

_REGIME_COLOURS = ("#009E73", "#56B4E9", "#F0E442", "#E69F00")

_RELATIVE = r"$\Vert\Delta W\Vert_F\,/\,\Vert W\Vert_F$"

ROLES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention output",
    "intermediate.dense": "FFN in",
    "output.dense": "FFN out",
}


def _role(tensor: str) -> str:
    return next((role for part, role in ROLES.items() if f".{part}." in tensor), tensor)


def energy_by_layer(rows: Records) -> Figure:
    """HE over its uniform expectation for every matrix, by layer and role.

    Parameters
    ----------
    rows
        Records of `LayerRow`, of tensors named ``encoder.layer.{i}.…``.

    Returns
    -------
    Figure
        One line for each role, labelled at its end.
    """
    figure, axes = canvas()
    axes.axhline(1, color="0.6", linewidth=1)
    ends: list[tuple[float, str, str]] = []
    for colour, role in zip(COLOURS, ROLES.values(), strict=False):
        mine = sorted(
            (_layer(row["tensor"]), row["uniformity"]) for row in rows if _role(row["tensor"]) == role
        )
        if mine:
            axes.plot(*zip(*mine, strict=True), marker="o", markersize=4, color=colour, label=role)
            ends.append((mine[-1][1], role, colour))
    layers = sorted({_layer(row["tensor"]) for row in rows})
    label_ends(axes, layers[-1], ends)
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
    caption(figure, f"{_MODEL}, {len(rows)} matrices (n×d: {sizes}), s = {rows[0]['s']:g}")
    return figure


def _layer(tensor: str) -> int:
    return int(tensor.split(".")[2])


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
    figure, axes = canvas(height=4.6)
    edits = list(dict.fromkeys(record["edit"] for record in audits))
    for colour, edit in zip(COLOURS, edits, strict=False):
        mine = [record for record in audits if record["edit"] == edit]
        for constant, style in (("gradient", "-"), ("unconditional", "--")):
            _range_line(axes, mine, constant, color=colour, linestyle=style, label=f"{edit}, K {constant}")
    axes.axhline(1, color="0.3", linewidth=1)
    axes.text(
        0.01,
        0.1,
        "violated above this line (×)",
        transform=axes.get_yaxis_transform(),
        fontsize="small",
        color="0.3",
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=f"relative size of the edit {_RELATIVE}",
        ylabel=r"tightness $(\Delta HE/K)^2\,/\,\Vert\Delta V\Vert_F^2$",
    )
    axes.set_title("How tight Theorem 1 is, by kind of edit (× violated)", loc="left")
    axes.legend(fontsize="x-small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    layers = sorted({record["layer"] for record in audits})
    caption(
        figure,
        f"{_MODEL} FFN outputs, layers {', '.join(map(str, layers))}; {len(audits)} edits, "
        "orthonormal inputs; dashed: K*, proved for edits of every size; no constant is tighter than 1/(nd) "
        "on random edits",
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
    """Step size × edit count, coloured by what is known of ΔHE beside the bound for every edit.

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

    figure, axes = canvas(height=4.6)
    steps, counts = (sorted({cell[key] for cell in cells}) for key in ("step", "edits"))
    grid = [[math.nan] * len(counts) for _ in steps]
    for cell in cells:
        grid[steps.index(cell["step"])][counts.index(cell["edits"])] = REGIMES.index(cell["regime"])
    axes.pcolormesh(
        range(len(counts)),
        range(len(steps)),
        grid,
        cmap=ListedColormap(_REGIME_COLOURS),
        vmin=-0.5,
        vmax=len(REGIMES) - 0.5,
        edgecolors="white",
        linewidth=0.5,
    )
    axes.set(xlabel="number of edits", ylabel=f"relative size of one edit {_RELATIVE}")
    axes.set_xticks(range(len(counts)), [f"{count:,}" for count in counts], rotation=45, ha="right")
    axes.set_yticks(range(len(steps)), [f"{step:.0e}" for step in steps])
    seen = [name for name in REGIMES if any(cell["regime"] == name for cell in cells)]
    handles = [Patch(color=_REGIME_COLOURS[REGIMES.index(name)], label=name) for name in seen]
    axes.legend(
        handles=handles, frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
    axes.set_title("Where random edits leave the range of Theorem 1's proof", loc="left")
    caption(
        figure,
        f"{_MODEL} layer {MiniLM().layer} FFN output (384×1536), {len(cells)} cells; small perturbation: "
        f"sign of ΔHE certified and first order within {TAYLOR_TOLERANCE:.0%}; unconditional: neither. "
        "|ΔHE| ≤ K*‖ΔW‖ is proved for every cell.",
    )
    return figure


# |ΔHE| that is drawn at the foot of a panel, where nothing but 0 is certified from below.
_FOOT = 0.1


def enclosures(audits: Records) -> Figure:
    """|ΔHE| of one layer's edits between its certified bounds, against the size of the edit.

    Parameters
    ----------
    audits
        Records of audits with all inputs: layer, edit, relative_edit, energy_change, enclosure,
        angular_bound, and checks with the tightness of "unconditional". Those of the middle layer are
        drawn, or of the first one.

    Returns
    -------
    Figure
        A panel for each kind of edit: ΔHE itself, its enclosure (B9) shaded, the bound by the turns of the
        neurons and the bound K*‖ΔW‖ (both B8) above it.
    """
    layers, middle = sorted({record["layer"] for record in audits}), MiniLM().layer
    layer = middle if middle in layers else layers[0]
    mine = [record for record in audits if record["layer"] == layer and record["energy_change"]]
    edits = list(dict.fromkeys(record["edit"] for record in mine))
    figure, grid = panels(1, len(edits), width=3.4 * len(edits), height=4.2)
    foot = _FOOT * min(abs(record["energy_change"]) for record in mine)
    for place, (axes, edit) in enumerate(zip(grid, edits, strict=True)):
        own = sorted((r for r in mine if r["edit"] == edit), key=lambda record: record["relative_edit"])
        _panel(axes, own, foot)
        axes.set_title(f"{edit} edit", loc="left", fontsize="medium")
        axes.set_xlabel(_RELATIVE)
        axes.sharey(grid[0])
        axes.tick_params(labelleft=place == 0)
    grid[0].set_ylabel(r"$|\Delta HE|$ (s = 1)")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4, frameon=False, fontsize="small")
    title(figure, "What is certified of ΔHE, for edits of every size")
    signed = sum(record["enclosure"][0] > 0 or record["enclosure"][1] < 0 for record in mine)
    caption(
        figure,
        f"{_MODEL} layer {layer} FFN output (384×1536), {len(mine)} edits. Where the shaded band "
        f"ends above the foot of a panel, the sign of ΔHE is certified ({signed} of {len(mine)}); one piece, "
        "second order (B9), cut to the bound by the angles (B8) where that is nearer.",
    )
    return figure


def _panel(axes: Axes, own: Records, foot: float) -> None:
    x = [record["relative_edit"] for record in own]
    low, high = zip(*(_absolute(record["enclosure"], foot) for record in own), strict=True)
    axes.fill_between(x, low, high, color=COLOURS[5], alpha=0.35, lw=0, label="between (B9)")
    constants = [_by_norm(record) for record in own]
    axes.plot(x, constants, ":", color=COLOURS[1], label="K*‖ΔW‖ (B8)")
    axes.plot(x, [record["angular_bound"] for record in own], "--", color=COLOURS[1], label="by angles (B8)")
    axes.plot(
        x, [abs(record["energy_change"]) for record in own], "o-", color="0.1", markersize=3, label="|ΔHE|"
    )
    axes.set(xscale="log", yscale="log", ylim=(foot, None))
    bare(axes)


def _absolute(enclosure: Sequence[float], foot: float) -> tuple[float, float]:
    """What |ΔHE| is between: from the foot up where the interval holds 0."""
    low, high = enclosure
    largest = max(abs(low), abs(high))
    return (min(abs(low), abs(high)) if low > 0 or high < 0 else foot), largest


def _by_norm(record: Mapping[str, Any]) -> float:
    """K*‖ΔW‖, by what share of it ΔHE is; with all inputs ‖ΔV‖ is ‖ΔW‖."""
    tightness = record["checks"]["unconditional"]["tightness"]
    return abs(record["energy_change"]) / math.sqrt(tightness) if tightness else math.nan


# What each panel of counterexamples says above the picture; the exact values stand below it.
_REFUTED = {
    "B1": "B1: ‖ΔV‖ ≥ (ΔHE/K)²",
    "B2": "B2: orthonormal inputs suffice",
    "B3": "B3: small edits, K = ‖∇HE‖",
    "E7": "E7: stable HE, stable outputs",
    "O6": "O6: P makes |ΔHE| smaller",
    "M3": "M3: a left rotation keeps HE",
}
_REACH = 1.4  # half the width of a panel, in lengths of a neuron


def counterexamples(records: Records) -> Figure:
    """Exact counterexamples with two neurons in the plane, before and after the edit.

    Parameters
    ----------
    records
        Claim, W, delta, X, projected and values of each, as the symbolic evidence stores them.

    Returns
    -------
    Figure
        A panel for the first counterexample of each claim: the statement that fails, neurons in units of
        their own length, the move of each, exact values.
    """
    firsts = {record["claim"]: record for record in reversed(records)}
    chosen = [firsts[claim] for claim in _REFUTED if claim in firsts]
    figure, grid = panels(-(-len(chosen) // 3), 3, width=9.0, height=3.6 * -(-len(chosen) // 3) + 0.8)
    for axes, record in zip(grid, chosen, strict=False):
        _counterexample(axes, record)
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    title(figure, "Statements that fail on two neurons in the plane")
    caption(
        figure,
        "Each neuron in units of its own length before the edit, so that it starts on the circle: hollow "
        "before, filled after. Dotted: the only input of B2. Dashed: the projected edit ΔW P of O6. Values "
        "are exact, ‖·‖ is the Frobenius norm: `python -m sphere_theory.proofs B1`.",
        width=150,
    )
    return figure


def _counterexample(axes: Axes, record: Mapping[str, Any]) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), 1, fill=False, color="0.8", linewidth=0.8))
    axes.plot(0, 0, marker="+", color="0.5", markersize=5)
    if record["X"] and len(record["X"][0]) == 1:
        x, y = (value[0] * _REACH for value in record["X"])
        axes.plot([-x, x], [-y, y], linestyle=":", color="0.5", linewidth=1)
    moves = [(record["delta"], "-", 1.0)]
    if record["projected"]:
        moves.append((record["projected"], "--", 0.6))
    for k, (neuron, colour) in enumerate(zip(record["W"], COLOURS, strict=False)):
        length = math.hypot(*neuron)
        start = [value / length for value in neuron]
        axes.plot([0, start[0]], [0, start[1]], color=colour, linewidth=1)
        axes.plot(*start, marker="o", color=colour, markerfacecolor="white", markersize=7)
        for delta, style, alpha in moves:
            end = [value + step / length for value, step in zip(start, delta[k], strict=True)]
            if math.dist(start, end) > 0:
                _move(axes, start, end, color=colour, linestyle=style, alpha=alpha)
    axes.set(xlim=(-_REACH, _REACH), ylim=(-_REACH, _REACH), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(_REFUTED[record["claim"]], loc="left", fontsize="medium")
    axes.set_xlabel(_values(record["values"]), fontsize="small", loc="left")


def _move(axes: Axes, start: Sequence[float], end: Sequence[float], **style: Any) -> None:
    """An arrow from a neuron to where the edit takes it, or to the edge where that is far outside."""
    farthest = max(abs(value) for value in end)
    inside = farthest < _REACH
    x, y = end if inside else (value * (_REACH - 0.1) / farthest for value in end)
    arrow = {"arrowstyle": "-|>", "shrinkA": 4, "shrinkB": 3, **style}
    axes.annotate("", (x, y), (start[0], start[1]), arrowprops=arrow)
    if inside:
        axes.plot(x, y, marker="o", color=style["color"], alpha=style["alpha"], markersize=5)
        axes.plot([0, x], [0, y], color=style["color"], linewidth=0.6, alpha=0.5)
    else:
        times = f"×{math.hypot(*end) / math.hypot(*start):,.0f}"
        axes.annotate(times, (x, y), (-6, -2), textcoords="offset points", fontsize="small", ha="right")


def _values(exact: Mapping[str, str]) -> str:
    """Named values, two a line, sympy's text in the signs of a page."""
    plain = {
        name.replace("_F", "").replace("_grad", ""): re.sub(r"sqrt\((\w+)\)", r"√\1", value)
        for name, value in exact.items()
    }
    items = [f"{name} = {value.replace('*', '·').replace('-', '−')}" for name, value in plain.items()]
    return "\n".join(",   ".join(items[k : k + 2]) for k in range(0, len(items), 2))
