"""Does the pretrained principal space stay the right one? How it turns, and what a refreshed one changes.

Along streams: how far the principal space of the weights turns away from that of the pretrained ones, and how
much of ΔW still lies in the latter, means over seeds. And what U of the weights before each batch changes:
metrics of such runs less those with U of the pretrained weights, paired by seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.plotting import bare, caption, course, log_heights, name_ends, palette, panels, title
from sphere_theory.study.choices import largest, studies
from sphere_theory.study.layer_plots import counted
from sphere_theory.study.markdown import span, table
from sphere_theory.study.question import Chosen, Frames, Lines, Material, Question, RunFigure
from sphere_theory.study.run_table import OPERATORS, PROJECTED, STUDY
from sphere_theory.study.statistics import mean_interval, means_along
from sphere_theory.study.wording import gains_table, headed, spanned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The run table's variant of SPHERE with U of the weights before each batch, and with that of the pretrained.
CURRENT, PRETRAINED = "basis=current", ""

# How ΔW and the principal space of the weights lie to that of the pretrained weights, and its rank.
TURNING = ("principal_overlap", "principal_angle", "principal_share", "principal_rank")

_SPHERE = ("base", "settings", "eta", "alpha")

# Of lines: by operator, but for SPHERE on the current weights.
_STYLES = dict.fromkeys(OPERATORS, "-") | {PROJECTED: "--", CURRENT: ":"}


def refreshing(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Runs of SPHERE with U of the current weights beside those with U of the pretrained ones."""
    both = [study for study in studies(points, host) if len(_side_by_side(study))]
    return largest([_compared(study) for study in both], points)


def _compared(study: pd.DataFrame) -> pd.DataFrame:
    """Runs of the editors, settings, η and α that U of the current weights was used with, and those alone."""
    current = study[study["variant"] == CURRENT]
    alone = study["operator"].eq("") & _among(study, current, ["base", "settings"])
    return study[alone | _among(study, current, _SPHERE)]


