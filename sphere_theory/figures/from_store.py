"""Every figure that a store of runs has the runs for, and what is missing for the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sphere_theory
from sphere_theory.analysis.ablation import TURNED, settings_reached
from sphere_theory.analysis.correlation import correlations
from sphere_theory.analysis.forecast import FOLDS, WINDOW, openings, out_of_sample, scores, usable
from sphere_theory.analysis.front import front_gaps, front_shares
from sphere_theory.analysis.gains import gains
from sphere_theory.analysis.resampling import SAMPLES
from sphere_theory.analysis.runs import LEVEL, PROJECTED, STUDY, gather
from sphere_theory.analysis.smallness import ends_of_smallness, step_exponents
from sphere_theory.analysis.warning import FALSE_ALARMS, HORIZON, alarms, approaches, verdicts
from sphere_theory.errors import InputError
from sphere_theory.figures import plugin, predictors, streams
from sphere_theory.figures.forecast import forecast_panels
from sphere_theory.figures.smallness import step_size_map
from sphere_theory.figures.style import save, theme
from sphere_theory.records import source_hash

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sphere_theory.streams.store import RunStore

QUICK_SAMPLES = 200

# A stream with fewer points has no course to speak of; fewer seeds have no spread.
POINTS_NEEDED, SEEDS_NEEDED, GRID_NEEDED = 8, 3, 6

# Settings of one editor, so that its steps differ in size.
STEPS_NEEDED = 3


@dataclass(frozen=True, eq=False)
class Study:
    """Comparable runs of a store, and what a figure may need to know beside their points.

    Attributes
    ----------
    points
        As `gather` returns them.
    samples
        Resamples for intervals.
    """

    points: pd.DataFrame
    samples: int

    @property
    def about(self) -> str:
        """Host and sample sizes."""
        return streams.sample_sizes(self.points)


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
    """Draw what a store has the runs for.

    Parameters
    ----------
    store
        Of runs; nothing is run, and nothing in it is changed.
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
    points = gather(store)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    missing: dict[str, str] = {}
    with theme():
        for name, (choose, draw, needs) in FIGURES.items():
            chosen = [choose(points, host) for host in points["host"].unique()]
            chosen = [own for own in chosen if len(own)]
            if not chosen:
                missing[name] = needs
            for own in chosen:
                figure = draw(Study(own, QUICK_SAMPLES if quick else SAMPLES))
                path = folder / f"{name}-{_slug(own['host'].iloc[0])}"
                written += save(figure, path, provenance(store, own))
    return Drawn(tuple(written), missing)


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


