"""A study into a store: everything once, failures told, what is timed last and alone, no work lost."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from logged_experiments import Told, ToldAlone
from workers import Workers

from sphere_theory.files import InUseError, file_lock
from sphere_theory.streams.grid import expand
from sphere_theory.streams.store import RunStore
from sphere_theory.study import Plan, Stage, StudyResult, run_study

GRID: dict[str, Any] = {
    "model": "synthetic",
    "shape": [16, 24],
    "editors": ["memit-seq"],
    "seeds": [0, 1],
    "edits": 12,
    "batch": 6,
}


class Staged:
    """A stage whose events are noted."""

    def __init__(self, store: RunStore, workers: Workers, stop_after: str = "nothing") -> None:
        self.events: list[str] = []
        self._workers, self._stop_after = workers, stop_after
        self.stage = Stage(store, self._opened, self._told)

    @contextmanager
    def _opened(self) -> Generator[Client]:
        with self._workers.client() as client:
            yield client
        self.events.append("workers gone")

    def _told(self, result: StudyResult) -> None:
        self.events.append(result.what)
        if result.what.startswith(self._stop_after):
            raise KeyboardInterrupt


def planned(folder: Path, **grid: object) -> Plan:
    log = str(folder / "log")
    # The one alone comes first in the plan, and is run last.
    experiments = (ToldAlone(3.0, log), Told(1.0, log), Told(2.0, log))
    return Plan(tuple(expand(GRID | grid)), experiments)


def logged(folder: Path) -> list[str]:
    log = folder / "log"
    return sorted(log.read_text().splitlines()) if log.exists() else []


def test_a_second_call_computes_nothing(workers: Workers, folder: Path) -> None:
    study = planned(folder)
    with RunStore(folder / "runs") as store:
        results = run_study(study, Staged(store, workers).stage)
        assert len(results) == len(study) == 5
        assert all(one.computed and not one.error for one in results)
        assert [info.status for info in store.runs()] == ["complete"] * 2
        before = store.experiments("told"), store.experiments("told-alone")
        assert [len(found) for found in before] == [2, 1]
        assert len(logged(folder)) == 3
        again = run_study(study, Staged(store, workers).stage)
        assert {one.what for one in again} == {one.what for one in results}
        assert not any(one.computed or one.error for one in again)
        assert len(logged(folder)) == 3
        assert (store.experiments("told"), store.experiments("told-alone")) == before


def test_what_is_alone_runs_last_in_this_process(workers: Workers, folder: Path) -> None:
    staged = None
    with RunStore(folder / "runs") as store:
        staged = Staged(store, workers)
        run_study(planned(folder, seeds=[0]), staged.stage)
        assert staged.events[-2:] == ["workers gone", str(ToldAlone(3.0, str(folder / "log")))]
        ((_, (alone,)),) = store.experiments("told-alone").values()
        assert (alone["process"], alone["twice"]) == (os.getpid(), 6.0)
        shared = [row for _, rows in store.experiments("told").values() for row in rows]
        assert os.getpid() not in {row["process"] for row in shared}
        assert {row["twice"] for row in shared} == {2.0, 4.0}
        # Recorded keys are kept once for runs and experiments.
        assert {row["keys"] for row in shared} == {str((store.path / "keys").resolve())}


def test_a_failure_is_told_and_the_rest_is_stored(workers: Workers, folder: Path) -> None:
    log = str(folder / "log")
    bad, worse, bad_alone = Told(-1.0, log), Told(0.0, log), ToldAlone(-2.0, log)
    lost = expand(GRID | {"editors": ["alphaedit"], "seeds": [0]})  # which finds no null space
    study = Plan((*lost, *expand(GRID)), (bad_alone, bad, worse, Told(1.0, log), ToldAlone(2.0, log)))
    with RunStore(folder / "runs") as store:
        results = {one.what: one for one in run_study(study, Staged(store, workers).stage)}
        failed = {what: one.error for what, one in results.items() if one.error}
        assert set(failed) == {str(one) for one in (bad, worse, bad_alone, lost[0])}
        assert failed[str(bad)] == "value: expected a number that is not negative, got -1.0"
        assert failed[str(worse)] == "OSError: broken"
        assert failed[str(bad_alone)] == "value: expected a number that is not negative, got -2.0"
        assert not any(results[what].computed for what in failed)
        assert [info.status for info in store.runs()] == ["complete"] * 2
        assert [len(store.experiments(name)) for name in ("told", "told-alone")] == [1, 1]


def test_an_interruption_keeps_what_is_stored(workers: Workers, folder: Path) -> None:
    study = planned(folder)
    with RunStore(folder / "runs") as store:
        with pytest.raises(KeyboardInterrupt):
            run_study(study, Staged(store, workers, stop_after="Told(").stage)
        assert len(store.runs()) == 2
        assert len(store.experiments("told")) == 1
        assert not store.experiments("told-alone")
        results = run_study(study, Staged(store, workers).stage)
        assert not any(one.error for one in results)
        computed = [one.what for one in results if one.computed]
        assert len(computed) == 2
        assert str(study.experiments[0]) in computed
        assert len(store.experiments("told")) == 2


def test_two_studies_of_one_store_do_not_mix(workers: Workers, folder: Path) -> None:
    with RunStore(folder / "runs") as store, file_lock(folder / "runs" / "study.lock"):
        staged = Staged(store, workers)
        with pytest.raises(InUseError):
            run_study(planned(folder), staged.stage)
        assert not staged.events
        assert not store.runs()
