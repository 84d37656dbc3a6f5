"""Run the study: what the store has is not computed again, and a cut-off call goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphere_theory.errors import SphereTheoryError
from sphere_theory.experiments.base import Experiment
from sphere_theory.files import file_lock
from sphere_theory.streams.entries import environment
from sphere_theory.streams.store import RunStore
from sphere_theory.streams.sweep import Outcome, failure, run_sweep
from sphere_theory.study.plan import Plan

if TYPE_CHECKING:
    from distributed import Client

Row = dict[str, Any]


@dataclass(frozen=True)
class StudyResult:
    """What became of a run or an experiment.

    Attributes
    ----------
    what
        In words.
    computed
        Whether it was computed now, and not found in the store.
    error
        Why it failed; empty if it did not.
    """

    what: str
    computed: bool
    error: str = ""


Report = Callable[[StudyResult], None]


@dataclass(frozen=True, eq=False)
class Stage:
    """Where a study runs, and who is told.

    Attributes
    ----------
    store
        Where to keep everything.
    workers
        Opens connected workers of one thread, and closes them.
    report
        Told every result as soon as it is stored.
    """

    store: RunStore
    workers: Callable[[], AbstractContextManager[Client]]
    report: Report


def run_study(plan: Plan, stage: Stage) -> list[StudyResult]:
    """Run everything in a plan that the store has not: streams, experiments, and last of all what is timed.

    Parameters
    ----------
    plan
        What to run.
    stage
        Where.

    Returns
    -------
    list of StudyResult
        One for each run and experiment.

    Raises
    ------
    InUseError
        Another study works on this store.
    StoreError
        The store cannot be read or written.
    """
    results: list[StudyResult] = []

    def known(result: StudyResult) -> None:
        results.append(result)
        stage.report(result)

    def told(outcome: Outcome) -> None:
        known(StudyResult(str(outcome.task), outcome.computed, outcome.error))

    stage.store.require_writable()
    with file_lock(stage.store.path / "study.lock"):
        _run(plan, stage, told, known)
    return results


def _run(plan: Plan, stage: Stage, told: Callable[[Outcome], None], known: Report) -> None:
    shared = [one for one in plan.experiments if not one.alone]
    with stage.workers() as client:
        run_sweep(plan.tasks, stage.store, client, report=told)
        _on_workers(_missing(shared, stage.store, known), stage.store, client, known)
    # The workers are gone: nothing else takes the machine's time.
    for experiment in _missing([one for one in plan.experiments if one.alone], stage.store, known):
        try:
            rows = experiment.rows(stage.store.path / "keys")
        except SphereTheoryError as error:
            known(StudyResult(str(experiment), False, str(error)))
        else:
            _keep(experiment, rows, environment(), stage.store, known)


def _missing(experiments: Sequence[Experiment], store: RunStore, known: Report) -> list[Experiment]:
    """Those that the store has not; the others are told of."""
    missing = []
    for one in experiments:
        if store.has_experiment(one.name, _named(one)):
            known(StudyResult(str(one), False))
        else:
            missing.append(one)
    return missing


def _named(experiment: Experiment) -> Row:
    """What its rows depend on."""
    return experiment.config() | {"code": experiment.code()}


def _keep(experiment: Experiment, rows: list[Row], where: Row, store: RunStore, known: Report) -> None:
    store.keep_experiment(experiment.name, _named(experiment), rows, where)
    known(StudyResult(str(experiment), True))


def _on_workers(experiments: Sequence[Experiment], store: RunStore, client: Client, known: Report) -> None:
    from distributed import as_completed

    folder = (store.path / "keys").resolve()
    futures = {client.submit(_rows, one, folder, pure=False): one for one in experiments}
    try:
        for future in as_completed(list(futures)):
            experiment = futures.pop(future)
            if error := failure(future):
                known(StudyResult(str(experiment), False, error))
            else:
                rows, where = future.result()
                _keep(experiment, rows, where, store, known)
            future.release()
    finally:
        client.cancel(list(futures))


def _rows(experiment: Experiment, folder: Path) -> tuple[list[Row], Row]:
    import torch

    # Last bits depend on it.
    torch.set_num_threads(1)
    return experiment.rows(folder), environment()
