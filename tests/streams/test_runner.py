"""A stream that is cut off anywhere and taken up ends with the bits of one that was not."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import crash_child
import numpy as np
import pytest
import torch
from small_layer import EDITOR, MEASURES, D, N, check_same, rows_of, small_host
from torch import Tensor

import sphere_theory
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.evoedit import EvoEdit
from sphere_theory.editing.finetune import FineTune
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.editing.prune import Prune
from sphere_theory.editing.registry import EDITORS
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import RangeError, ShapeError
from sphere_theory.files import StoreError
from sphere_theory.gram import GramTracker
from sphere_theory.streams import naming, runner
from sphere_theory.streams.run_files import DamagedCheckpointWarning, RunFiles
from sphere_theory.streams.runner import ResumedElsewhereWarning, Run, run_stream
from sphere_theory.streams.store import RunStore

BATCH = 6


def run_small(store: RunStore, editor: Editor = EDITOR, *, edits: int = 48, **settings: Any) -> Run:
    host = settings.pop("host", None) or small_host(edits)
    settings = {"batch": BATCH, "checkpoint_seconds": 0.0} | settings
    return run_stream(host[0], editor, host[1], settings.pop("measures", MEASURES), store, **settings)


# --- killed for good -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deaths(shared_folder: Path) -> tuple[Path, dict[str, Any]]:
    """Real processes, really killed; all in one call because an interpreter takes seconds to start."""
    folder = shared_folder
    done = subprocess.run(
        [sys.executable, "-W", "error", crash_child.__file__, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(Path(sphere_theory.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def found_runs(folder: Path, *names: str) -> list[Run]:
    memory, stream = small_host(crash_child.EDITS)
    settings = {"batch": crash_child.BATCH, "keep_updates": True}
    found = []
    for name in names:
        store = RunStore(folder / name)
        assert store.runs()[0].status == "complete"
        found.append(run_stream(memory, EDITOR, stream, MEASURES, store, report=refuse, **settings))
    return found


def refuse(row: object) -> None:
    raise AssertionError("a complete run was computed again")


def test_killed_at_twenty_random_moments(deaths: tuple[Path, dict[str, Any]]) -> None:
    folder, lives = deaths
    assert lives["random"] == [-9] * crash_child.KILLS + [0], (
        "expected every life but the last to end by SIGKILL"
    )
    whole, survivor = found_runs(folder, "whole", "random")
    check_same(survivor, whole)
    assert whole.edits == crash_child.EDITS
    assert torch.equal(survivor.weight_at(crash_child.EDITS), whole.weight)


@pytest.mark.parametrize("place", crash_child.PLACES)
def test_killed_at_a_place_of_the_code(deaths: tuple[Path, dict[str, Any]], place: str) -> None:
    folder, lives = deaths
    assert lives["places"][place] == [-9, 0]
    whole, survivor = found_runs(folder, "whole", place)
    check_same(survivor, whole)
    assert torch.equal(survivor.weight_at(crash_child.EDITS), whole.weight)
    assert not list((folder / place).rglob("*.partial")), "expected nothing half-written to stay"


# --- interrupted in this process -------------------------------------------------------------------


@dataclass(frozen=True)
class Failing(Editor):
    """Another editor, under its name, that is interrupted at one of its solves."""

    editor: Editor
    countdown: list[int]

    name: ClassVar[str] = "failing"

    def record(self) -> dict[str, Any]:
        return self.editor.record()

    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        step = self.editor.solve(memory, batch)
        self.countdown[0] -= 1
        if not self.countdown[0]:
            raise KeyboardInterrupt
        return step


def interrupted_report(count: int) -> Callable[[object], None]:
    left = [count]

    def report(row: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return report


def variants() -> dict[str, Editor]:
    found = {name: kind() for name, kind in EDITORS.items()}
    found["alphaedit"] = AlphaEdit(l2=1.0, threshold=1.0)
    found["evoedit"] = EvoEdit(l2=1.0, threshold=2.0)
    found["ft, clamped"] = FineTune(clamp=1e-3)
    found["prune that restrains"] = Prune(Memit(ridge=1e-3))
    found["sphere, released"] = Sphere.released(EDITOR)
    found["sphere, compensated"] = Sphere(EDITOR, compensate=True)
    return found


VARIANTS = variants()


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, torch.float64) for name in VARIANTS), *((name, torch.float32) for name in list(VARIANTS)[::3])],
)
def test_every_editor_goes_on_to_the_bit(name: str, dtype: torch.dtype, folder: Path) -> None:
    """Cut off in the report and in a solve, at moments of its own."""
    editor, rng = VARIANTS[name], random.Random(name)
    host = small_host(40, facts=30, dtype=dtype)
    settings = {"host": host, "keep_updates": True, "measures": replace(MEASURES, every=4)}
    with RunStore(folder / "whole") as store, RunStore(folder / "cut") as other:
        whole = run_small(store, editor, **settings)
        with pytest.raises(KeyboardInterrupt):
            run_small(other, editor, report=interrupted_report(rng.randint(1, 4)), **settings)
        with pytest.raises(KeyboardInterrupt):
            run_small(other, Failing(editor, [rng.randint(1, 3)]), **settings)
        assert other.runs()[0].status == "unfinished"
        run = run_small(other, editor, **settings)
        check_same(run, whole)
        assert run.edits == 40
        # Every batch of it, not the last alone.
        for edits in (0, 6, 18, 36, 40):
            assert torch.equal(run.weight_at(edits), whole.weight_at(edits))
        assert torch.equal(run.weight_at(40), run.weight)


@pytest.mark.parametrize("place", ["update", "every_batch", "step_bound", "save_checkpoint"])
def test_no_checkpoint_comes_from_a_position_half_advanced(
    place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracker moves within a step: an error behind that must leave no checkpoint of both halves."""
    owners = {
        "update": GramTracker,
        "every_batch": runner.Evaluator,
        "step_bound": runner,
        "save_checkpoint": RunFiles,
    }
    found, calls = getattr(owners[place], place), 0

    def broken(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        result = found(*args, **kwargs)
        if calls == 4:
            raise KeyboardInterrupt
        return result

    with RunStore(folder / "whole") as store, RunStore(folder / "cut") as other:
        whole = run_small(store)
        with monkeypatch.context() as patch:
            patch.setattr(owners[place], place, broken)
            with pytest.raises(KeyboardInterrupt):
                run_small(other, checkpoint_seconds=0.0 if place == "save_checkpoint" else 60.0)
        check_same(run_small(other), whole)


def test_a_layer_in_columns_is_the_same_run(folder: Path) -> None:
    """Weights that come transposed, as those of a Conv1D, are edited by rows, as a checkpoint holds them."""
    memory, stream = small_host()
    turned = LayerMemory(memory.W.T.contiguous().T, memory.second_moment)
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        whole = run_small(store, host=(memory, stream))
        with pytest.raises(KeyboardInterrupt):
            run_small(other, host=(turned, stream), report=interrupted_report(4))
        check_same(run_small(other, host=(turned, stream)), whole)


def test_layers_of_numpy(folder: Path) -> None:
    memory, stream = small_host()
    arrays = LayerMemory(memory.W.numpy(), np.asarray(memory.second_moment))
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        check_same(run_small(other, host=(arrays, stream)), run_small(store))


def test_a_complete_run_is_not_computed_again(folder: Path) -> None:
    with RunStore(folder) as store:
        whole = run_small(store)
        check_same(run_small(store, report=refuse), whole)
        # How often checkpoints are written is no part of its name.
        check_same(run_small(store, report=refuse, checkpoint_seconds=60.0), whole)
        assert len(store.runs()) == 1


def test_resume_false_begins_afresh(folder: Path) -> None:
    seen: list[object] = []
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        whole = run_small(store, keep_updates=True)
        before = rows_of(store, whole.id)
        again = run_small(store, keep_updates=True, resume=False, report=seen.append)
        assert len(seen) == 8
        assert rows_of(store, again.id) == before
        check_same(again, run_small(other, keep_updates=True))


@pytest.mark.parametrize("step", range(1, 6))
def test_forgetting_that_is_cut_off_loses_no_rows(
    step: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far `forget` came, what is left runs to the same end."""
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        whole = run_small(store)
        with pytest.raises(KeyboardInterrupt):
            run_small(other, report=interrupted_report(7))
        unlink, calls = Path.unlink, 0

        def broken(path: Path, missing_ok: bool = False) -> None:
            nonlocal calls
            calls += 1
            if calls == step:
                raise KeyboardInterrupt
            unlink(path, missing_ok)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", broken)
            with suppress(KeyboardInterrupt):
                other.forget(whole.id)
        check_same(run_small(other), whole)


# --- damage ----------------------------------------------------------------------------------------


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


DAMAGE = {"a bit": flipped, "its end": shortened, "all of it": lambda path: path.write_bytes(b"")}


def checkpoints(store: RunStore) -> list[Path]:
    """Newest first."""
    return sorted(store.path.rglob("checkpoint-*.safetensors"), reverse=True)


@pytest.mark.parametrize("complete", [False, True], ids=["unfinished", "complete"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over(damage: str, complete: bool, folder: Path) -> None:
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        whole = run_small(store)
        if complete:
            run_small(other)
        else:
            with pytest.raises(KeyboardInterrupt):
                run_small(other, report=interrupted_report(7))
        newest = checkpoints(other)[0]
        DAMAGE[damage](newest)
        with pytest.warns(DamagedCheckpointWarning, match=f"{newest.name} is damaged; using the one before"):
            run = run_small(other)
        check_same(run, whole)
        assert len(checkpoints(other)) == 2


def test_all_checkpoints_damaged(folder: Path) -> None:
    with RunStore(folder) as store:
        with pytest.raises(KeyboardInterrupt):
            run_small(store, report=interrupted_report(7))
        found = checkpoints(store)
        for path in found:
            flipped(path)
        rows = rows_of(store, store.runs()[0].id)
        for _ in range(2):
            with (
                pytest.warns(DamagedCheckpointWarning),
                pytest.raises(StoreError, match=r"all checkpoints of run \w+ in .* are damaged") as caught,
            ):
                run_small(store)
            assert "\n" not in str(caught.value)
        assert rows_of(store, store.runs()[0].id) == rows
        run = run_small(store, resume=False)
        assert run.status == "complete"


def test_a_damaged_checkpoint_does_not_push_out_a_whole_one(folder: Path) -> None:
    """Two whole ones are kept again as soon as there are two."""
    with RunStore(folder) as store:
        with pytest.raises(KeyboardInterrupt):
            run_small(store, edits=96, report=interrupted_report(9))
        flipped(checkpoints(store)[0])
        with pytest.warns(DamagedCheckpointWarning), pytest.raises(KeyboardInterrupt):
            run_small(store, edits=96, report=interrupted_report(3))
        assert len(checkpoints(store)) == 2
        assert not store.files(store.runs()[0].id).is_damaged()


def test_a_run_whose_last_checkpoint_is_gone_says_so(folder: Path) -> None:
    with RunStore(folder) as store:
        run = run_small(store)
        checkpoints(store)[0].unlink()
        for _ in range(2):
            with pytest.raises(StoreError, match="has lost its last checkpoint; run it afresh"):
                _ = run.weight
            for path in checkpoints(store):
                path.unlink()


# --- updates ----------------------------------------------------------------------------------------


class Watched:
    """An editor's weights as the run itself had them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen: list[Tensor] = []
        found = LayerMemory.after

        def after(memory: LayerMemory, step: Step, edits: int) -> LayerMemory:
            later = found(memory, step, edits)
            self.seen.append(later.W.clone())
            return later

        patch.setattr(LayerMemory, "after", after)


@pytest.mark.parametrize("name", ["memit-seq", "evoedit", "rect", "mose", "ft", "sphere, released", "prune"])
def test_weights_of_every_batch_come_back(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    with RunStore(folder) as store:
        run = run_small(store, VARIANTS[name], edits=45, keep_updates=True)
        assert len(watched.seen) == 8
        for index, weight in enumerate(watched.seen):
            assert torch.equal(run.weight_at(min((index + 1) * BATCH, 45)), weight)
        assert torch.equal(run.weight_at(0), small_host(45)[0].W)
        for edits, expected in (
            (-1, "≥ 0 and ≤ 45, got -1"),
            (46, "≥ 0 and ≤ 45, got 46"),
            (7, "a multiple of the batch, 6, got 7"),
        ):
            with pytest.raises(RangeError, match=f"edits: expected .*{expected}"):
                run.weight_at(edits)


def test_without_updates_there_is_nothing_to_replay(folder: Path) -> None:
    with RunStore(folder) as store:
        run = run_small(store)
        with pytest.raises(StoreError, match="has no whole update of batch 0; run it with keep_updates"):
            run.weight_at(6)
        kept = run_small(store, keep_updates=True)
        assert kept.id != run.id
        (update,) = (folder / kept.id / "updates").glob("00000003-*")
        flipped(update)
        with pytest.raises(StoreError, match="has no whole update of batch 3"):
            kept.weight_at(48)
        assert kept.weight_at(18).shape == (N, D)


# --- collapse ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explosive(Editor):
    """Blows the weights up at one batch."""

    at: int
    factor: str
    name: ClassVar[str] = "explosive"

    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        step = EDITOR.solve(memory, batch)
        if memory.edits < self.at:
            return step
        return Step(memory.W * float(self.factor), step.state)


FACTORS = {"overflow": "1e308", "infinity": "inf", "NaN": "nan", "too long": "1e200", "zero": "-1"}


@pytest.mark.parametrize("how", FACTORS)
def test_weights_that_are_lost_are_a_result(how: str, folder: Path) -> None:
    editor = Explosive(18, FACTORS[how])
    with RunStore(folder) as store:
        run = run_small(store, editor, checkpoint_seconds=60.0)
        assert run.status.startswith("collapsed at edit 18: ")
        assert (run.edits, len(run.frame())) == (18, 3)
        again = run_small(store, editor, report=refuse)
        check_same(again, run)
        sound = run_small(store, edits=48, batch=BATCH)
        assert torch.isfinite(run.weight).all()
        assert rows_of(store, run.id) == rows_of(store, sound.id)[:3]


def test_neurons_that_meet_do_not_end_a_run(folder: Path) -> None:
    """The energy is infinite then, which is a number to report."""

    @dataclass(frozen=True)
    class Merging(Editor):
        name: ClassVar[str] = "merging"

        def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
            delta = torch.zeros_like(memory.W)
            delta[1] = memory.W[0] - memory.W[1]
            return Step(delta)

    with RunStore(folder) as store:
        run = run_small(store, Merging(), edits=18)
        assert run.status == "complete"
        assert (run.frame()["energy"] == math.inf).all()


@dataclass(frozen=True)
class Misused(Editor):
    name: ClassVar[str] = "misused"

    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        raise RangeError("values", "no column of zeros", "1")


def test_wrong_use_of_an_editor_is_no_collapse(folder: Path) -> None:
    with RunStore(folder) as store:
        with pytest.raises(RangeError, match="values: expected no column of zeros"):
            run_small(store, Misused())
        assert store.runs()[0].status == "unfinished"


# --- what a run may be asked -----------------------------------------------------------------------


def test_a_batch_larger_than_the_stream_takes_all_of_it(folder: Path) -> None:
    with RunStore(folder) as store:
        run = run_small(store, batch=100)
        assert (run.status, run.edits, len(run.frame())) == ("complete", 48, 1)
        assert run.weight.shape == (N, D)


def test_other_code_is_another_run_and_other_threads_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunStore(folder) as store:
        with pytest.raises(KeyboardInterrupt):
            run_small(store, report=interrupted_report(4))
        (begun,) = store.runs()
        before = rows_of(store, begun.id)
        with monkeypatch.context() as patch:
            patch.setattr(naming, "code_hash", lambda *roots: "0123456789abcdef")
            other = run_small(store)
        assert (other.status, other.id != begun.id) == ("complete", True)
        assert rows_of(store, begun.id) == before
        with monkeypatch.context() as patch:
            elsewhere = runner.environment() | {"threads": 99, "source": "of no consequence"}
            patch.setattr(runner, "environment", lambda: elsewhere)
            with pytest.warns(ResumedElsewhereWarning, match="threads .* → 99$"):
                assert run_small(store).id == begun.id


@pytest.mark.usefixtures("unchecked")
def test_layers_that_were_edited_are_refused(folder: Path) -> None:
    memory, stream = small_host()
    edited = EDITOR.apply(memory, stream.batch(0, 6))
    with RunStore(folder) as store:
        for bad in (edited, LayerMemory(edited.W, pretrained=memory.W), LayerMemory(memory.W, edits=3)):
            with pytest.raises(RangeError, match="memory: expected a layer before any edit"):
                run_small(store, host=(bad, stream))
        for name in ("keys", "preserved", "paraphrases"):
            bad_stream = replace(stream, **{name: getattr(stream, name)[:, 1:]})
            with pytest.raises(ShapeError, match=rf"stream.{name}: expected shape \(any, 24\)"):
                run_small(store, host=(memory, bad_stream))
        with pytest.raises(ShapeError, match=r"stream.values: expected shape \(any, 16\)"):
            run_small(store, host=(memory, replace(stream, values=stream.values[:, 1:])))
        assert not store.runs(), "expected nothing to be stored of a call that was refused"


def test_another_process_on_the_run(folder: Path) -> None:
    """A process of its own holds the lock; once it is dead the run goes on."""
    with RunStore(folder) as store:
        with pytest.raises(KeyboardInterrupt):
            run_small(store, report=interrupted_report(4))
        (info,) = store.runs()
        code = (
            "import fcntl, os, sys\n"
            "held = os.open(sys.argv[1], os.O_RDWR)\n"
            "fcntl.flock(held, fcntl.LOCK_EX)\n"
            "os.ftruncate(held, 0)\n"
            "os.write(held, b'process %d' % os.getpid())\n"
            "print('held', flush=True)\n"
            "sys.stdin.read()"
        )
        lock = str(folder / info.id / "lock")
        with subprocess.Popen(
            [sys.executable, "-c", code, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            expected = rf"run {info.id} .* by another process \(process {holder.pid}\)"
            for resume in (True, False):
                with pytest.raises(StoreError, match=expected):
                    run_small(store, resume=resume)
            assert store.run(info.id).edits == 24
            holder.kill()
        assert run_small(store).status == "complete"
        assert os.path.exists(lock)


@pytest.mark.gpu
def test_a_run_on_cuda_goes_on_to_the_bit(cuda: torch.device, folder: Path) -> None:
    memory, stream = small_host()
    host = (LayerMemory(memory.W.to(cuda), memory.second_moment.to(cuda)), stream)
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        whole = run_small(store, host=host, keep_updates=True)
        with pytest.raises(KeyboardInterrupt):
            run_small(other, host=host, keep_updates=True, report=interrupted_report(4))
        run = run_small(other, host=host, keep_updates=True)
        check_same(run, whole)
        assert torch.equal(run.weight_at(48).cpu(), run.weight)
