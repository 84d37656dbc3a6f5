"""Run a stream of edits: solve, apply, measure, store; resume where it was cut off.

One batch depends on the last through the checkpointed tensors alone, so a run that was killed and taken up
ends with the same bits as one that was not.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_count, as_real, full_precision
from sphere_theory.editing.editor import Editor, as_editor
from sphere_theory.editing.problem import LayerMemory, Step
from sphere_theory.errors import InputError, NonFiniteError, RangeError, ZeroRowError
from sphere_theory.files import StoreError
from sphere_theory.gram import GramTracker
from sphere_theory.hosts.base import Edits
from sphere_theory.streams.entries import COMPLETE, UNFINISHED, collapsed, environment
from sphere_theory.streams.measures import Evaluator, Measures, Row, step_bound
from sphere_theory.streams.naming import run_config
from sphere_theory.streams.position import WEIGHT, Position, is_final, unedited
from sphere_theory.streams.run_files import RunFiles
from sphere_theory.streams.store import RunStore
from sphere_theory.updates import LowRankUpdate, add_update

if TYPE_CHECKING:
    import pandas as pd

# What a run is computed with that may change its last bits.
_BITS = ("python", "numpy", "torch", "threads", "processor")


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
            else (0, {WEIGHT: self.pretrained.cpu()})
        )
        if found is None or found[0] != math.ceil(self.edits / self.batch):
            message = f"run {self.id} in {self.store.path} has lost its last checkpoint; run it afresh"
            raise StoreError(message)
        return found[1][WEIGHT]

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


def run_stream(
    memory: LayerMemory,
    editor: Editor,
    stream: Edits,
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

    A run is named by its configuration, the data's hash and that of the code that computes it. The same call
    again takes it up where it was cut off, by a kill at any moment, too, and ends with the same bits; a
    complete one is returned as it is. Non-finite weights end a run as "collapsed at edit N", a result.

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
        The store cannot be read or written, or another process works on the run; what is stored stays as it
        is.
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
    memory = unedited(memory)
    W0 = memory.W
    stream = stream.fitted(W0)
    config = run_config(memory, editor, stream, measures, batch=batch, keep_updates=keep_updates)
    info = store.begin(config, environment())
    files = store.files(info.id)
    with files.locked():
        if not resume:
            store.forget(info.id)
            info = store.begin(config, environment())
        info = store.run(info.id)  # as it is now that nobody else works on it
        if info.status == UNFINISHED or files.is_damaged():
            _warn_elsewhere(info.environment, store, info.id)
            run = _Runner(
                editor, stream, Evaluator.prepare(measures, stream, memory), store, info.id, batch, report
            )
            run.go(memory, keep_updates, checkpoint_seconds)
            info = store.run(info.id)
        return Run(store, info.id, info.status, info.edits, W0, batch)


def _warn_elsewhere(begun: Row, store: RunStore, id: str) -> None:
    """The run's code is part of its name; what it runs on is not, and may change its last bits."""
    now = environment()
    changed = [f"{name} {begun[name]} → {now[name]}" for name in _BITS if begun[name] != now[name]]
    if changed:
        told = f"run {id} in {store.path} goes on elsewhere: {', '.join(changed)}"
        warnings.warn(told, ResumedElsewhereWarning, stacklevel=3)


@dataclass(frozen=True, eq=False)
class _Runner:
    editor: Editor
    stream: Edits
    gauge: Evaluator
    store: RunStore
    id: str
    batch: int
    report: Callable[[Row], None]

    def go(self, memory: LayerMemory, keep_updates: bool, checkpoint_seconds: float) -> None:
        """From the newest checkpoint, or the beginning, to the end."""
        files, here = self.store.files(self.id), Position(memory, GramTracker(memory.W))
        if (found := files.load_checkpoint()) is not None:
            if is_final(found[1]):  # that it ended was all that was left to say
                self.store.finish(self.id, COMPLETE)
                return
            here = here.restored(*found)
        keeper = _Checkpointer(files, checkpoint_seconds, here.batches)
        while here.memory.edits < len(self.stream):
            try:
                here = self._step(here, keep_updates)
            except _Collapse as collapse:
                # Refused updates leave the tracker as it was: `here` is whole.
                keeper.keep(here)
                self.store.finish(self.id, collapsed(here.memory.edits, str(collapse)))
                return
            if here.memory.edits < len(self.stream):
                keeper.offer(here)
        files.save_checkpoint(here.batches, here.final_tensors())
        self.store.finish(self.id, COMPLETE)

    def _step(self, here: Position, keep_updates: bool) -> Position:
        """The position after one more batch, its row stored. The tracker of `here` moves on with it."""
        before = here.memory
        start, stop = before.edits, min(before.edits + self.batch, len(self.stream))
        clock = perf_counter()
        with _collapsing(NonFiniteError):
            step = _by_rows(self.editor.solve(before, self.stream.batch(start, stop, before.W)))
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
        return Position(after, tracker, path_bound, here.batches + 1)


class _Collapse(Exception):
    """The weights are no numbers any more, or rows of them have no direction that could be measured."""


@contextmanager
def _collapsing(*signs: type[InputError]) -> Generator[None]:
    try:
        yield
    except signs as error:
        raise _Collapse(str(error)) from error


class _Checkpointer:
    """Writes checkpoints so often that a kill costs little, and so rarely that they cost little."""

    def __init__(self, files: RunFiles, seconds: float, batches: int) -> None:
        self.files, self.seconds, self.batches = files, seconds, batches
        self.due = monotonic() + seconds

    def offer(self, here: Position) -> None:
        if monotonic() >= self.due:
            self.keep(here)

    def keep(self, here: Position) -> None:
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
