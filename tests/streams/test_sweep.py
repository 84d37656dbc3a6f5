"""Sweeps: every run stored once and with the bits of one process, whoever is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import torch
from command import command
from distributed import Client
from small_layer import check_same
from workers import Workers, wait_for

from sphere_theory.errors import ClusterError, RangeError
from sphere_theory.files import InUseError, file_lock
from sphere_theory.hosts.checkpoint import CheckpointLayer
from sphere_theory.streams import memory, sweep
from sphere_theory.streams.entries import RunInfo, environment
from sphere_theory.streams.grid import expand
from sphere_theory.streams.runner import Run, run_stream
from sphere_theory.streams.specs import Task
from sphere_theory.streams.store import RunStore
from sphere_theory.streams.sweep import Outcome, run_sweep

GRID: dict[str, Any] = {
    "model": "synthetic",
    "shape": [16, 24],
    "editors": ["memit-seq", {"name": "alphaedit", "threshold": 0.5}],
    "eta": [0.5],
    "alpha": [0.5, 0.8],
    "seeds": [0],
    "edits": 600,
    "batch": 6,
    "measures": {"every": 40, "audits": False},
}
TEXT = """
model = "synthetic"
shape = [16, 24]
editors = ["memit-seq", { name = "memit", ridge = 5.0 }]
seeds = [0, 1]
edits = 600
batch = 6
"""


@contextmanager
def one_thread() -> Generator[None]:
    """As workers compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def alone(task: Task, store: RunStore) -> Run:
    """The run in this process."""
    with one_thread():
        memory, stream = task.host.make(task.stream, store.path / "keys")
        return run_stream(memory, task.editor, stream, task.measures, store, batch=task.batch)


def check_stored(outcomes: list[Outcome], store: RunStore, folder: Path) -> None:
    """Every run of the outcomes is in the store, once, as one process computes it, and nothing else is."""
    names = [outcome.run for outcome in outcomes]
    assert sorted(names) == sorted(info.id for info in store.runs()) == sorted(set(names))
    with RunStore(folder / "alone") as other:
        for outcome in outcomes:
            assert (outcome.error, outcome.status) == ("", "complete")
            expected = alone(outcome.task, other)
            check_same(replace(expected, store=store), expected)
    assert list((store.path / "scratch").iterdir()) == []


def at_work(client: Client, store: Path) -> tuple[str, str] | None:
    """A worker in the middle of a run that it has saved a part of, and that run."""
    for worker, keys in client.processing().items():
        for key in keys:
            run = str(key).split("-")[1]
            if list((store / "scratch" / run / run).glob("checkpoint-*.safetensors")):
                return worker, run
    return None


def test_a_worker_is_killed(workers: Workers, folder: Path) -> None:
    tasks, victims = expand(GRID), []

    with workers.client() as client, RunStore(folder / "runs") as store:
        processes = client.run(os.getpid)

        def kill(outcome: Outcome) -> None:
            if not victims:
                wait_for(lambda: at_work(client, store.path) is not None)
                victims.append(at_work(client, store.path))
                os.kill(processes[victims[0][0]], signal.SIGKILL)
                workers.start_one()

        outcomes = run_sweep(tasks, store, client, checkpoint_seconds=0.0, report=kill)
        assert {outcome.task for outcome in outcomes} == set(tasks)
        assert all(outcome.computed for outcome in outcomes)
        assert victims[0][1] in [outcome.run for outcome in outcomes[1:]]
        check_stored(outcomes, store, folder)


def test_what_is_stored_is_not_computed_again(workers: Workers, folder: Path) -> None:
    few = expand(GRID | {"eta": [0.5], "alpha": [0.8], "edits": 30})
    more = expand(GRID | {"eta": [0.5], "alpha": [0.8], "edits": 30, "seeds": [0, 1]})
    with workers.client() as client, RunStore(folder) as store:
        alone(few[0], store)
        first = run_sweep(few, store, client)
        assert [outcome.computed for outcome in sorted(first, key=lambda o: few.index(o.task))] == [
            index > 0 for index in range(len(few))
        ]
        files = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
        again = run_sweep(more, store, client)
        assert {o.task for o in again if not o.computed} == set(few)
        assert {o.task for o in again if o.computed} == set(more) - set(few)
        assert len(store.runs()) == len(more)
        assert (
            files.items() <= {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}.items()
        )


def a_grid(folder: Path, text: str = TEXT) -> str:
    (folder / "grid.toml").write_text(text)
    return str(folder / "grid.toml")


def test_one_failure_leaves_the_others(workers: Workers, folder: Path) -> None:
    text = TEXT.replace('"memit-seq"', '"alphaedit"').replace("600", "30")
    ran = command(
        "sweep", a_grid(folder, text), "--scheduler", workers.address, "--store", str(folder / "runs")
    )
    assert ran.returncode == 1
    assert "4 runs: 2 computed, 0 stored before, 2 failed" in ran.stdout
    failed = re.findall(r"failed: (AlphaEdit.*)", ran.stderr)
    assert len(failed) == 2
    for line in failed:
        assert re.search(
            r"seed [01]: memory.second_moment: expected an eigenvalue below threshold=0.02", line
        )
    assert f"4 runs on {workers.address}, dashboard http" in ran.stderr
    with RunStore(folder / "runs") as store:
        assert [info.status for info in store.runs()] == ["complete"] * 2


