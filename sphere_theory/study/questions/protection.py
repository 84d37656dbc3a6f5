"""Does projecting edits protect what is known? What SPHERE adds to each base editor, paired by seed.

The statistic is each metric with SPHERE as in the paper less without it, on the same seed after the same
edits: its mean over seeds with Student's interval, beside what the paper reports for its hosts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.memit import Memit
from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.plotting import COLOURS, bare, caption, name_ends, panels, title
from sphere_theory.study.choices import PAIRS, paired, pairs
from sphere_theory.study.question import Chosen, Frames, Lines, Material, Question, RunFigure
from sphere_theory.study.run_table import PROJECTED
from sphere_theory.study.statistics import mean_interval
from sphere_theory.study.wording import gains_table, headed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Quoted:
    """A gain in the paper (arXiv 2510.01172), on a host that is not ours.

    Attributes
    ----------
    base
        Our name of the editor.
    short
        What to write beside it.
    where
        Model, data and edits.
    efficacy, generalisation, specificity
        With SPHERE less without, as shares; None where it is not given.
    """

    base: str
    short: str
    where: str
    efficacy: float
    generalisation: float
    specificity: float | None = None


def _points(after: float, before: float) -> float:
    return (after - before) / 100


# AlphaEdit's and SPHERE's own rows of the paper's main table; MEMIT's from its plug-in section.
QUOTED = (
    Quoted(Memit.name, "paper", "LLaMA3-8B, 3,000 edits", 0.4905, 0.4264, 0.2444),
    Quoted(
        AlphaEdit.name,
        "paper, zsRE",
        "LLaMA3-8B, zsRE, 15,000 edits",
        _points(90.01, 86.64),
        _points(84.67, 81.28),
        _points(45.40, 28.78),
    ),
    Quoted(
        AlphaEdit.name,
        "paper, CounterFact",
        "LLaMA3-8B, CounterFact, 15,000 edits",
        _points(52.89, 4.37),
        _points(32.07, 1.71),
        None,
    ),
)


# ---- Choice ------------------------------------------------------------------------------------------------


def several_seeds(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses with and without SPHERE, of AlphaEdit among others."""
    chosen = paired(points, host)
    return chosen if len(pairs(_of(chosen, AlphaEdit.name))) else points.iloc[:0]


def _of(points: pd.DataFrame, base: str) -> pd.DataFrame:
    return points[points["base"] == base]


# ---- Statistic ---------------------------------------------------------------------------------------------


def gains(points: pd.DataFrame, *, at: int | None = None) -> pd.DataFrame:
    """Each metric with SPHERE, as in the paper's text, less without, at one edit count.

    Parameters
    ----------
    points
        Of comparable runs, as `load_points` returns them.
    at
        Edits; None: the last count that all pairs have.

    Returns
    -------
    pandas.DataFrame
        One row a base editor (with its settings) and metric: base, settings, metric, edits, seeds, before,
        after, gain with low and high (95%, Student's, over seeds).

    Raises
    ------
    InputError
        No editor has been run with and without SPHERE on the same seed to that count.
    """
    found = pairs(points)
    if at is None and len(found):
        at = _last_common(found)
    if at is None or not (found["edits"] == at).any():
        raise InputError(
            "points", "runs with and without SPHERE on the same seed at that edit count", str(at)
        )
    return _gains_at(found, at)


def gains_along(points: pd.DataFrame, base: str = AlphaEdit.name) -> pd.DataFrame:
    """What SPHERE adds to one editor at every edit count.

    Parameters
    ----------
    points
        Of comparable runs, as `load_points` returns them.
    base
        Name of the editor. Default "alphaedit".

    Returns
    -------
    pandas.DataFrame
        Rows of `gains` at all edit counts that some pair has, to the last that all have.

    Raises
    ------
    InputError
        That editor has not been run with and without SPHERE on the same seed.
    """
    import pandas as pd

    own = _of(points, base)
    last, found = int(gains(own)["edits"].iloc[0]), pairs(own)
    counts = [count for count in _counts(found) if count <= last]
    return pd.concat([_gains_at(found, count) for count in counts], ignore_index=True)


def _gains_at(found: pd.DataFrame, at: int) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for (base, settings), own in found[found["edits"] == at].groupby(["base", "settings"], sort=False):
        for metric in METRICS:
            before, after = own[f"{metric}_without"], own[f"{metric}_with"]
            gain, low, high = mean_interval((after - before).to_numpy())
            known = {"base": base, "settings": settings, "metric": metric, "edits": at, "seeds": len(own)}
            means = {"before": before.mean(), "after": after.mean()}
            rows.append(known | means | {"gain": gain, "low": low, "high": high})
    return pd.DataFrame(rows)


def _counts(found: pd.DataFrame) -> list[int]:
    return [int(count) for count in np.unique(found["edits"])]


def _last_common(found: pd.DataFrame) -> int:
    each = found.groupby(["base", "settings", "seed"])["edits"]
    common = set.intersection(*(set(edits) for _, edits in each))
    return int(max(common) if common else each.max().min())


# ---- Figures -----------------------------------------------------------------------------------------------


