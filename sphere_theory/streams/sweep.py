"""Many runs on dask.distributed: named by their content, computed anywhere, stored once by one process.

SQLite's WAL needs all its processes on one machine, and workers may be on many. So nobody but the driver, the
process that called `run_sweep`, writes to the store. A worker writes to a store of its run alone,
STORE/scratch/RUN, under the run's lock, with checkpoints, and with a journal that a network file system can
keep. When the run has ended the driver takes it over: rows in one transaction, files by renaming, and last of
all its status, so that no run counts as stored before it is stored whole.

- A killed worker's run is taken up from its checkpoint by the worker that Dask gives it to.
- A killed driver's next call finds the runs that are stored, takes over those that ended meanwhile, and takes
  up the others where their workers left them.
- Bits depend on the number of threads, not on who computed them: every run sets its own.

The store's folder has to be one that all workers see under the same path; so have model and data files.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from sphere_theory.cluster import GPU
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.errors import ClusterError, SphereTheoryError, first_line
from sphere_theory.files import InUseError, file_lock
from sphere_theory.hosts.base import Edits, Host, StreamSpec
from sphere_theory.streams.entries import environment, run_id
from sphere_theory.streams.memory import require_memory
from sphere_theory.streams.naming import run_config
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.specs import Task
from sphere_theory.streams.store import RunStore

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

# Of scratch stores: machines may take turns at one.
_JOURNAL = "delete"

# Seconds between two looks at a run that another process works on.
POLL = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    task
        Which.
    run
        Name of its run; empty if not even that could be found.
    status
        As in the store; empty if it failed.
    computed
        Whether it was computed now, and not found in the store.
    error
        Why it failed; empty if it did not.
    """

    task: Task
    run: str = ""
    status: str = ""
    computed: bool = False
    error: str = ""


@dataclass(frozen=True)
class _Place:
    """What every worker is told: the store's folder, the source of the driver's code, how often to save."""

    store: Path
    source: str
    checkpoint_seconds: float = 10.0

    def scratch(self, run: str) -> Path:
        return self.store / "scratch" / run

    def key(self, run: str) -> str:
        """Dask's name of the task: runs of the same name in two stores are two tasks."""
        return f"run-{run}-{hashlib.sha256(str(self.store).encode()).hexdigest()[:8]}"


