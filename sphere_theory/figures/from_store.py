"""Every figure that a store has the runs and experiments for, and what is missing for the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import sphere_theory
from sphere_theory.analysis import selection
from sphere_theory.analysis.ablation import settings_reached
from sphere_theory.analysis.correlation import correlations
from sphere_theory.analysis.forecast import FOLDS, WINDOW, openings, out_of_sample, scores, usable
from sphere_theory.analysis.front import front_gaps, front_shares
from sphere_theory.analysis.gains import gains
from sphere_theory.analysis.resampling import SAMPLES
from sphere_theory.analysis.review import (
    SIZES,
    TURNING,
    courses,
    gains_along,
    projection_costs,
    refreshed,
    timings,
)
from sphere_theory.analysis.runs import LEVEL, gather
from sphere_theory.analysis.selection import GRID_NEEDED, POINTS_NEEDED, SEEDS_NEEDED, STEPS_NEEDED
from sphere_theory.analysis.smallness import ends_of_smallness, step_exponents
from sphere_theory.analysis.warning import FALSE_ALARMS, HORIZON, alarms, approaches, verdicts
from sphere_theory.errors import InputError
from sphere_theory.figures import bounds, cost, interventions, neurons, plugin, predictors, review, streams
from sphere_theory.figures.forecast import forecast_panels
from sphere_theory.figures.smallness import step_size_map
from sphere_theory.figures.style import save, theme
from sphere_theory.records import source_hash

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sphere_theory.streams.store import RunStore

QUICK_SAMPLES = 200


@dataclass(frozen=True, eq=False)
class Study:
    """Comparable runs of a store, and what a figure may need to know beside their points.

    Attributes
    ----------
    store
        Of the runs.
    points
        As `gather` returns them.
    samples
        Resamples for intervals.
    """

    store: RunStore
    points: pd.DataFrame
    samples: int

    @property
    def about(self) -> str:
        """Host and sample sizes."""
        return streams.sample_sizes(self.points)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure and what it was drawn from.

    Attributes
    ----------
    name, host
        Which figure, of which host; the host is empty where the figure is of several.
    figure
        Not written yet.
    provenance
        Names of runs or experiments, and the sources and versions that ran and drew them.
    """

    name: str
    host: str
    figure: Figure
    provenance: Mapping[str, str]

    @property
    def slug(self) -> str:
        """A file's name."""
        words = f"{self.name} {self.host}".lower().replace("×", "x")
        return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


@dataclass(frozen=True)
class Drawn:
    """What came of drawing a store.

    Attributes
    ----------
    written
        Files.
    missing
        What each figure that could not be drawn would need, by its name.
    """

    written: tuple[Path, ...]
    missing: Mapping[str, str]


