"""What operations cost: time and memory at measured sizes, and along a stream.

Every row is one timed repetition of one operation at one size, so that intervals come from repetitions. These
are the only experiments whose rows are timings: they are run alone, when nothing else is.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_choice, as_count, as_real
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.energy import energy
from sphere_theory.experiments.base import Experiment
from sphere_theory.experiments.cost_counts import cycle, null_dimensions
from sphere_theory.gram import GramTracker
from sphere_theory.hosts.synthetic import random_weight
from sphere_theory.projection import SparseProjector
from sphere_theory.spectrum import principal_space
from sphere_theory.updates import LowRankUpdate

ETA, ALPHA = 0.5, 0.8

# d/n of the shapes along which n and d grow together.
ASPECT = 3.5

_MOVED = 0.01  # size of the made edits that a tracker follows, beside rows of length 1

# Begins a repetition: calls to be timed, one after the other, with whatever lies between them untimed.
Calls = Callable[[], Iterator[Callable[[], object]]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """An operation with its inputs.

    Attributes
    ----------
    calls
        Begins a repetition.
    rank
        As in `Size`.
    """

    calls: Calls
    rank: int = 0


@dataclass(frozen=True)
class Cost(Experiment):
    """Time and peak memory of one operation at one size.

    Parameters
    ----------
    operation
        One of `OPERATIONS`.
    n, d
        Shape of W, float32.
    batch
        Edits a batch, b. Default 100; operations on W alone have none to look at.
    decay
        Columns of W are Gaussian with variance k^(−decay). Default 0: a flat spectrum, the hardest for the
        randomised route.
    repeats
        Timed repetitions, after one that is not timed. Default 3.
    seed
        Of the inputs.

    Raises
    ------
    RangeError
        An unknown operation or a number outside its range.
    """

    operation: str
    n: int
    d: int
    batch: int = 100
    decay: float = 0.0
    repeats: int = 3
    seed: int = 0

    name: ClassVar[str] = "cost"
    alone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self, OPERATIONS, repeats=3)
        as_real(self.decay, "decay", low=0)

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        """Run it.

        Parameters
        ----------
        folder
            Not looked at.

        Returns
        -------
        list of dict
            One for each repetition: "seconds", the mean of its calls; "peak_bytes", by how much the resident
            memory of this process grew at most, NaN where the system does not tell; "calls", "rank",
            "threads", "processor".
        """
        prepared = OPERATIONS[self.operation](self)
        machine, found = _machine(), []
        _repetition(prepared)
        for repeat in range(self.repeats):
            peak = _peak_meter()
            seconds = _repetition(prepared)
            found.append({
                "repeat": repeat,
                "seconds": sum(seconds) / len(seconds),
                "peak_bytes": peak(),
                "calls": len(seconds),
                "rank": prepared.rank,
                **machine,
            })
        return found


@dataclass(frozen=True)
class StreamCost(Experiment):
    """Time of every step along a stream, and the memory that it leaves for the next.

    Parameters
    ----------
    operation
        One of `STREAMED`.
    n, d
        Shape of W, float32.
    batch, batches
        Edits a batch, and how many batches.
    seed
        Of the inputs.

    Raises
    ------
    RangeError
        An unknown operation or a number outside its range.
    """

    operation: str
    n: int
    d: int
    batch: int = 100
    batches: int = 200
    seed: int = 0

    name: ClassVar[str] = "cost-stream"
    alone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self, STREAMED, batches=3)

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        """Run it.

        Parameters
        ----------
        folder
            Not looked at.

        Returns
        -------
        list of dict
            One for each step: "step" from 1, "edits", "seconds", "state_bytes" (of the tensors that the next
            step needs beside W and C0), "threads", "processor".
        """
        machine, found = _machine(), []
        for step, call in enumerate(STREAMED[self.operation](self), start=1):
            seconds = _seconds(call)
            left = sum(tensor.numel() * tensor.element_size() for tensor in call.state().values())
            entry = {"step": step, "edits": step * self.batch, "seconds": seconds, "state_bytes": left}
            found.append(entry | machine)
        return found


def _check(task: Cost | StreamCost, operations: Mapping[str, object], **least: int) -> None:
    as_choice(task.operation, "operation", tuple(operations))
    for name, low in ({"n": 2, "d": 2, "batch": 1, "seed": 0} | least).items():
        as_count(getattr(task, name), name, low=low)


def _machine() -> dict[str, Any]:
    return {"threads": torch.get_num_threads(), "processor": _processor()}


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else "unknown"


def _seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _repetition(prepared: Prepared) -> list[float]:
    return [_seconds(call) for call in prepared.calls()]


def _peak_meter() -> Callable[[], float]:
    """Starts to watch this process's resident memory; asked, it says by how many bytes it grew at most."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back: reused, it would not count as growth
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew at what is resident now
        before = _resident("VmRSS")
    except (OSError, AttributeError, TypeError):  # not Linux, or not glibc
        return lambda: math.nan
    return lambda: float(max(0, _resident("VmHWM") - before))


