"""Runs that are killed for good, over and over, in processes of their own; started by test_runner.py.

`python crash_child.py FOLDER` makes FOLDER/whole (never killed), FOLDER/random (killed at 20 random moments)
and FOLDER/PLACE (killed at that place of the code), and prints what died where.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from unittest import mock

import torch
from small_layer import EDITOR, MEASURES, small_host

from sphere_theory import files
from sphere_theory.streams.database import Database
from sphere_theory.streams.run_files import RunFiles
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.store import RunStore

# So many edits that no series of lives comes to the end before the last kill.
EDITS, BATCH, KILLS = 480, 6, 20

# Where a process dies: what it is about to call, at which of those calls, and what they are about.
PLACES: dict[str, tuple[Any, str, int, str]] = {
    "before-the-run": (RunStore, "begin", 1, ""),
    "before-a-row": (RunStore, "record", 7, ""),
    "in-a-transaction": (Database, "transaction", 9, ""),
    "between-row-and-checkpoint": (RunFiles, "save_checkpoint", 3, ""),
    "checkpoint-half-written": (files, "_checksum", 3, "checkpoint-"),
    "checkpoint-not-renamed": (Path, "replace", 3, "checkpoint-"),
    "checkpoint-renamed": (files, "sync_folder", 3, "folder"),
    "older-checkpoint-not-dropped": (Path, "unlink", 2, "checkpoint-"),
    "before-an-update": (RunFiles, "save_update", 8, ""),
    "update-not-renamed": (Path, "replace", 8, "updates"),
    "before-the-end": (RunStore, "finish", 1, ""),
}


def run(folder: Path, report: Callable[[Any], None] = lambda row: None) -> None:
    memory, stream = small_host(EDITS)
    with RunStore(folder) as store:
        settings = {"batch": BATCH, "checkpoint_seconds": 0.0, "keep_updates": True}
        run_stream(memory, EDITOR, stream, MEASURES, store, report=report, **settings)


def child(work: Callable[[], None]) -> int:
    """A process that does the work and ends without a word."""
    if pid := os.fork():
        return pid
    try:
        work()
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os._exit(0)


def ended(pid: int) -> int:
    """How a process ended: 0, 1, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at_random(folder: Path, step: float, rng: random.Random) -> int:
    """One life: killed a random time after a random row."""
    reader, writer = os.pipe()
    pid = child(lambda: run(folder, lambda row: void(os.write(writer, b"."))))
    os.close(writer)
    for _ in range(rng.randrange(5)):
        os.read(reader, 1)
    sleep(rng.uniform(0, 2 * step))
    os.kill(pid, signal.SIGKILL)
    os.close(reader)
    return ended(pid)


def void(value: object) -> None:
    """Take a value and give none."""


def killed_at(folder: Path, place: str) -> int:
    owner, name, count, part = PLACES[place]
    found, calls = getattr(owner, name), 0

    def die_in_time(first: object) -> None:
        nonlocal calls
        calls += part in said(first)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        die_in_time(args[0])
        return found(*args, **kwargs)

    @contextmanager
    def deadly_inside(*args: Any) -> Generator[None]:
        with found(*args):
            try:
                yield
            finally:
                die_in_time(args[0])

    def work() -> None:
        with mock.patch.object(owner, name, deadly_inside if name == "transaction" else deadly):
            run(folder)

    return ended(child(work))


def said(argument: object) -> str:
    """The path that an argument is about, "folder" for one of a run."""
    path = Path(getattr(argument, "name", "")) if not isinstance(argument, Path) else argument
    return "folder" if path.is_dir() and path.name != "updates" else str(path)


def main(folder: Path) -> None:
    torch.set_num_threads(1)  # a fork takes no threads along
    start = perf_counter()
    assert ended(child(lambda: run(folder / "whole"))) == 0
    whole = perf_counter() - start
    rng = random.Random(1)
    lives = [killed_at_random(folder / "random", whole * BATCH / EDITS, rng) for _ in range(KILLS)]
    lives.append(ended(child(lambda: run(folder / "random"))))
    places = {}
    for place in PLACES:
        places[place] = [killed_at(folder / place, place), ended(child(lambda p=place: run(folder / p)))]
    seconds = {"whole": whole, "all": perf_counter() - start}
    sys.stdout.write(json.dumps({"random": lives, "places": places, "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