def test_a_host_that_is_not_there(workers: Workers, folder: Path) -> None:
    tasks = expand(GRID | {"edits": 6})
    lost = replace(tasks[0], host=CheckpointLayer(str(folder / "gone.safetensors"), "W"))
    with workers.client() as client, RunStore(folder) as store:
        bad, good = run_sweep([lost, tasks[1]], store, client)
        assert (bad.task, bad.run, bad.status) == (lost, "", "")
        assert bad.error.startswith("model: expected 'minilm', an existing folder or file")
        assert good.status == "complete"


def test_ctrl_c_and_the_same_command(workers: Workers, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (a_grid(folder), "--scheduler", workers.address, "--store", str(folder / "runs"))

    def interrupted(*found: Any, report: Callable[[Outcome], None]) -> list[Outcome]:
        def stop(outcome: Outcome) -> None:
            report(outcome)
            raise KeyboardInterrupt

        return run_sweep(*found, report=stop)

    with monkeypatch.context() as patch:
        patch.setattr("sphere_theory.streams.sweep.run_sweep", interrupted)
        ran = command("sweep", *arguments)
    assert ran.returncode == 130
    assert "interrupted; the same command goes on" in ran.stderr
    assert command("sweep", *arguments).returncode == 0
    ran = command("sweep", *arguments)
    assert "4 runs: 0 computed, 4 stored before, 0 failed" in ran.stdout


def test_the_driver_is_killed(folder: Path) -> None:
    """With workers of its own, which do not outlive it."""
    grid, runs = a_grid(folder), folder / "runs"
    call = [sys.executable, "-m", "sphere_theory.cli", "sweep", grid, "--store", str(runs), "--workers", "2"]
    call_env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(call, env=call_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as driver:
        wait_for(lambda: (runs / "runs.sqlite").exists())
        with RunStore(runs) as store:
            wait_for(lambda: "complete" in [info.status for info in store.runs()])
        driver.kill()
    done = subprocess.run(call, env=call_env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    computed, before = map(int, re.findall(r"4 runs: (\d) computed, (\d) stored before", done.stdout)[0])
    assert computed + before == 4
    assert before >= 1
    with RunStore(runs) as store:
        names = {
            info.id: task
            for info in store.runs()
            for task in expand(tomllib.loads(TEXT))
            if is_of(info, task)
        }
        check_stored([Outcome(task, run, "complete") for run, task in names.items()], store, folder)
        assert len(names) == 4


def is_of(info: RunInfo, task: Task) -> bool:
    config = info.config
    return (config["editor"], config["stream"]["seed"]) == (task.editor.record(), task.stream.seed)


# --- on a worker ---------------------------------------------------------------------------------


@pytest.fixture
def task() -> Task:
    return expand(GRID | {"edits": 30})[0]


def a_place(folder: Path, **changes: object) -> sweep._Place:
    return replace(sweep._Place(folder, environment()["source"], 0.0), **changes)


def test_a_worker_of_another_version(task: Task, folder: Path) -> None:
    with one_thread(), pytest.raises(ClusterError, match="workers with the driver's version") as caught:
        sweep._names([task], a_place(folder, source="other"))
    assert "source other" in str(caught.value)


def test_a_run_that_another_process_works_on_is_waited_for(
    task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "POLL", 0.02)
    place = a_place(folder)
    with one_thread():
        (run,) = sweep._names([task], place)
        with RunStore(place.scratch(run), journal="delete") as other, ThreadPoolExecutor(1) as pool:
            with other.files(run).locked():
                waiting = pool.submit(sweep._run_to_its_end, task, run, place)
                sleep(0.3)
                assert not waiting.done()
            waiting.result(timeout=30)
            assert other.run(run).status == "complete"


def test_what_does_not_fit_is_refused(task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)
    place = a_place(folder)
    with one_thread():
        (run,) = sweep._names([task], place)
        with pytest.raises(RangeError, match="needed, most of it for"):
            sweep._run_to_its_end(task, run, place)
    assert not place.scratch(run).exists()


def test_a_gpu_is_asked_for_by_its_label(task: Task) -> None:
    assert sweep._resources(replace(task, stream=replace(task.stream, device="cuda:1"))) == {"GPU": 1}
    assert sweep._resources(task) is None


def test_two_sweeps_of_one_store(folder: Path, workers: Workers) -> None:
    with RunStore(folder) as store, workers.client() as client, file_lock(folder / "sweep.lock"):
        refused = pytest.raises(InUseError, match=f"another sweep works on .*process {os.getpid()}")
        with refused:
            run_sweep([], store, client)


def test_wrong_use(folder: Path) -> None:
    ran = command("sweep", a_grid(folder), "--scheduler", "tcp://127.0.0.1:9", "--workers", "2")
    assert (ran.returncode, ran.stderr) == (
        2,
        "error: workers: expected none with --scheduler, which has its own, got 2\n",
    )
    assert command("sweep", str(folder / "none.toml")).returncode == 2
    assert command("sweep", a_grid(folder, TEXT + "ordres = []")).returncode == 2