def _resident(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise OSError(field)
    return int(found[1]) * 1024


# What each operation is given, and how it is called.


def _gauss(rows: int, columns: int, seed: int) -> Float[Tensor, "rows columns"]:
    return torch.randn((rows, columns), generator=torch.Generator().manual_seed(seed))


def _weight(task: Cost | StreamCost) -> Float[Tensor, "n d"]:
    W = random_weight(task.n, task.d, seed=task.seed)
    decay = task.decay if isinstance(task, Cost) else 0.0
    return W * torch.arange(1, task.d + 1) ** (-decay / 2) if decay else W


def _again(call: Callable[[], object]) -> Calls:
    return lambda: iter([call])


def _energy(task: Cost) -> Prepared:
    W = _weight(task)
    return Prepared(_again(lambda: energy(W)))


def _space(method: str) -> Callable[[Cost], Prepared]:
    def prepare(task: Cost) -> Prepared:
        W = _weight(task)
        # The rank by the cheaper exact route: it is the same for all but the randomised one, which rounds up.
        rank = principal_space(W, eta=ETA, method="randomized" if method == "randomized" else "auto").rank
        return Prepared(_again(lambda: principal_space(W, eta=ETA, method=method)), rank)

    return prepare


def _projection(task: Cost) -> Prepared:
    space = principal_space(_weight(task), eta=ETA)
    projector = SparseProjector(space, ALPHA)
    update = LowRankUpdate(_gauss(task.n, task.batch, task.seed), _gauss(task.d, task.batch, task.seed + 1))
    return Prepared(_again(lambda: projector(update)), space.rank)


@dataclass(frozen=True, eq=False)
class _Follow:
    """An edit that a tracker is told of."""

    tracker: GramTracker[Tensor]
    left: Float[Tensor, "n b"]
    right: Float[Tensor, "d b"]

    @classmethod
    def made(cls, task: Cost | StreamCost, tracker: GramTracker[Tensor], seed: int) -> _Follow:
        left = _gauss(task.n, task.batch, seed).mul_(_MOVED / math.sqrt(task.batch))
        return cls(tracker, left, _gauss(task.d, task.batch, seed + 1).mul_(1 / math.sqrt(task.d)))

    def __call__(self) -> float:
        self.tracker.update(self.left, self.right)
        return self.tracker.energy()

    def state(self) -> Mapping[str, Tensor]:
        return self.tracker.state()


def _energy_update(task: Cost) -> Prepared:
    return Prepared(_again(_Follow.made(task, GramTracker(_weight(task)), task.seed)))


def _follow_stream(task: StreamCost) -> Iterator[_Follow]:
    tracker = GramTracker(_weight(task))
    return (_Follow.made(task, tracker, task.seed + 2 * index) for index in range(task.batches))


def _edited(task: Cost | StreamCost, editor: Editor) -> LayerMemory:
    """A layer as it is in the middle of a stream, with an inverse and past keys of full size."""
    d = task.d
    if isinstance(editor, AlphaEdit):
        q = null_dimensions(d)
        space = torch.eye(d, dtype=torch.float64)[:, :q].contiguous()
        state = _regular(q, editor.l2) | {"null_space": space}
        return LayerMemory(_weight(task), state=state)
    C0 = torch.eye(d, dtype=torch.float64)
    return LayerMemory(_weight(task), C0, state=_regular(d, 1.0))


def _regular(size: int, penalty: float) -> dict[str, Tensor]:
    """State of A = penalty·I, before which nothing was edited: products take what they take of any A."""
    return {
        "inverse": torch.eye(size, dtype=torch.float64) / penalty,
        "past": torch.zeros((size, size), dtype=torch.float64),
        "factorisations": torch.zeros((), dtype=torch.int64),
    }


def _batch(task: Cost | StreamCost, W: Tensor, index: int) -> EditBatch:
    keys = _gauss(task.d, task.batch, task.seed + 2 + index)
    return EditBatch(keys, W @ keys.roll(1, dims=1))  # each asks for another key's value


@dataclass(eq=False)
class _Solve:
    """The solve of a batch; once called it knows its step."""

    editor: Editor
    memory: LayerMemory
    batch: EditBatch
    step: Step = field(init=False)

    def __call__(self) -> Step:
        self.step = self.editor.solve(self.memory, self.batch)
        return self.step

    def state(self) -> Mapping[str, Tensor]:
        return self.step.state


def _solves(task: Cost | StreamCost, editor: Editor, memory: LayerMemory, count: int) -> Iterator[_Solve]:
    """Solves of a stream, each to be called before the next is asked for."""
    W0 = memory.W
    for index in range(count):
        solve = _Solve(editor, memory, _batch(task, W0, index))
        yield solve
        memory = memory.after(solve.step, task.batch)


def _editor_steps(editor: Editor, size: Callable[[int], int]) -> Callable[[Cost], Prepared]:
    def prepare(task: Cost) -> Prepared:
        memory, count = _edited(task, editor), cycle(size(task.d), task.batch)
        return Prepared(lambda: _solves(task, editor, memory, count))

    return prepare


def _editor_stream(editor: Editor) -> Callable[[StreamCost], Iterator[_Solve]]:
    return lambda task: _solves(task, editor, _edited(task, editor), task.batches)


MEMIT, ALPHAEDIT = MemitSequential(ridge=1.0), AlphaEdit(l2=1.0)

# What every batch takes, and what a layer takes once.
BATCHWISE: Mapping[str, Callable[[Cost], Prepared]] = {
    "energy": _energy,
    "energy update": _energy_update,
    "memit-seq": _editor_steps(MEMIT, int),
    "alphaedit": _editor_steps(ALPHAEDIT, null_dimensions),
    "projection": _projection,
}
DECOMPOSITIONS: Mapping[str, Callable[[Cost], Prepared]] = {
    "covariance": _space("covariance"),
    "dual": _space("dual"),
    "randomized": _space("randomized"),
}
OPERATIONS: Mapping[str, Callable[[Cost], Prepared]] = {**BATCHWISE, **DECOMPOSITIONS}

STREAMED: Mapping[str, Callable[[StreamCost], Iterator[_Solve | _Follow]]] = {
    "memit-seq": _editor_stream(MEMIT),
    "alphaedit": _editor_stream(ALPHAEDIT),
    "energy update": _follow_stream,
}
