"""Are real keys orthonormal, and is ΔW small? How far both are from what Theorem 1 supposes.

How far sets of a layer's keys are from orthonormal but for a unit, how their pairs lie and how uneven their
second moment is, is measured once a layer, beside synthetic keys. How large ‖ΔW‖/‖W‖ grows is measured along
streams, means over seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sphere_theory.experiments.key_geometry import KeyGeometry
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.plotting import bare, caption, course, log_heights, palette, panels, title
from sphere_theory.study.choices import COURSE, courses
from sphere_theory.study.layer_plots import counted, real_layers, synthetic_seeds
from sphere_theory.study.markdown import number, span, table
from sphere_theory.study.question import (
    Chosen,
    ExperimentFigure,
    Frames,
    Lines,
    Material,
    Question,
    RunFigure,
)
from sphere_theory.study.run_table import PROJECTED
from sphere_theory.study.statistics import mean_interval, means_along
from sphere_theory.study.wording import headed, spanned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# ‖ΔW‖/‖W‖ of all edits so far, and of the newest batch.
SIZES = ("edit_norm", "step_norm")

# Keys of a batch.
_SET = 100

# Synthetic keys: the theorem's own hypothesis, independent keys, and ever less even ones.
_SOURCES = (("orthonormal", "flat"), ("gaussian", "flat"), ("gaussian", "power"), ("clustered", "power"))


def _experiments(quick: bool) -> list[KeyGeometry]:
    """Real layers with three sets of each size; synthetic keys of every kind on three seeds."""
    found = [KeyGeometry(host) for host in ((MiniLM(),) if quick else MiniLM.layers())]
    # The same shape as the real layers', so that chance is the same.
    shape = (96, 384) if quick else MiniLM().shape
    for seed in range(3):
        hosts = (SyntheticLayer(shape, source, spectrum) for source, spectrum in _SOURCES)
        found += [KeyGeometry(host, seed, draws=1) for host in hosts]
    return found


# ---- Keys ------------------------------------------------------------------------------------------------


def key_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """How far sets of keys are from orthonormal, by their size.

    Parameters
    ----------
    rows
        Of `KeyGeometry`, as `experiment_rows` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a host, kind and number of keys: family, real, of ("edited"; of real layers also
        "preserved"), host, keys, error (mean of error_best over sets and seeds), draws, sets of each size.
    """
    sets = rows[(rows["kind"] == "set") & ((rows["of"] == "edited") | rows["real"].astype(bool))]
    by = ["family", "real", "of", "host", "keys"]
    return (
        sets.groupby(by, sort=False).agg(error=("error_best", "mean"), draws=("draw", _count)).reset_index()
    )


def _count(draws: pd.Series) -> int:
    return int(draws.max()) + 1


def key_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """How pairs of keys lie, in the largest sets that a family has.

    Parameters
    ----------
    rows
        Of `KeyGeometry`, as `experiment_rows` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a host and seed: family, real, host, seed, cosine, the mean |cos| of two keys, and chance,
        that of two random directions.
    """
    sets = rows[rows["kind"] == "set"]
    at = sets[sets["keys"] == sets.groupby("family")["keys"].transform("max")]
    grouped = at.groupby(["family", "real", "host", "seed"], sort=False)
    return grouped.agg(cosine=("cosine", "mean"), chance=("cosine_chance", "first")).reset_index()


def key_spectra(rows: pd.DataFrame) -> pd.DataFrame:
    """Spectra of the second moment of keys, in units of their mean.

    Parameters
    ----------
    rows
        Of `KeyGeometry`, as `experiment_rows` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a host, seed and place: family, real, host, seed, place, value = λ_k over the mean of all
        λ, dimension, participation (Σλ)²/Σλ².
    """
    spectra = rows[rows["kind"] == "spectrum"]
    kept = ["family", "real", "host", "seed", "place", "dimension", "participation"]
    return spectra[kept].assign(value=spectra["share"] * spectra["dimension"])


def _keys(rows: pd.DataFrame) -> Frames:
    return {"pairs": key_pairs(rows), "errors": key_errors(rows), "spectra": key_spectra(rows)}


def _draw_keys(frames: Frames, about: str) -> Figure:
    """Three panels; layers of a model share a colour, every kind of synthetic keys has its own."""
    spectra = frames["spectra"]
    colours = palette(spectra["family"])
    figure, grid = panels(1, 3, width=12.5, height=4.2)
    _draw_pairs(grid[0], frames["pairs"], colours)
    _draw_errors(grid[1], frames["errors"], colours)
    _draw_spectra(grid[2], spectra, colours)
    for axes in grid:
        bare(axes)
    title(figure, "How far keys are from the orthonormal inputs of Theorem 1")
    caption(
        figure,
        f"{real_layers(spectra)}, a line each (dashed: preserved keys K0, solid: keys to edit), and "
        f"{synthetic_seeds(spectra)} of each kind of synthetic keys; means over up to "
        f"{counted(frames['errors']['draws'].max(), 'random set')} of each size. 0: orthonormal but for a "
        "unit, as the theorem supposes. Pairs: in the largest sets, a dot a layer or seed.",
        width=170,
    )
    return figure


def _draw_pairs(axes: Axes, pairs: pd.DataFrame, colours: Mapping[str, str]) -> None:
    for place, (family, colour) in enumerate(colours.items()):
        each = pairs[pairs["family"] == family]["cosine"]
        axes.plot(each, [place] * len(each), "o", color=colour, markersize=5, alpha=0.8, label=family)
    chance = float(pairs["chance"].iloc[0])
    axes.axvline(chance, color="0.4", linewidth=0.8)
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": "x-small", "color": "0.4"}
    axes.annotate("random directions", (chance, -0.42), (3, 0), **text)
    axes.set_xlim(0, None)
    axes.set_yticks(range(len(colours)), list(colours), fontsize="small")
    for tick, colour in zip(axes.get_yticklabels(), colours.values(), strict=True):
        tick.set_color(colour)
    axes.set_ylim(len(colours) - 0.5, -0.6)
    axes.set_xlabel("mean |cos| of two keys")


def _draw_errors(axes: Axes, errors: pd.DataFrame, colours: Mapping[str, str]) -> None:
    axes.set_xscale("log")
    for family, colour in colours.items():
        for of, style in (("edited", "-"), ("preserved", "--")):
            own = errors[(errors["family"] == family) & (errors["of"] == of)]
            for host, line in own.groupby("host", sort=False):
                line, label = line.sort_values("keys"), f"{host}, {of}"
                axes.plot(line["keys"], line["error"], style, color=colour, linewidth=0.9, label=label)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("keys m")
    axes.set_ylabel("min over c of ‖c·XᵀX − I‖ / ‖I‖")


def _draw_spectra(axes: Axes, spectra: pd.DataFrame, colours: Mapping[str, str]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for family, colour in colours.items():
        for _, line in spectra[spectra["family"] == family].groupby(["host", "seed"], sort=False):
            axes.plot(line["place"], line["value"], color=colour, linewidth=0.9, label=family)
    axes.set_xlabel("k")
    axes.set_ylabel("λₖ of C0 / mean λ")
    ranks = spectra.groupby("family", sort=False)["participation"]
    lines = [f"(Σλ)²/Σλ² of {int(spectra['dimension'].max()):,}:"]
    lines += [f"{family}: {_range(own)}" for family, own in ranks]
    text: dict[str, Any] = {"fontsize": "x-small", "color": "0.3", "va": "bottom"}
    axes.text(0.03, 0.03, "\n".join(lines), transform=axes.transAxes, **text)


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"


# ---- Size of the edit ------------------------------------------------------------------------------------


def _sizes(chosen: Chosen) -> Frames:
    return {"sizes": means_along(chosen.points, SIZES)}


def _draw_sizes(frames: Frames, about: str) -> Figure:
    """All edits so far and the newest batch, a line an editor with its interval."""
    found = frames["sizes"].assign(style=frames["sizes"]["operator"])
    figure, (total, step) = panels(1, 2, width=11, height=4.2)
    styles = {"": "-", PROJECTED: "--"}
    for axes, column in ((total, "edit_norm"), (step, "step_norm")):
        # Before lines are named: the names stand at their heights.
        log_heights(axes, found[found["column"] == column]["mean"])
    course(total, found, "edit_norm", "‖ΔW‖ / ‖W‖, all edits so far", styles=styles)
    course(step, found, "step_norm", "‖ΔW‖ / ‖W‖, newest batch", styles=styles, named=True)
    total.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
    title(figure, "How large edits are beside the weights")
    caption(figure, f"{about}. Lines: means over seeds; bands: 95% intervals (Student's t).", width=150)
    return figure


# ---- Written up ------------------------------------------------------------------------------------------


def _answer(material: Material) -> Lines:
    keys = material.rows("keys")
    if len(keys):
        yield from _off(keys)
    for host, points in material.of_hosts(courses):
        found = means_along(points, ("edit_norm",))
        last = found[found["edits"] == found.groupby("editor")["edits"].transform("max")]
        cells = [f"{row['editor']} {spanned(row, 'mean')}" for row in last.to_dict("records")]
        yield f"{headed(host, points)}, ‖ΔW‖/‖W‖ at the end: {'; '.join(cells)}."


def _off(keys: pd.DataFrame) -> Lines:
    """How far preserved keys are from orthonormal, in sets of one size."""
    sets = keys[(keys["kind"] == "set") & (keys["of"] == "preserved")]
    size = _SET if _SET in set(sets["keys"]) else sets["keys"].max()
    yield (
        f"‖cXᵀX − I‖_F/‖I‖_F with the best c, of {size:.0f} preserved keys (0: orthonormal), and the "
        "participation ratio of C0 (intervals over sets of keys; orthonormal keys are of several bases):"
    )
    spectra = keys[keys["kind"] == "spectrum"]
    yield table(("keys", "off by", "(Σλ)²/Σλ²", "of d"), _cells(sets[sets["keys"] == size], spectra))


def _cells(sets: pd.DataFrame, spectra: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for host, own in sets.groupby("host", sort=False):
        spectrum = spectra[spectra["host"] == host]
        error = span(mean_interval(own["error_best"].to_numpy()), ".3f")
        ratio = number(spectrum["participation"].mean(), ".1f")
        yield str(host), error, ratio, f"{spectrum['dimension'].iloc[0]:.0f}"


QUESTION = Question(
    order=9,
    question="Are real keys orthonormal, and is ΔW small?",
    asked="reviewers",
    answer=_answer,
    untested="Keys of larger models.",
    figures={
        "keys": ExperimentFigure("keys", _draw_keys, _keys),
        "edit-size": RunFigure(COURSE, courses, _sizes, _draw_sizes),
    },
    experiments=_experiments,
)