def _gains_of(chosen: Chosen) -> Frames:
    """After a third, two thirds and all of the edits that every pair has."""
    import pandas as pd

    found = pairs(chosen.points)
    last, counts = _last_common(found), _counts(found)
    wanted = [min(counts, key=lambda count: abs(count - last * part)) for part in (1 / 3, 2 / 3, 1)]
    return {"gains": pd.concat([_gains_at(found, at) for at in dict.fromkeys(wanted)], ignore_index=True)}


def _draw_gains(frames: Frames, about: str) -> Figure:
    """A column a metric, a row a base editor; the paper's gains as hollow diamonds with their host."""
    found = frames["gains"]
    bases, counts = list(dict.fromkeys(found["base"])), list(dict.fromkeys(found["edits"]))
    figure, grid = panels(1, len(METRICS), width=10.5, height=1.8 + 0.9 * len(bases))
    shades = np.linspace(0.35, 1, len(counts))
    for axes, metric in zip(grid, METRICS, strict=True):
        for k, (count, shade) in enumerate(zip(counts, shades, strict=True)):
            own = found[(found["edits"] == count) & (found["metric"] == metric)]
            shift = 0.5 * (k / max(1, len(counts) - 1) - 0.5)
            _draw_rows(axes, own, [bases.index(base) + shift for base in own["base"]], float(shade))
        _draw_quoted(axes, metric, bases)
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
    title(figure, "What SPHERE adds to each editor")
    seeds = int(found[found["edits"] == counts[0]]["seeds"].min())
    where = "; ".join(dict.fromkeys(f"{one.base}: {one.where}" for one in QUOTED if one.base in bases))
    caption(
        figure,
        f"{about}. Squares: after {', '.join(f'{count:,}' for count in counts)} edits, from top (pale) to "
        f"bottom (dark), paired by seed, {seeds} seeds, 95% intervals (Student's t); figures: without → "
        f"with. Hollow diamonds: the paper's gains, on other hosts ({where or 'none for these editors'}).",
        width=150,
    )
    return figure


def _draw_rows(axes: Axes, rows: pd.DataFrame, places: Sequence[float], shade: float) -> None:
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


def _draw_quoted(axes: Axes, metric: str, bases: list[str]) -> None:
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


def _seeds_of(chosen: Chosen) -> Frames:
    return {"gains": gains_along(chosen.points)}


def _draw_seeds(frames: Frames, about: str) -> Figure:
    """A panel a metric: with SPHERE and without, and below the paired difference."""
    found = frames["gains"]
    base = found["base"].iloc[0]
    shown = (("before", COLOURS[0], base), ("after", COLOURS[1], f"{base} + {PROJECTED}"))
    figure, grid = panels(2, len(METRICS), width=12, height=5.6)
    levels, differences = grid[: len(METRICS)], grid[len(METRICS) :]
    for axes, difference, metric in zip(levels, differences, METRICS, strict=True):
        own = found[found["metric"] == metric]
        for column, colour, name in shown:
            axes.plot(own["edits"], own[column], color=colour, linewidth=1.4, label=name)
        difference.plot(own["edits"], own["gain"], color="0.2", linewidth=1.4, label="gain")
        difference.fill_between(own["edits"], own["low"], own["high"], color="0.2", alpha=0.15, linewidth=0)
        difference.axhline(0, color="0.5", linewidth=0.8)
        axes.set_ylim(-0.03, 1.03)
        axes.set_title(metric, loc="left", fontsize="medium")
        difference.set_xlabel("edits")
        for one in (axes, difference):
            one.set_xlim(0, None)
            bare(one)
    levels[0].set_ylabel("mean over seeds")
    differences[0].set_ylabel("with SPHERE − without")
    last = found[found["metric"] == METRICS[-1]].iloc[-1]
    name_ends(levels[-1], [(last[column], name, colour) for column, colour, name in shown])
    title(figure, f"{base} with and without SPHERE, over seeds")
    caption(
        figure,
        f"{about}. Below: paired on {int(found['seeds'].min())} or more seeds; band: 95% interval "
        "(Student's t).",
        width=150,
    )
    return figure


# ---- Answer ------------------------------------------------------------------------------------------------


def _answer(material: Material) -> Lines:
    """What SPHERE adds, editor by editor."""
    for host, points in material.of_hosts(paired):
        found = gains(points)
        yield f"{headed(host, points)}, at {int(found['edits'].iloc[0]):,} edits, with SPHERE less without:"
        yield gains_table(found)
        counts = []
        for name in METRICS:
            own = found[found["metric"] == name]
            up, down = int((own["low"] > 0).sum()), int((own["high"] < 0).sum())
            counts.append(f"{name} rises for {up} and falls for {down} of {len(own)}")
        yield f"By the intervals {'; '.join(counts)}."


QUESTION = Question(
    order=2,
    question="Does projecting edits protect what is known?",
    asked="the paper, claim 2",
    answer=_answer,
    untested="The paper's models and its 38.71% on average, which includes fluency and portability.",
    figures={
        "gains": RunFigure(PAIRS, paired, _gains_of, _draw_gains),
        "seeds": RunFigure(f"{PAIRS}, of {AlphaEdit.name}", several_seeds, _seeds_of, _draw_seeds),
    },
)
