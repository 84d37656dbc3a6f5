"""Which runs of a store a figure or a finding is about: one host's comparable runs, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sphere_theory.analysis.forecast import FOLDS, openings, out_of_sample, usable
from sphere_theory.analysis.front import front_gaps
from sphere_theory.analysis.gains import gains
from sphere_theory.analysis.review import CURRENT, gains_along, refreshed
from sphere_theory.analysis.runs import PROJECTED, STUDY
from sphere_theory.analysis.warning import approaches
from sphere_theory.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Choice = Callable[["pd.DataFrame", str], "pd.DataFrame"]

# A stream with fewer points has no course to speak of; fewer seeds have no spread.
POINTS_NEEDED, SEEDS_NEEDED, GRID_NEEDED = 8, 3, 6

# Settings of one editor, so that its steps differ in size.
STEPS_NEEDED = 3


# What a run was, whatever was measured of it.
_RUN = (*STUDY, "base", "settings", "editor", "seed")


def _once(points: pd.DataFrame) -> pd.DataFrame:
    """Of runs of the same edits on the same seed the one with most points: a second adds no evidence."""
    known = points.assign(count=points.groupby("run", sort=False)["run"].transform("size"))
    first = known.sort_values(["count", "run"], ascending=[False, True]).drop_duplicates([*_RUN])
    return points[points["run"].isin(first["run"])]


def _studies(points: pd.DataFrame, host: str) -> list[pd.DataFrame]:
    own = _once(points[points["host"] == host])
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
    # Of settings that are equally common the last by name, whatever order their runs were made in.
    chosen = counted.sort_values(["run", "settings"]).groupby("base").tail(1)[["base", "settings"]]
    return paper.merge(chosen, on=["base", "settings"])


def courses(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """The usual runs with enough points, of the study that has most of them on enough seeds.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    found = []
    for study in _studies(points, host):
        long = study.groupby("run")["edits"].transform("size") >= POINTS_NEEDED
        chosen = usual(study[long])
        found.append(_seeded(chosen))
    return _largest(found, points)


def paired(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses with and without SPHERE on the same seed.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    chosen = courses(points, host)
    return chosen if _defined(gains, chosen) else points.iloc[:0]


def several_editors(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses of two editors or more that learned: an alarm for one is set on others.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    chosen = courses(points, host)
    enough = len(chosen) and approaches(chosen)["base"].nunique() >= 2
    return chosen if enough else points.iloc[:0]


def forecastable(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses of several editors, enough of them to fit on where an editor or a seed is left out.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    chosen = several_editors(points, host)
    if not len(chosen):
        return chosen
    runs = usable(openings(chosen))
    return points.iloc[:0] if any(out_of_sample(runs, by=fold).empty for fold in FOLDS) else chosen


def grids_of(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """The study with enough pairs of η and α.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    found = []
    for study in map(_seeded, _studies(points, host)):
        sphere = study[study["operator"] == PROJECTED]
        if len(sphere[["eta", "alpha"]].drop_duplicates()) >= GRID_NEEDED:
            found.append(study)
    return _largest(found, points)


def fronts(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """A grid of η and α beside base editors with another strength.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    chosen = grids_of(points, host)
    return chosen if _defined(front_gaps, chosen) else points.iloc[:0]


def audited(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """The longest courses with audits and a path bound.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    if "total_sign" not in points:
        return points.iloc[:0]
    return _longest(courses(points.dropna(subset=["total_sign", "path_bound"]), host))


def step_sizes(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Long audited runs of editors of several strengths, alone and with SPHERE as in the paper.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    own = points[points["host"] == host]
    if "total_sign" not in own:
        return points.iloc[:0]
    own = _once(own.dropna(subset=["total_sign", "path_bound"]))
    own = own[(own["editor"] == own["base"]) | (own["editor"] == own["base"] + " + SPHERE")]
    found = []
    for _, same in own.groupby(["batch_size", "conditions"], sort=False):
        # Runs of 50,000 edits beside those of 100,000.
        seeded = same[same["planned"] >= same["planned"].max() / 2]
        seeds = seeded.groupby(["base", "settings", "editor", "planned"])["seed"].transform("nunique")
        seeded = seeded[seeds >= SEEDS_NEEDED]
        if len(seeded) and seeded.groupby("base")["settings"].nunique().max() >= STEPS_NEEDED:
            found.append(seeded)
    return _largest(found, points)


def _longest(study: pd.DataFrame) -> pd.DataFrame:
    return study[study["planned"] == study["planned"].max()]


def refreshing(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Runs of SPHERE with U of the current weights beside those with U of the pretrained ones.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    return _largest(
        [_compared(study) for study in _studies(points, host) if _defined(refreshed, study)], points
    )


def _compared(study: pd.DataFrame) -> pd.DataFrame:
    """Runs of the editors, settings, η and α that U of the current weights was used with, and those alone."""
    current = study[study["variant"] == CURRENT]
    settings = [tuple(one) for one in current[["base", "settings"]].to_numpy()]
    sphere = [tuple(one) for one in current[["base", "settings", "eta", "alpha"]].to_numpy()]
    alone = study["editor"].eq(study["base"]) & _among(study, ["base", "settings"], settings)
    return study[alone | _among(study, ["base", "settings", "eta", "alpha"], sphere)]


def _among(study: pd.DataFrame, columns: list[str], found: list[tuple[object, ...]]) -> pd.Series:
    return study[columns].apply(tuple, axis=1).isin(found)


def several_seeds(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses with and without SPHERE, of AlphaEdit among others.

    Parameters
    ----------
    points
        As `gather` returns them.
    host
        Which.

    Returns
    -------
    pandas.DataFrame
        Some of the points, or none.
    """
    chosen = paired(points, host)
    return chosen if _defined(gains_along, chosen) else points.iloc[:0]


def _defined(statistic: Callable[[pd.DataFrame], object], points: pd.DataFrame) -> bool:
    try:
        statistic(points)
    except InputError:
        return False
    return True
