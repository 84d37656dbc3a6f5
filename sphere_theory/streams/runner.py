"""Run a stream of edits: solve, apply, measure, store; resume where it was cut off.

One batch depends on the last through the checkpointed tensors alone, so a run that was killed and taken up
ends with the same bits as one that was not.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_count, as_matrix, as_real, full_precision
from sphere_theory.editing.problem import Editor, LayerMemory, Step, add_update, as_editor
from sphere_theory.errors import InputError, NonFiniteError, RangeError, ZeroRowError
from sphere_theory.gram import GramTracker
from sphere_theory.streams.files import StoreError
from sphere_theory.streams.measures import Gauge, Measures, Row, step_bound
from sphere_theory.streams.run_files import RunFiles
from sphere_theory.streams.sources import EditStream
from sphere_theory.streams.store import RunStore, environment
from sphere_theory.updates import LowRankUpdate

if TYPE_CHECKING:
    import pandas as pd

COMPLETE, UNFINISHED = "complete", "unfinished"

# Names of tensors in a checkpoint: the runner's own, the tracker's, and the editor's state.
_WEIGHT, _RUNNING, _TRACKER, _STATE = "weight", "running", "tracker.", "state."


class ResumedElsewhereWarning(UserWarning):
    """A run goes on under another number of threads or another library version: its last bits may differ."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run in a store.

    Attributes
    ----------
    store
        Where it is.
    id
        Its name.
    status
        "complete" or "collapsed at edit N: WHY", N edits being those made before the weights were lost.
    edits
        Edits made.
    pretrained
        W0, the weights before the first edit.
    batch
        Edits a batch.
    """

    store: RunStore
    id: str
    status: str
    edits: int
    pretrained: Float[Tensor, "n d"]
    batch: int

    def frame(self) -> pd.DataFrame:
        """One row a batch, see `RunStore.frame`."""
        return self.store.frame(self.id)

    @property
    def weight(self) -> Float[Tensor, "n d"]:
        """The weights after the last edit, on the CPU, from its checkpoint; `StoreError` if that is gone."""
        found = (
            self.store.files(self.id).load_checkpoint()
            if self.edits
            else (0, {_WEIGHT: self.pretrained.cpu()})
        )
        if found is None or found[0] != math.ceil(self.edits / self.batch):
            message = f"run {self.id} in {self.store.path} has lost its last checkpoint; run it afresh"
            raise StoreError(message)
        return found[1][_WEIGHT]

    @full_precision()
    def weight_at(self, edits: int) -> Float[Tensor, "n d"]:
        """The weights after some edits, replayed from the stored updates: the bits that the run had.

        Parameters
        ----------
        edits
            At most those made; a whole number of batches, or all.

        Returns
        -------
        Tensor
            (n, d), on the device of the run.

        Raises
        ------
        RangeError
            Another number.
        StoreError
            The run did not keep its updates.
        """
        edits = as_count(edits, "edits", low=0, high=self.edits)
        if edits % self.batch and edits != self.edits:
            raise RangeError("edits", f"a multiple of the batch, {self.batch}", str(edits))
        W, files = self.pretrained, self.store.files(self.id)
        for index in range(math.ceil(edits / self.batch)):
            tensors = files.load_update(index)
            W = add_update(W, _as_update({name: tensor.to(W.device) for name, tensor in tensors.items()}))
        return W


def _as_update(tensors: Mapping[str, Tensor]) -> LowRankUpdate | Tensor:
    return tensors["dense"] if "dense" in tensors else LowRankUpdate(tensors["left"], tensors["right"])


def _as_tensors(update: LowRankUpdate | Tensor) -> dict[str, Tensor]:
    if isinstance(update, LowRankUpdate):
        left, right = update.factors()
        return {"left": left.contiguous(), "right": right.contiguous()}
    return {"dense": update.contiguous()}


def _by_rows(step: Step) -> Step:
    """The step with every tensor in the layout that files keep: products round by layout."""
    state = {name: tensor.contiguous() for name, tensor in step.state.items()}
    return Step(_as_update(_as_tensors(step.update)), state, step.seconds)


@dataclass(frozen=True, eq=False)
class _Position:
    """Where a run is: all that the next batch depends on."""

    memory: LayerMemory
    tracker: GramTracker[Tensor]
    path_bound: float  # Σ K*_t‖ΔW_t‖_F
    batches: int

    def tensors(self) -> dict[str, Tensor]:
        # The tracker's weights are the layer's.
        state = self.tracker.state()
        tracked = {_TRACKER + name: tensor for name, tensor in state.items() if name != _WEIGHT}
        remembered = {_STATE + name: tensor for name, tensor in self.memory.state.items()}
        running = torch.tensor([self.path_bound, self.memory.edits], dtype=torch.float64)
        return {_WEIGHT: self.memory.W, _RUNNING: running} | tracked | remembered

    def restored(self, batches: int, tensors: Mapping[str, Tensor]) -> _Position:
        """The position that a checkpoint holds, of the run whose beginning this is."""
        W = self.memory.W
        state = {
            name.removeprefix(_STATE): tensor.to(W.device)
            for name, tensor in tensors.items()
            if name.startswith(_STATE)
        }
        path_bound, edits = tensors[_RUNNING].tolist()
        tracked = {
            name.removeprefix(_TRACKER): tensor
            for name, tensor in tensors.items()
            if name.startswith(_TRACKER)
        }
        self.tracker.restore({_WEIGHT: tensors[_WEIGHT], **tracked})
        memory = replace(self.memory, weight=tensors[_WEIGHT].to(W.device), state=state, edits=int(edits))
        return _Position(memory, self.tracker, path_bound, batches)


def run_stream(
    memory: LayerMemory,
    editor: Editor,
    stream: EditStream,
    measures: Measures,
    store: RunStore,
    *,
    batch: int = 100,
    resume: bool = True,
    keep_updates: bool = False,
    checkpoint_seconds: float = 10.0,
    report: Callable[[Row], None] = lambda row: None,
) -> Run:
    """Edit a layer with a stream, one batch after the other, and measure along the way.

    A run is named by its configuration and the data's hash. The same call again takes it up where it was cut
    off, by a kill at any moment, too, and ends with the same bits; a complete one is returned as it is.
    Non-finite weights end a run as "collapsed at edit N", which is a result.

    Parameters
    ----------
    memory
        The layer before any edit; its device is where the run computes.
    editor
        How to edit.
    stream
        What to edit.
    measures
        What to measure, and how often.
    store
        Where to keep it.
    batch
        Edits a batch; the last one may be smaller. Default 100.
    resume
        False: drop what an earlier call left of this run.
    keep_updates
        Keep ΔW of every batch, so that `Run.weight_at` can go back. Default False.
    checkpoint_seconds
        Seconds between two checkpoints: what a kill can cost. Default 10.
    report
        Told every row as soon as it is stored.

    Returns
    -------
    Run
        Complete or collapsed.

    Raises
    ------
    StoreError
        The store cannot be read or written, another process works on the run, or the run was begun with
        other code; what is stored stays as it is.
    ShapeError, DTypeError, RangeError
        Stream, layer and numbers that do not fit each other, or a layer that was edited before.
    SingularError
        The editor cannot solve with this layer's second moment.

    Warns
    -----
    ResumedElsewhereWarning
        The run goes on under another number of threads or another library version.
    """
    as_editor(editor, "editor")
    as_count(batch, "batch", low=1)
    as_real(checkpoint_seconds, "checkpoint_seconds", low=0)
    memory = _unedited(memory)
    W0 = memory.W
    stream = _fitting(stream, W0)
    config = run_config(memory, editor, stream, measures, batch=batch, keep_updates=keep_updates)
    info = store.begin(config, environment())
    files = store.files(info.id)
    with files.locked():
        if not resume:
            store.forget(info.id)
            info = store.begin(config, environment())
        info = store.run(info.id)  # as it is now that nobody else works on it
        if info.status == UNFINISHED or files.is_damaged():
            _require_same_code(info.environment, store, info.id)
            run = _Runner(
                editor, stream, Gauge.prepare(measures, stream, memory), store, info.id, batch, report
            )
            run.go(memory, keep_updates, checkpoint_seconds)
            info = store.run(info.id)
        return Run(store, info.id, info.status, info.edits, W0, batch)


def _unedited(memory: LayerMemory) -> LayerMemory:
    """The layer by rows, as checkpoints will hold it."""
    if memory.edits or memory.state or not torch.equal(memory.W, memory.W0):
        raise RangeError("memory", "a layer before any edit", f"one with {memory.edits} edits")
    W = memory.W.contiguous()
    return replace(memory, weight=W, pretrained=W)


def _fitting(stream: EditStream, W: Float[Tensor, "n d"]) -> EditStream:
    n, d = W.shape
    for name in ("keys", "preserved", "paraphrases"):
        as_matrix(getattr(stream, name), f"stream.{name}", columns=d)
    as_matrix(stream.values, "stream.values", columns=n)
    return stream.to(W.device, W.dtype)


def run_config(
    memory: LayerMemory,
    editor: Editor,
    stream: EditStream,
    measures: Measures,
    *,
    batch: int = 100,
    keep_updates: bool = False,
) -> Row:
    """What the result of a run depends on: `run_id` of it is the run's name.

    Parameters
    ----------
    memory, editor, stream, measures, batch, keep_updates
        As for `run_stream`.

    Returns
    -------
    dict
        Plain values.

    Raises
    ------
    ShapeError, DTypeError, RangeError
        As for `run_stream`.
    """
    memory = _unedited(memory)
    stream = _fitting(stream, memory.W)
    return {
        "editor": editor.record(),
        "stream": dict(stream.record) | {"sha256": stream.digest},
        "layer": _layer_digest(memory),
        "shape": list(memory.W.shape),
        "measures": measures.record(),
        "batch": batch,
        "dtype": str(memory.W.dtype).removeprefix("torch."),
        "device": memory.W.device.type,
        "keep_updates": keep_updates,
    }


def _layer_digest(memory: LayerMemory) -> str:
    """SHA-256 of the weights and of what they are to preserve."""
    found = hashlib.sha256()
    for matrix in (memory.weight, memory.second_moment):
        tensor = torch.zeros((1, 1)) if matrix is None else as_matrix(matrix, "memory")
        found.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
        for block in tensor.split(1024):
            found.update(block.contiguous().cpu().numpy())
    return found.hexdigest()


def _require_same_code(begun: Row, store: RunStore, id: str) -> None:
    now = environment()
    if begun["source"] != now["source"]:
        message = (
            f"run {id} in {store.path} was begun with other code (source {begun['source']}, now "
            f"{now['source']}): its rows would not belong together; begin it afresh with resume=False, or go "
            "back to that version"
        )
        raise StoreError(message)
    if begun != now:
        changed = ", ".join(f"{name} {begun[name]} → {now[name]}" for name in now if begun[name] != now[name])
        warnings.warn(f"run {id} goes on elsewhere: {changed}", ResumedElsewhereWarning, stacklevel=3)


@dataclass(frozen=True, eq=False)
class _Runner:
    editor: Editor
    stream: EditStream
    gauge: Gauge
    store: RunStore
    id: str
    batch: int
    report: Callable[[Row], None]

    def go(self, memory: LayerMemory, keep_updates: bool, checkpoint_seconds: float) -> None:
        """From the newest checkpoint, or the beginning, to the end."""
        files, here = self.store.files(self.id), _Position(memory, GramTracker(memory.W), 0.0, 0)
        if (found := files.load_checkpoint()) is not None:
            if _RUNNING not in found[1]:  # weights of the end: that it ended was all that was left to say
                self.store.finish(self.id, COMPLETE)
                return
            here = here.restored(*found)
        keeper = _Keeper(files, checkpoint_seconds, here.batches)
        while here.memory.edits < len(self.stream):
            try:
                here = self._step(here, keep_updates)
            except _Collapse as collapse:
                # Refused updates leave the tracker as it was: `here` is whole.
                keeper.keep(here)
                self.store.finish(self.id, f"collapsed at edit {here.memory.edits}: {collapse}")
                return
            if here.memory.edits < len(self.stream):
                keeper.offer(here)
        # No batch comes after it: the weights are all that anybody will ask for.
        files.save_checkpoint(here.batches, {_WEIGHT: here.memory.W})
        self.store.finish(self.id, COMPLETE)

    def _step(self, here: _Position, keep_updates: bool) -> _Position:
        """The position after one more batch, its row stored. The tracker of `here` moves on with it."""
        before = here.memory
        start, stop = before.edits, min(before.edits + self.batch, len(self.stream))
        clock = perf_counter()
        with _collapsing(NonFiniteError):
            step = _by_rows(self.editor.solve(before, self.stream.batch(start, stop)))
            after = before.after(step, stop - start)
        solved = perf_counter()
        with _collapsing(NonFiniteError, ZeroRowError, RangeError):
            tracker = _tracked(here.tracker, step.update, after.W)
        row = self.gauge.every_batch(before, after, tracker)
        path_bound = math.nan
        if self.gauge.measures.certificate:
            path_bound = here.path_bound + step_bound(before.W, step.update)
        row["path_bound"] = path_bound
        if self.gauge.due(here.batches, last=stop == len(self.stream)):
            row |= self.gauge.now_and_then(before, after, step.update)
        told = dict(step.seconds)
        seconds = {"solve": solved - clock - sum(told.values()), **told, "measure": perf_counter() - solved}
        if keep_updates:
            self.store.files(self.id).save_update(here.batches, _as_tensors(step.update))
        self.store.record(self.id, here.batches, row, seconds)
        self.report(
            {"batch": here.batches} | row | {f"seconds_{name}": value for name, value in seconds.items()}
        )
        return _Position(after, tracker, path_bound, here.batches + 1)


class _Collapse(Exception):
    """The weights are no numbers any more, or rows of them have no direction that could be measured."""


@contextmanager
def _collapsing(*signs: type[InputError]) -> Generator[None]:
    try:
        yield
    except signs as error:
        raise _Collapse(str(error)) from error


class _Keeper:
    """Writes checkpoints so often that a kill costs little, and so rarely that they cost little."""

    def __init__(self, files: RunFiles, seconds: float, batches: int) -> None:
        self.files, self.seconds, self.batches = files, seconds, batches
        self.due = monotonic() + seconds

    def offer(self, here: _Position) -> None:
        if monotonic() >= self.due:
            self.keep(here)

    def keep(self, here: _Position) -> None:
        if here.batches > self.batches:
            start = monotonic()
            self.files.save_checkpoint(here.batches, here.tensors())
            # Saving takes at most a tenth of the time, however large the layer.
            self.due = monotonic() + max(self.seconds, 9 * (monotonic() - start))
            self.batches = here.batches


def _tracked(
    tracker: GramTracker[Tensor], update: LowRankUpdate | Tensor, W: Float[Tensor, "n d"]
) -> GramTracker[Tensor]:
    """The tracker after an update: kept current if that is cheaper than starting it again."""
    if isinstance(update, LowRankUpdate) and 2 * update.rank < len(W):
        tracker.update(*update.factors(), weight=W)
        return tracker
    return GramTracker(W)