def _among(study: pd.DataFrame, others: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Which points share some columns with one of others."""
    known = set(others[[*columns]].itertuples(index=False, name=None))
    return study[[*columns]].apply(tuple, axis=1).isin(known)


def refreshed(points: pd.DataFrame) -> pd.DataFrame:
    """Each metric with U of the current weights, less with that of the pretrained ones, along streams.

    Parameters
    ----------
    points
        Of comparable runs, some of `Sphere` with basis="current", as `load_points` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a base editor (with its settings, η and α), edit count and metric: base, settings, eta, alpha,
        edits, metric, seeds, pretrained and current (means over seeds), gain with low and high (95%,
        Student's).

    Raises
    ------
    InputError
        No seed has both to the same edit count.
    """
    import pandas as pd

    pairs = _side_by_side(points)
    if not len(pairs):
        expected = f"runs of SPHERE on the same seed with and without {CURRENT}"
        raise InputError("points", expected, f"variants {sorted(points['variant'].unique())}")
    rows = []
    by = [*_SPHERE, "edits"]
    for key, own in pairs.groupby(by, sort=False):
        known = dict(zip(by, key, strict=True)) | {"seeds": len(own)}
        for metric in METRICS:
            before, after = own[f"{metric}_pretrained"], own[f"{metric}_current"]
            gain, low, high = mean_interval((after - before).to_numpy())
            found = {"pretrained": before.mean(), "current": after.mean()}
            rows.append(known | {"metric": metric} | found | {"gain": gain, "low": low, "high": high})
    return pd.DataFrame(rows)


def _side_by_side(points: pd.DataFrame) -> pd.DataFrame:
    """Metrics of a seed with both spaces, one row a pair of points."""
    same = [*STUDY, *_SPHERE, "seed", "edits"]
    sphere = points[points["operator"] == PROJECTED][[*same, "variant", *METRICS]]
    pretrained, current = (sphere[sphere["variant"] == variant] for variant in (PRETRAINED, CURRENT))
    return pretrained.merge(current, on=same, suffixes=("_pretrained", "_current"))


def _turning(chosen: Chosen) -> Frames:
    return {"turn": means_along(chosen.points, TURNING), "refreshed": refreshed(chosen.points)}


def _draw(frames: Frames, about: str) -> Figure:
    """Above the turn, a line an editor; below the metrics with a refreshed U less with the pretrained one."""
    compared = frames["refreshed"]
    figure, grid = panels(2, 4, width=14.5, height=6.4)
    _draw_turn(grid[:4], frames["turn"])
    colours = palette(frames["turn"]["base"])
    *gained, unused = grid[4:]
    for axes, metric in zip(gained, METRICS, strict=True):
        ends = _draw_gain(axes, compared[compared["metric"] == metric], colours)
        axes.set_title(metric, loc="left", fontsize="medium")
        if axes is gained[-1]:
            name_ends(axes, ends)
    gained[0].set_ylabel("refreshed U − pretrained U")
    unused.set_axis_off()
    title(figure, "Does the pretrained principal space stay the right one?")
    caption(
        figure,
        f"{about}. Dashed with SPHERE, dotted with SPHERE on U of the weights before each batch. Share left: "
        "‖U0ᵀU‖² / r, at most the rank of U over r. Below: what a refreshed U changes, paired on "
        f"{counted(compared['seeds'].max(), 'seed')}. Means over seeds; bands: 95% intervals (Student's t).",
        width=170,
    )
    return figure


def _draw_turn(grid: Sequence[Axes], found: pd.DataFrame) -> None:
    left, rank, angle, share = grid
    current = found["variant"].str.split(", ").map(lambda options: CURRENT in options)
    found = found.assign(style=found["operator"].mask(current, CURRENT))
    course(left, found, "principal_overlap", "share of span(U0) left", styles=_STYLES)
    course(rank, found, "principal_rank", "rank of U", styles=_STYLES)
    degrees = 180 / np.pi
    course(angle, found, "principal_angle", "largest principal angle (°)", styles=_STYLES, scale=degrees)
    log_heights(left, found[found["column"] == "principal_overlap"]["mean"])
    rank.set_ylim(0, None)
    angle.set_ylim(0, 93)
    # Before its lines are named: the names stand at their heights.
    share.set_ylim(-0.03, 1.03)
    course(share, found, "principal_share", "share of ‖ΔW‖² in span(U0)", styles=_STYLES, named=True)


def _draw_gain(axes: Axes, own: pd.DataFrame, colours: dict[str, str]) -> list[tuple[float, str, str]]:
    """One metric; where its lines end, whose they are, and their colours."""
    ends = []
    for base, line in own.groupby("base", sort=False):
        low, high = line["low"].clip(-1, 1), line["high"].clip(-1, 1)
        axes.plot(line["edits"], line["gain"], color=colours[base], linewidth=1.4, label=base)
        axes.fill_between(line["edits"], low, high, color=colours[base], alpha=0.15, linewidth=0)
        ends.append((float(line["gain"].iloc[-1]), base, colours[base]))
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set_xlim(0, None)
    axes.set_xlabel("edits")
    bare(axes)
    return ends


def _answer(material: Material) -> Lines:
    for host, points in material.of_hosts(refreshing):
        found = means_along(points[points["variant"] == PRETRAINED], TURNING)
        last = found[found["edits"] == found["edits"].max()]
        yield f"{headed(host, points)}; at the end, of the pretrained space:"
        yield table(
            ("editor", "‖U_tᵀU‖²/r", "largest angle (degrees)", "share of ‖ΔW‖² inside"),
            [
                (str(editor), *_turned(own.set_index("column")))
                for (editor, _), own in last.groupby(["editor", "settings"], sort=False)
            ],
        )
        compared = refreshed(points)
        yield "U of the current weights less U of the pretrained ones, at the end:"
        yield gains_table(compared[compared["edits"] == compared["edits"].max()])


def _turned(by: pd.DataFrame) -> Iterator[str]:
    yield spanned(by.loc["principal_overlap"], "mean", ".3f")
    degrees = np.degrees(by.loc["principal_angle", ["mean", "low", "high"]].to_numpy(float))
    yield span(degrees, ".1f")
    yield spanned(by.loc["principal_share"], "mean", ".3f")


QUESTION = Question(
    order=11,
    question="Does the pretrained principal space stay the right one?",
    asked="reviewers",
    answer=_answer,
    untested="Refreshing it every so often instead of before every batch.",
    figures={
        "turning": RunFigure('SPHERE with and without basis="current"', refreshing, _turning, _draw),
    },
)
