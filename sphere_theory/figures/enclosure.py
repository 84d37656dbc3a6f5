"""What is certified of ΔHE beside what it is: its enclosure and both forms of the bound, by size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sphere_theory.figures.bounds import RELATIVE
from sphere_theory.figures.style import COLOURS, caption, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Sequence[Mapping[str, Any]]

# |ΔHE| that is drawn at the foot of a panel, where nothing but 0 is certified from below.
_FOOT = 0.1


def enclosures(audits: Records) -> Figure:
    """|ΔHE| of one layer's edits between its certified bounds, against the size of the edit.

    Parameters
    ----------
    audits
        Records of audits with all inputs: layer, edit, relative_edit, energy_change, enclosure,
        angular_bound, and checks with the tightness of "unconditional". Those of layer 3 are drawn, or of the
        first one.

    Returns
    -------
    Figure
        A panel for each kind of edit: ΔHE itself, its enclosure (B9) shaded, the bound by the turns of the
        neurons and the bound K*‖ΔW‖ (both B8) above it.
    """
    layers = sorted({record["layer"] for record in audits})
    layer = 3 if 3 in layers else layers[0]
    mine = [record for record in audits if record["layer"] == layer and record["energy_change"]]
    edits = list(dict.fromkeys(record["edit"] for record in mine))
    figure, grid = panels(1, len(edits), width=3.4 * len(edits), height=4.2)
    foot = _FOOT * min(abs(record["energy_change"]) for record in mine)
    for place, (axes, edit) in enumerate(zip(grid, edits, strict=True)):
        own = sorted((r for r in mine if r["edit"] == edit), key=lambda record: record["relative_edit"])
        _panel(axes, own, foot)
        axes.set_title(f"{edit} edit", loc="left", fontsize="medium")
        axes.set_xlabel(RELATIVE)
        axes.sharey(grid[0])
        axes.tick_params(labelleft=place == 0)
    grid[0].set_ylabel(r"$|\Delta HE|$ (s = 1)")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4, frameon=False, fontsize="small")
    figure.suptitle("What is certified of ΔHE, for edits of every size", x=0.02, ha="left", fontsize="large")
    signed = sum(record["enclosure"][0] > 0 or record["enclosure"][1] < 0 for record in mine)
    caption(
        figure,
        f"all-MiniLM-L6-v2 layer {layer} FFN output (384×1536), {len(mine)} edits. Where the shaded band "
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
    axes.spines[["top", "right"]].set_visible(False)


def _absolute(enclosure: Sequence[float], foot: float) -> tuple[float, float]:
    """What |ΔHE| is between: from the foot up where the interval holds 0."""
    low, high = enclosure
    largest = max(abs(low), abs(high))
    return (min(abs(low), abs(high)) if low > 0 or high < 0 else foot), largest


def _by_norm(record: Mapping[str, Any]) -> float:
    """K*‖ΔW‖, by what share of it ΔHE is; with all inputs ‖ΔV‖ is ‖ΔW‖."""
    tightness = record["checks"]["unconditional"]["tightness"]
    return abs(record["energy_change"]) / math.sqrt(tightness) if tightness else math.nan