def run_sweep(
    tasks: Sequence[Task],
    store: RunStore,
    client: Client,
    *,
    checkpoint_seconds: float = 10.0,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Run tasks on a cluster, and store each run once; those that the store has are not computed again.

    The same call goes on after a kill or an interruption at any moment. A task that fails leaves the others
    as they are.

    Parameters
    ----------
    tasks
        What to run, as from `expand`.
    store
        Where to keep the runs: a folder that every worker sees under the same path.
    client
        Connected workers, as from `connected`. Tasks for a CUDA device go to workers with the resource GPU.
    checkpoint_seconds
        As for `run_stream`.
    report
        Told every outcome as soon as it is known.

    Returns
    -------
    list of Outcome
        In the order in which they became known; tasks that are the same run have one.

    Raises
    ------
    InUseError
        Another sweep works on this store.
    StoreError
        The store cannot be read or written.
    """
    outcomes: list[Outcome] = []

    def known(outcome: Outcome) -> None:
        outcomes.append(outcome)
        report(outcome)

    store.require_writable()
    with _alone(store):
        place = _Place(store.path.resolve(), environment()["source"], checkpoint_seconds)
        sweep = _Sweep(store, client, place, known)
        sweep.compute(sweep.named(tasks))
    return outcomes


@contextmanager
def _alone(store: RunStore) -> Generator[None]:
    """Keep other sweeps off a store: two would take over the same runs."""
    try:
        with file_lock(store.path / "sweep.lock"):
            yield
    except InUseError as error:
        message = f"another sweep works on {store.path} ({error}); wait for it, or take another store"
        raise InUseError(message) from error


@dataclass(frozen=True, eq=False)
class _Sweep:
    """The driver's side."""

    store: RunStore
    client: Client
    place: _Place
    known: Callable[[Outcome], None]

    def named(self, tasks: Sequence[Task]) -> dict[str, Task]:
        """Tasks by the names of their runs, which only a worker can tell: its device makes the values."""
        streams: dict[tuple[Host, StreamSpec, int], list[Task]] = {}
        for task in tasks:
            streams.setdefault((task.host, task.stream, task.threads), []).append(task)
        futures = {
            self.client.submit(_names, group, self.place, pure=False, resources=_resources(group[0])): group
            for group in streams.values()
        }
        found: dict[str, Task] = {}

        def take(group: list[Task], names: list[str] | None, error: str) -> None:
            if names is None:
                for task in group:
                    self.known(Outcome(task, error=error))
            else:
                found.update(zip(names, group, strict=True))

        self._collect(futures, take)
        return found

    def compute(self, named: Mapping[str, Task]) -> None:
        """Compute and store the runs that the store has not."""
        ended = {info.id: info.status for info in self.store.runs() if info.ended}
        futures: dict[Future, str] = {}
        for run, task in named.items():
            if run in ended:
                # A kill may have come between the run's last write and this.
                shutil.rmtree(self.place.scratch(run), ignore_errors=True)
                self.known(Outcome(task, run, ended[run]))
            else:
                where = {"key": self.place.key(run), "resources": _resources(task)}
                futures[self.client.submit(_run_to_its_end, task, run, self.place, **where)] = run
        self._collect(futures, lambda run, _, error: self.known(self._stored(named[run], run, error)))

    def _collect(self, futures: dict[Future, T], take: Callable[[T, Any, str], None]) -> None:
        """Take results, or reasons of failure, as they come."""
        from distributed import as_completed

        left = {future.key: (future, about) for future, about in futures.items()}
        try:
            for future in as_completed(list(futures)):
                error = failure(future)
                result = None if error else future.result()
                # Or Dask would compute it again when a worker dies that keeps a result.
                future.release()
                _, about = left.pop(future.key)
                take(about, result, error)
        finally:
            self.client.cancel([future for future, _ in left.values()])

    def _stored(self, task: Task, run: str, error: str) -> Outcome:
        """Take an ended run over."""
        if error:
            return Outcome(task, run, error=error)
        scratch = self.place.scratch(run)
        try:
            with RunStore(scratch, journal=_JOURNAL) as other:
                self.store.adopt(other, run)
        except SphereTheoryError as error:
            return Outcome(task, run, error=str(error))
        shutil.rmtree(scratch, ignore_errors=True)
        return Outcome(task, run, self.store.run(run).status, computed=True)


def _resources(task: Task) -> dict[str, float] | None:
    return {GPU: 1} if task.stream.device.startswith("cuda") else None


def failure(future: Future) -> str:
    """Why a task failed.

    Parameters
    ----------
    future
        Of the task; it is done.

    Returns
    -------
    str
        A line; empty if it did not fail.
    """
    if future.status == "finished":
        return ""
    if future.status != "error":
        return f"{future.status} on the cluster"
    error = future.exception()
    return str(error) if isinstance(error, SphereTheoryError) else first_line(error)


# --- on a worker ---------------------------------------------------------------------------------


def _names(tasks: list[Task], place: _Place) -> list[str]:
    """Names of the runs of some tasks of one stream."""
    memory, stream = _host(tasks[0], place)
    return [
        run_id(
            run_config(
                memory,
                task.editor,
                stream,
                task.measures,
                batch=task.batch,
                keep_updates=task.keep_updates,
            )
        )
        for task in tasks
    ]


def _run_to_its_end(task: Task, run: str, place: _Place) -> None:
    """Compute a run in its scratch store, from where another process may have left it."""
    require_memory(task.memory, task.stream.device)
    memory, stream = _host(task, place)
    with RunStore(place.scratch(run), journal=_JOURNAL) as store:
        while True:
            try:
                run_stream(
                    memory,
                    task.editor,
                    stream,
                    task.measures,
                    store,
                    batch=task.batch,
                    keep_updates=task.keep_updates,
                    checkpoint_seconds=place.checkpoint_seconds,
                )
                return
            except InUseError:
                # By a worker that the scheduler lost, or whose driver was killed: it goes on to the end.
                sleep(POLL)


def _host(task: Task, place: _Place) -> tuple[LayerMemory, Edits]:
    source = environment()["source"]
    if source != place.source:
        expected = f"workers with the driver's version of the package (source {place.source})"
        raise ClusterError("scheduler", expected, f"one with source {source}")
    # Last bits depend on it, the stream's among them.
    torch.set_num_threads(task.threads)
    return _made(task.host, task.stream, task.threads, place.store / "keys")


@lru_cache(maxsize=1)
def _made(host: Host, stream: StreamSpec, threads: int, keys: Path) -> tuple[LayerMemory, Edits]:
    """Tasks of one stream follow each other: the next one finds it made."""
    return host.make(stream, keys)
