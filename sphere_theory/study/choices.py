"""Which runs of a store a figure or a finding is about: one host's comparable runs, or none.

What only one question chooses stands with that question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphere_theory.hosts.base import METRICS
from sphere_theory.study.collapses import approaches
from sphere_theory.study.run_table import STUDY

if TYPE_CHECKING:
    import pandas as pd

# A stream with fewer points has no course to speak of; fewer seeds have no spread.
POINTS_NEEDED, SEEDS_NEEDED = 8, 3

COURSE = f"streams with {POINTS_NEEDED} or more points on {SEEDS_NEEDED} or more seeds"
PAIRS = f"{COURSE}, with and without SPHERE"

# What a run was, whatever was measured of it.
_RUN = (*STUDY, "base", "settings", "editor", "seed")


def once(points: pd.DataFrame) -> pd.DataFrame:
    """Of runs of the same edits on the same seed the one with most points: a second adds no evidence.

    Parameters
    ----------
    points
        As `load_points` returns them.

    Returns
    -------
    pandas.DataFrame
        Some of them.
    """
    known = points.assign(count=points.groupby("run", sort=False)["run"].transform("size"))
    first = known.sort_values(["count", "run"], ascending=[False, True]).drop_duplicates([*_RUN])
    return points[points["run"].isin(first["run"])]


def studies(points: pd.DataFrame, host: str) -> list[pd.DataFrame]:
    """Comparable runs of a host: those of a study differ in editor, settings and seed alone."""
    own = once(points[points["host"] == host])
    return [study for _, study in own.groupby(list(STUDY), sort=False)]


def seeded(study: pd.DataFrame) -> pd.DataFrame:
    """Points of editors and settings with enough seeds.

    Parameters
    ----------
    study
        Points of comparable runs.

    Returns
    -------
    pandas.DataFrame
        Some of them.
    """
    same = study.groupby(["base", "settings", "editor"])["seed"]
    return study[same.transform("nunique") >= SEEDS_NEEDED]


def largest(found: list[pd.DataFrame], points: pd.DataFrame) -> pd.DataFrame:
    """The study with the most points, or none of them.

    Parameters
    ----------
    found
        Points of each study.
    points
        Whose columns an empty answer has.

    Returns
    -------
    pandas.DataFrame
        One of them, or no row.
    """
    return max(found, key=len, default=points.iloc[:0])


def plain_or_as_paper(points: pd.DataFrame) -> pd.DataFrame:
    """Points of editors by themselves, and with SPHERE as in the paper.

    Parameters
    ----------
    points
        As `load_points` returns them.

    Returns
    -------
    pandas.DataFrame
        Some of them.
    """
    return points[(points["operator"] == "") | points["as_paper"]]


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
    paper = plain_or_as_paper(study)
    counted = paper.groupby(["base", "settings"])["run"].nunique().reset_index()
    # Of settings that are equally common the last by name, whatever order their runs were made in.
    chosen = counted.sort_values(["run", "settings"]).groupby("base").tail(1)[["base", "settings"]]
    return paper.merge(chosen, on=["base", "settings"])


def courses(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """The usual runs with enough points, of the study that has most of them on enough seeds."""
    found = []
    for study in studies(points, host):
        long = study.groupby("run")["edits"].transform("size") >= POINTS_NEEDED
        found.append(seeded(usual(study[long])))
    return largest(found, points)


def several_editors(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses of two editors or more that learned: an alarm for one is set on others."""
    chosen = courses(points, host)
    enough = len(chosen) and approaches(chosen)["base"].nunique() >= 2
    return chosen if enough else points.iloc[:0]


def pairs(points: pd.DataFrame) -> pd.DataFrame:
    """Metrics of a seed without SPHERE and with it as in the paper, side by side.

    Parameters
    ----------
    points
        Of comparable runs, as `load_points` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a pair of points: columns of `STUDY`, base, settings, seed, edits, and each metric with
        _without and _with.
    """
    same = [*STUDY, "base", "settings", "seed", "edits"]
    columns = [*same, *METRICS]
    without, projected = points[points["operator"] == ""], points[points["as_paper"]]
    return without[columns].merge(projected[columns], on=same, suffixes=("_without", "_with"))


def paired(points: pd.DataFrame, host: str) -> pd.DataFrame:
    """Courses, some of them with and without SPHERE on the same seed."""
    chosen = courses(points, host)
    return chosen if len(pairs(chosen)) else points.iloc[:0]