def draw_store(store: RunStore, folder: Path, *, quick: bool = False) -> Drawn:
    """Draw what a store has the runs and experiments for.

    Parameters
    ----------
    store
        Nothing is run, and nothing in it is changed.
    folder
        Where to write; made if missing.
    quick
        200 resamples for each interval instead of 1,000.

    Returns
    -------
    Drawn
        Files named after figure and host, and what is missing.

    Raises
    ------
    InputError
        The store has no run with all measures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    missing = {name: one.needs for name, one in FIGURES.items()}
    missing |= {name: one.needs for name, one in EXPERIMENTS.items()}
    with theme():
        for drawing in drawings(store, quick=quick):
            missing.pop(drawing.name, None)
            written += save(drawing.figure, folder / drawing.slug, drawing.provenance)
    return Drawn(tuple(written), missing)


def drawings(store: RunStore, names: Sequence[str] = (), *, quick: bool = False) -> Iterator[Drawing]:
    """Draw figures of a store without writing them.

    Parameters
    ----------
    store
        Of runs and experiments.
    names
        Keys of `FIGURES` and `EXPERIMENTS`; empty: all.
    quick
        200 resamples for each interval instead of 1,000.

    Yields
    ------
    Drawing
        One a figure and host; none where the store does not have what it needs.

    Raises
    ------
    InputError
        An unknown name, or a store without a run with all measures.
    """
    known = [*FIGURES, *EXPERIMENTS]
    for name in names:
        if name not in known:
            raise InputError("names", f"some of {', '.join(known)}", repr(name))
    wanted = names or known
    samples = QUICK_SAMPLES if quick else SAMPLES
    points = gather(store)
    for name in wanted:
        if name in FIGURES:
            yield from _of_runs(store, points, name, samples)
        else:
            yield from _of_experiments(store, name)


def _of_runs(store: RunStore, points: pd.DataFrame, name: str, samples: int) -> Iterator[Drawing]:
    for host in points["host"].unique():
        own = FIGURES[name].choose(points, host)
        if len(own):
            figure = FIGURES[name].draw(Study(store, own, samples))
            yield Drawing(name, host, figure, provenance(store, own))


def _of_experiments(store: RunStore, name: str) -> Iterator[Drawing]:
    one = EXPERIMENTS[name]
    frame = experiment_frame(store, one.experiment)
    if not len(frame):
        return
    for host, own in frame[one.which(frame)].groupby(one.by(frame), sort=False):
        here = {"package": sphere_theory.__version__, "source": source_hash(sphere_theory)}
        found = {"experiments": f"{len(own['experiment'].unique())} of {one.experiment}"}
        drawn = {f"drawn with {key}": value for key, value in here.items()}
        yield Drawing(name, str(host), one.draw(own), found | drawn)


def experiment_frame(store: RunStore, name: str) -> pd.DataFrame:
    """Everything that was kept of a kind of experiment.

    Parameters
    ----------
    store
        Where it is kept.
    name
        Of the kind.

    Returns
    -------
    pandas.DataFrame
        One row a row, its task's fields beside it (its own columns win), and experiment, the task's name;
        real layers first, then by what was done and by seed.
    """
    import pandas as pd

    rows = []
    for id, (config, found) in sorted(store.experiments(name).items(), key=_place):
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
        rows += [{"experiment": id} | fields | row for row in found]
    return pd.DataFrame(rows)


# What tells experiments of a kind apart to a reader.
_TOLD_BY = ("model", "spectrum", "editor", "layer", "seed")


def _place(kept: tuple[str, tuple[dict[str, Any], list[dict[str, Any]]]]) -> tuple[str, ...]:
    """An order of experiments that does not depend on their names: "minilm" stands before "synthetic"."""
    id, (config, _) = kept
    return (*(str(config.get(field, "")) for field in _TOLD_BY), id)


def provenance(store: RunStore, points: pd.DataFrame) -> dict[str, str]:
    """What a figure was drawn from, for its metadata.

    Parameters
    ----------
    store
        The runs.
    points
        Those that were drawn.

    Returns
    -------
    dict of str to str
        Run names, the source and versions that they were run with, and those that drew.
    """
    names = list(dict.fromkeys(points["run"]))
    ran = [info.environment for info in store.runs() if info.id in set(names)]
    by = {key: ",".join(sorted({str(one.get(key)) for one in ran})) for key in ("package", "source", "torch")}
    here = {"package": sphere_theory.__version__, "source": source_hash(sphere_theory)}
    return {
        "runs": ",".join(names),
        **{f"run with {key}": value for key, value in by.items()},
        **{f"drawn with {key}": value for key, value in here.items()},
    }


def _curves(study: Study) -> Figure:
    return streams.curves(study.points)


def _correlation(study: Study) -> Figure:
    return predictors.correlation_forest(correlations(study.points, samples=study.samples), study.about)


def _warning(study: Study) -> Figure:
    rows = approaches(study.points)
    found = verdicts(rows, alarms(rows, by="base"), samples=study.samples)
    about = (
        f"{study.about}. Near: at most {HORIZON} edits before efficacy or specificity falls below {LEVEL:g}. "
        f"Area: near against far points of {rows['run'].nunique()} runs, 95% intervals from resampling runs. "
        f"Alarms: thresholds that {FALSE_ALARMS:.0%} of the far points of other editors pass."
    )
    return predictors.warning_forest(found, about)


def _gains(study: Study) -> Figure:
    last = int(gains(study.points)["edits"].iloc[0])
    counts = sorted(study.points["edits"].unique())
    wanted = [min(counts, key=lambda count: abs(count - last * part)) for part in (1 / 3, 2 / 3, 1)]
    return plugin.gain_rows([gains(study.points, at=int(at)) for at in dict.fromkeys(wanted)], study.about)


def _maps(study: Study) -> Figure:
    return plugin.ablation_maps(settings_reached(study.points), study.about)


def _front(study: Study) -> Figure:
    shares = front_shares(front_gaps(study.points), samples=study.samples)
    return plugin.front(settings_reached(study.points), study.about, shares)


def _stress(study: Study) -> Figure:
    return streams.stress(study.points)


def _collapse_forecasts(study: Study) -> Figure:
    runs = usable(openings(study.points))
    found = {fold: out_of_sample(runs, by=fold) for fold in FOLDS}
    scored = {fold: scores(table, samples=study.samples) for fold, table in found.items()}
    about = f"{study.about}. Seen: the first {WINDOW:.0%} of each run"
    return forecast_panels(found, scored, about)


def _stress_steps(study: Study) -> Figure:
    ends = ends_of_smallness(study.points)
    return step_size_map(ends, step_exponents(ends, samples=min(study.samples, QUICK_SAMPLES)), study.about)


def _sizes(study: Study) -> Figure:
    return review.edit_size(courses(study.points, SIZES), study.about)


def _projection_cost(study: Study) -> Figure:
    batches = timings(study.store, set(study.points["run"]))
    return review.cost(projection_costs(batches), study.about)


def _turning(study: Study) -> Figure:
    return review.turning(courses(study.points, TURNING), refreshed(study.points), study.about)


def _seeds(study: Study) -> Figure:
    return review.seeds(gains_along(study.points), study.about)


class RunFigure(NamedTuple):
    """What chooses a host's runs (none if they do not do), what draws them, what it needs in words."""

    choose: Callable[[pd.DataFrame, str], pd.DataFrame]
    draw: Callable[[Study], Figure]
    needs: str


