"""What a question of the study is: what it needs of a store, its statistic, its figures, its answer in words.

A question is one module of `sphere_theory.study.questions` with a constant ``QUESTION``. Nothing else knows
of it: the plan of the study, the figures and the page of findings are made of all the questions there are.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sphere_theory.experiments.base import Experiment
from sphere_theory.study.run_table import experiment_rows, load_points, sample_sizes
from sphere_theory.study.statistics import SAMPLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sphere_theory.streams.store import RunStore

T = TypeVar("T")

# Paragraphs of Markdown.
Lines = Iterator[str]

# Takes the points of all runs and a host, and returns those of its comparable runs that will do, or none.
Choice = Callable[["pd.DataFrame", str], "pd.DataFrame"]

# What a figure shows, by name: written beside it as CSV.
Frames = Mapping[str, "pd.DataFrame"]


@dataclass(frozen=True, eq=False)
class Material:
    """A store, and what is read from it more than once.

    Attributes
    ----------
    store
        Of runs and experiments.
    samples
        Resamples for intervals.
    """

    store: RunStore
    samples: int = SAMPLES
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """What the page and its numbers both ask for, computed for the first of them.

        Parameters
        ----------
        name
            What it is.
        compute
            Computes it.

        Returns
        -------
        T
            The same object at every call.
        """
        if name not in self._known:
            self._known[name] = compute()
        found: T = self._known[name]
        return found

    @cached_property
    def points(self) -> pd.DataFrame:
        """As `load_points` returns them."""
        return load_points(self.store)

    def hosts(self) -> list[str]:
        """Real layers first, whatever order their editors have."""
        real = dict(self.points[["host", "real"]].drop_duplicates().itertuples(index=False))
        return sorted(real, key=lambda host: (not real[host], host))

    def of_hosts(self, choose: Choice) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each host that has runs to choose, with their points."""
        for host in self.hosts():
            own = choose(self.points, host)
            if len(own):
                yield host, own

    def rows(self, experiment: str) -> pd.DataFrame:
        """Of a kind of experiment, as `experiment_rows` returns them."""
        return experiment_rows(self.store, experiment)


@dataclass(frozen=True, eq=False)
class Chosen:
    """One host's runs that a figure is drawn from.

    Attributes
    ----------
    store
        Of the runs.
    points
        As a `Choice` returns them.
    samples
        Resamples for intervals.
    """

    store: RunStore
    points: pd.DataFrame
    samples: int = SAMPLES

    @property
    def about(self) -> str:
        """Host and sample sizes, for a caption."""
        return sample_sizes(self.points)


@dataclass(frozen=True)
class RunFigure:
    """A figure of runs, one for each host that has them.

    Attributes
    ----------
    needs
        What it needs, in words.
    choose
        Which points of a host.
    data
        What is shown: the statistic.
    draw
        Draws that, with host and sample sizes for the caption.
    """

    needs: str
    choose: Choice
    data: Callable[[Chosen], Frames]
    draw: Callable[[Frames, str], Figure]


def _everything(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def _together(rows: pd.DataFrame) -> pd.Series:
    """One figure of all rows."""
    return rows["experiment"].map(lambda _: "")


def _as_they_are(rows: pd.DataFrame) -> Frames:
    return {"rows": rows}


@dataclass(frozen=True)
class ExperimentFigure:
    """A figure of the rows of one kind of experiment.

    Attributes
    ----------
    experiment
        Name of the kind.
    draw
        Draws the data, with hosts and seeds for the caption.
    data
        What is shown. Default: the rows, under "rows".
    which
        Some of the rows. Default: all.
    by
        One figure for each of its values, which names it. Default: one figure.
    """

    experiment: str
    draw: Callable[[Frames, str], Figure]
    data: Callable[[pd.DataFrame], Frames] = _as_they_are
    which: Callable[[pd.DataFrame], pd.DataFrame] = _everything
    by: Callable[[pd.DataFrame], pd.Series] = _together

    @property
    def needs(self) -> str:
        """What it needs, in words."""
        return f"the experiment {self.experiment} of `sphere-theory study`"


def _none(quick: bool) -> Sequence[Experiment]:
    return ()


@dataclass(frozen=True, eq=False)
class Question:
    """A question, and all that answers it.

    Attributes
    ----------
    order
        Its place on the page of findings.
    question
        As it was asked.
    asked
        By whom.
    answer
        Paragraphs of Markdown; none if the store has nothing to say.
    untested
        What stays open whatever the store holds.
    figures
        By the names that files and commands call them.
    experiments
        What is measured for it outside of streams, of the whole study or (True) of the quick one.
    """

    order: int
    question: str
    asked: str
    answer: Callable[[Material], Lines]
    untested: str
    figures: Mapping[str, RunFigure | ExperimentFigure] = field(default_factory=dict)
    experiments: Callable[[bool], Sequence[Experiment]] = _none


def questions() -> list[Question]:
    """All questions of the study, each from its module.

    Returns
    -------
    list of Question
        In the order of the page of findings.
    """
    package = importlib.import_module("sphere_theory.study.questions")
    names = (found.name for found in pkgutil.iter_modules(package.__path__))
    modules = (importlib.import_module(f"{package.__name__}.{name}") for name in names)
    return sorted((module.QUESTION for module in modules), key=lambda question: question.order)
