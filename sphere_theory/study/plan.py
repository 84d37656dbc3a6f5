"""What the study runs: grids of streams, one TOML file each, and the experiments of all questions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sphere_theory.experiments.base import Experiment
from sphere_theory.streams.grid import read_grid
from sphere_theory.streams.specs import Task
from sphere_theory.study.question import questions

FULL, QUICK = "full", "quick"


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes
    ----------
    tasks
        Streams.
    experiments
        What is measured outside of streams.
    """

    tasks: tuple[Task, ...]
    experiments: tuple[Experiment, ...]

    def __len__(self) -> int:
        return len(self.tasks) + len(self.experiments)


def plan(*, quick: bool = False) -> Plan:
    """Everything behind the figures and the findings.

    Parameters
    ----------
    quick
        Shorter streams, coarser grids, fewer hosts: a seventh of the time.

    Returns
    -------
    Plan
        Every run once, the longest first, so that no worker is left with a long one at the end.
    """
    tasks = [task for path in grids(quick=quick) for task in read_grid(path)]
    tasks.sort(key=lambda task: -task.stream.edits)
    experiments = [one for question in questions() for one in question.experiments(quick)]
    return Plan(tuple(dict.fromkeys(tasks)), tuple(dict.fromkeys(experiments)))


def grids(*, quick: bool = False) -> list[Path]:
    """The grid files of the study, which are also examples for one's own.

    Parameters
    ----------
    quick
        Those of the quick study.

    Returns
    -------
    list of Path
        By name.
    """
    return sorted((Path(__file__).parent / (QUICK if quick else FULL)).glob("*.toml"))