def _slug(host: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", host.lower().replace("×", "x")).strip("-")


def _studies(points: pd.DataFrame, host: str) -> list[pd.DataFrame]:
    own = points[points["host"] == host]
    return [study for _, study in own.groupby(list(STUDY), sort=False)]


def _seeded(study: pd.DataFrame) -> pd.DataFrame:
    """Points of editors and settings with enough seeds."""
    same = study.groupby(["base", "settings", "editor"])["seed"]
    return study[same.transform("nunique") >= SEEDS_NEEDED]


def _largest(studies: list[pd.DataFrame], points: pd.DataFrame) -> pd.DataFrame:
    """The study with the most points, or none of them."""
    return max(studies, key=len, default=points.iloc[:0])


def usual(study: pd.DataFrame) -> pd.DataFrame:
    """Of each base editor the runs with its commonest settings, by itself and with SPHERE as in the paper.

    Parameters
    ----------
    study
        Points of comparable runs.

    Returns
    -------
    pandas.DataFrame
        Some of them.
    """
    paper = study[(study["editor"] == study["base"]) | (study["editor"] == study["base"] + " + SPHERE")]
    counted = paper.groupby(["base", "settings"])["run"].nunique().reset_index()
    chosen = counted.sort_values("run").groupby("base").tail(1)[["base", "settings"]]
    return paper.merge(chosen, on=["base", "settings"])


def _courses(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """The usual runs with enough points, of the study that has most of them on enough seeds."""
    found = []
    for study in _studies(points, host):
        long = study.groupby("run")["edits"].transform("size") >= POINTS_NEEDED
        chosen = usual(study[long])
        found.append(_seeded(chosen))
    return _largest(found, points)


def _paired(points: pd.DataFrame, host: str) -> pd.DataFrame:
    chosen = _courses(points, host)
    try:
        gains(chosen)
    except InputError:
        return points.iloc[:0]
    return chosen


def _several_editors(points: pd.DataFrame, host: str) -> pd.DataFrame:
    chosen = _courses(points, host)
    return chosen if chosen["base"].nunique() >= 2 else points.iloc[:0]


def _forecast(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses of several editors, enough of them to fit on where an editor or a seed is left out."""
    chosen = _several_editors(points, host)
    if not len(chosen):
        return chosen
    runs = usable(openings(chosen))
    return points.iloc[:0] if any(out_of_sample(runs, by=fold).empty for fold in FOLDS) else chosen


def _grids(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """The study with enough pairs of η and α."""
    found = []
    for study in map(_seeded, _studies(points, host)):
        sphere = study[study["operator"] == PROJECTED]
        if len(sphere[["eta", "alpha"]].drop_duplicates()) >= GRID_NEEDED:
            found.append(study)
    return _largest(found, points)


def _fronts(points: pd.DataFrame, host: str) -> pd.DataFrame:
    chosen = _grids(points, host)
    if not len(chosen) or not (settings_reached(chosen)["kind"] == TURNED).any():
        return points.iloc[:0]
    return chosen


def _audited(points: pd.DataFrame, host: str) -> pd.DataFrame:
    if "total_certified" not in points:
        return points.iloc[:0]
    return _longest(_courses(points.dropna(subset=["total_certified", "path_bound"]), host))


def _step_sizes(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Long audited runs of editors of several strengths, alone and with SPHERE as in the paper."""
    own = points[points["host"] == host]
    if "total_certified" not in own:
        return points.iloc[:0]
    own = own.dropna(subset=["total_certified", "path_bound"])
    own = own[(own["editor"] == own["base"]) | (own["editor"] == own["base"] + " + SPHERE")]
    found = []
    for _, same in own.groupby("batch_size", sort=False):
        # Runs of 50,000 edits beside those of 100,000.
        seeded = same[same["planned"] >= same["planned"].max() / 2]
        seeds = seeded.groupby(["base", "settings", "editor", "planned"])["seed"].transform("nunique")
        seeded = seeded[seeds >= SEEDS_NEEDED]
        if len(seeded) and seeded.groupby("base")["settings"].nunique().max() >= STEPS_NEEDED:
            found.append(seeded)
    return _largest(found, points)


def _longest(study: pd.DataFrame) -> pd.DataFrame:
    return study[study["planned"] == study["planned"].max()]


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


_COURSE = f"streams with {POINTS_NEEDED} or more points on {SEEDS_NEEDED} or more seeds"

# Name: what chooses a host's runs (none if they do not do), what draws them, and what it needs in words.
FIGURES: Mapping[str, tuple[Callable[[pd.DataFrame, str], pd.DataFrame], Callable[[Study], Figure], str]] = {
    "streams": (_courses, _curves, _COURSE),
    "correlation": (_courses, _correlation, _COURSE),
    "warning": (_several_editors, _warning, f"{_COURSE}, of two or more editors"),
    "gains": (_paired, _gains, f"{_COURSE}, with and without SPHERE"),
    "ablation": (_grids, _maps, f"{GRID_NEEDED} or more pairs of η and α on {SEEDS_NEEDED} or more seeds"),
    "front": (_fronts, _front, "as ablation, and base editors with another ridge"),
    "forecast": (_forecast, _collapse_forecasts, f"{_COURSE}, of two or more editors that collapse later"),
    "stress": (_audited, _stress, f"{_COURSE}, with audits and certificates"),
    "stress-steps": (
        _step_sizes,
        _stress_steps,
        f"streams with audits and certificates of an editor with {STEPS_NEEDED} or more λ, each on "
        f"{SEEDS_NEEDED} or more seeds",
    ),
}