_COURSE = f"streams with {POINTS_NEEDED} or more points on {SEEDS_NEEDED} or more seeds"
_PAIRS = f"{_COURSE}, with and without SPHERE"

FIGURES: Mapping[str, RunFigure] = {
    "streams": RunFigure(selection.courses, _curves, _COURSE),
    "correlation": RunFigure(selection.courses, _correlation, _COURSE),
    "warning": RunFigure(selection.several_editors, _warning, f"{_COURSE}, of two or more editors"),
    "gains": RunFigure(selection.paired, _gains, _PAIRS),
    "ablation": RunFigure(
        selection.grids_of, _maps, f"{GRID_NEEDED} or more pairs of η and α on {SEEDS_NEEDED} or more seeds"
    ),
    "front": RunFigure(selection.fronts, _front, "as ablation, and base editors with another ridge"),
    "forecast": RunFigure(
        selection.forecastable,
        _collapse_forecasts,
        f"{_COURSE}, of two or more editors that collapse later",
    ),
    "stress": RunFigure(selection.audited, _stress, f"{_COURSE}, with audits and a path bound"),
    "stress-steps": RunFigure(
        selection.step_sizes,
        _stress_steps,
        f"streams with audits and a path bound of an editor with {STEPS_NEEDED} or more λ, each on "
        f"{SEEDS_NEEDED} or more seeds",
    ),
    "edit-size": RunFigure(selection.courses, _sizes, _COURSE),
    "projection-cost": RunFigure(selection.paired, _projection_cost, _PAIRS),
    "turning": RunFigure(selection.refreshing, _turning, 'SPHERE with and without basis="current"'),
    "seeds": RunFigure(selection.several_seeds, _seeds, f"{_PAIRS}, of alphaedit"),
}


def _everything(frame: pd.DataFrame) -> pd.Series:
    return frame["experiment"].notna()


def _together(frame: pd.DataFrame) -> pd.Series:
    """One figure of all rows."""
    return frame["experiment"].map(lambda _: "")


def _layers(frame: pd.DataFrame) -> pd.Series:
    """A figure for each layer and kind of keys."""
    real = frame["model"] == "minilm"
    words = frame["model"] + " " + frame["shape"].map(lambda shape: "x".join(map(str, shape)))
    synthetic = words + " " + frame["spectrum"]
    return synthetic.where(~real, "MiniLM layer " + frame["layer"].astype(str))


class ExperimentFigure(NamedTuple):
    """Which experiment, what draws its rows, which of them, one figure for each value of what."""

    experiment: str
    draw: Callable[[pd.DataFrame], Figure]
    which: Callable[[pd.DataFrame], pd.Series] = _everything
    by: Callable[[pd.DataFrame], pd.Series] = _together

    @property
    def needs(self) -> str:
        """In words."""
        return f"the experiment {self.experiment} of `sphere-theory study`"


def _of_probe(frame: pd.DataFrame, shown: Sequence[tuple[str, str, str | None]]) -> Figure:
    return bounds.violations(frame.to_dict("records"), shown)


def _with_about(draw: Callable[[pd.DataFrame, str], Figure], frame: pd.DataFrame) -> Figure:
    hosts = "; ".join(frame["host"].unique()) if "host" in frame else ""
    seeds = frame["seed"].nunique()
    return draw(frame, f"{hosts}. {seeds} seeds each")


EXPERIMENTS: Mapping[str, ExperimentFigure] = {
    "bound": ExperimentFigure(
        "probe", partial(_of_probe, shown=bounds.PANELS), lambda frame: frame["layer"] < 0
    ),
    "bound-real": ExperimentFigure(
        "probe", partial(_of_probe, shown=bounds.REAL_PANELS), lambda frame: frame["layer"] >= 0
    ),
    "neuron-angles": ExperimentFigure("neuron-angles", neurons.angle_histograms, by=_layers),
    "neuron-map": ExperimentFigure("neuron-map", neurons.neuron_maps, by=_layers),
    "dose": ExperimentFigure("interventions", partial(_with_about, interventions.dose_response)),
    "contrasts": ExperimentFigure("interventions", partial(_with_about, interventions.contrasts)),
    "companions": ExperimentFigure("interventions", partial(_with_about, interventions.companions)),
    "upkeep": ExperimentFigure("upkeep", partial(_with_about, interventions.with_upkeep)),
    "upkeep-contrasts": ExperimentFigure("upkeep", partial(_with_about, interventions.upkeep_contrasts)),
    "cost": ExperimentFigure("cost", cost.cost_growth),
    "cost-extrapolated": ExperimentFigure("cost", cost.cost_extrapolated),
    "cost-stream": ExperimentFigure("cost-stream", cost.cost_along_stream),
    "keys": ExperimentFigure("keys", review.orthonormality),
    "energy-directions": ExperimentFigure("energy-directions", review.directions),
    "null-space": ExperimentFigure("space-overlap", review.null_space),
}
