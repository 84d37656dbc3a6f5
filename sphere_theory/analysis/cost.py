"""What operations cost: time and memory at measured sizes, and along a stream.

Every row is one timed repetition of one operation at one size, so that intervals come from repetitions. These
are the only experiments whose rows are timings: they are run alone, when nothing else is.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.analysis.cost_counts import cycle, null_dimensions
from sphere_theory.analysis.experiment import Experiment
from sphere_theory.arrays import as_choice, as_count, as_real
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import EditBatch, Editor, LayerMemory, Step
from sphere_theory.energy import energy
from sphere_theory.gram import GramTracker
from sphere_theory.projection import SparseProjector
from sphere_theory.spectrum import principal_space
from sphere_theory.streams.hosts import random_weight
from sphere_theory.updates import LowRankUpdate

ETA, ALPHA = 0.5, 0.8

# d/n of the shapes along which n and d grow together.
ASPECT = 3.5

_MOVED = 0.01  # size of the made edits that a tracker follows, beside rows of length 1

Steps = Callable[[], Iterator[Callable[[], object]]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """An operation with its inputs.

    Attributes
    ----------
    steps
        Begins a repetition: calls to be timed, one after the other, with whatever lies between them untimed.
    rank
        As in `Size`.
    """

    steps: Steps
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
        as_choice(self.operation, "operation", tuple(OPERATIONS))
        as_real(self.decay, "decay", low=0)
        for field in ("n", "d"):
            as_count(getattr(self, field), field, low=2)
        as_count(self.batch, "batch", low=1)
        as_count(self.repeats, "repeats", low=3)
        as_count(self.seed, "seed", low=0)

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
        _timed(prepared.steps)
        found = []
        for repeat in range(self.repeats):
            peak = _peak_meter()
            seconds = _timed(prepared.steps)
            found.append({
                "repeat": repeat,
                "seconds": sum(seconds) / len(seconds),
                "peak_bytes": peak(),
                "calls": len(seconds),
                "rank": prepared.rank,
                **_machine(),
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
        as_choice(self.operation, "operation", tuple(STREAMED))
        for field in ("n", "d"):
            as_count(getattr(self, field), field, low=2)
        as_count(self.batch, "batch", low=1)
        as_count(self.batches, "batches", low=3)
        as_count(self.seed, "seed", low=0)

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
        for step, (seconds, held) in enumerate(STREAMED[self.operation](self), start=1):
            entry = {"step": step, "edits": step * self.batch, "seconds": seconds, "state_bytes": held}
            found.append(entry | machine)
        return found


def _machine() -> dict[str, Any]:
    return {"threads": torch.get_num_threads(), "processor": _processor()}


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else "unknown"


def _timed(steps: Steps) -> list[float]:
    """Seconds of each call of one repetition."""
    seconds = []
    for call in steps():
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return seconds


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


def _again(call: Callable[[], object]) -> Steps:
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


def _tracked(task: Cost | StreamCost, tracker: GramTracker[Tensor], seed: int) -> Callable[[], float]:
    left = _gauss(task.n, task.batch, seed).mul_(_MOVED / math.sqrt(task.batch))
    right = _gauss(task.d, task.batch, seed + 1).mul_(1 / math.sqrt(task.d))

    def follow() -> float:
        tracker.update(left, right)
        return tracker.energy()

    return follow


def _energy_update(task: Cost) -> Prepared:
    return Prepared(_again(_tracked(task, GramTracker(_weight(task)), task.seed)))


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


def _solves(
    task: Cost | StreamCost, editor: Editor, memory: LayerMemory, count: int
) -> Iterator[tuple[Callable[[], Step], Callable[[], LayerMemory]]]:
    """Solves of a stream, and the layer after each once it was called."""
    W0 = memory.W
    for index in range(count):
        batch = _batch(task, W0, index)
        steps: list[Step] = []

        def solve(memory: LayerMemory = memory, batch: EditBatch = batch, steps: list[Step] = steps) -> Step:
            steps.append(editor.solve(memory, batch))
            return steps[-1]

        def after(memory: LayerMemory = memory, steps: list[Step] = steps) -> LayerMemory:
            return memory.after(steps[-1], task.batch)

        yield solve, after
        memory = after()


def _editor_steps(editor: Editor, size: Callable[[int], int]) -> Callable[[Cost], Prepared]:
    def prepare(task: Cost) -> Prepared:
        memory, count = _edited(task, editor), cycle(size(task.d), task.batch)
        return Prepared(lambda: (solve for solve, _ in _solves(task, editor, memory, count)))

    return prepare


def _editor_stream(editor: Editor) -> Callable[[StreamCost], Iterator[tuple[float, int]]]:
    def steps(task: StreamCost) -> Iterator[tuple[float, int]]:
        for solve, after in _solves(task, editor, _edited(task, editor), task.batches):
            start = perf_counter()
            solve()
            seconds = perf_counter() - start
            yield seconds, _held(after().state)

    return steps


def _tracker_stream(task: StreamCost) -> Iterator[tuple[float, int]]:
    tracker = GramTracker(_weight(task))
    for index in range(task.batches):
        follow = _tracked(task, tracker, task.seed + 2 * index)
        start = perf_counter()
        follow()
        seconds = perf_counter() - start
        yield seconds, _held(tracker.state())


def _held(state: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


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

STREAMED: Mapping[str, Callable[[StreamCost], Iterator[tuple[float, int]]]] = {
    "memit-seq": _editor_stream(MEMIT),
    "alphaedit": _editor_stream(ALPHAEDIT),
    "energy update": _tracker_stream,
}


def tasks(quick: bool) -> list[Cost | StreamCost]:
    """All that figure 9 is drawn from.

    Parameters
    ----------
    quick
        Smaller sizes and shorter streams.

    Returns
    -------
    list of Cost and StreamCost
        Each once, though some lie on two axes.
    """
    chosen: dict[Cost | StreamCost, None] = {}
    for operation, decay in _KINDS:
        for n, d, batch in _points(operation, quick):
            chosen[Cost(operation, n, d, batch, decay)] = None
    n, d, batches = (64, 256, 60) if quick else (256, 1024, 200)
    for operation in STREAMED:
        for seed in range(3):
            chosen[StreamCost(operation, n, d, batches=batches, seed=seed)] = None
    return list(chosen)


_KINDS = [*((operation, 0.0) for operation in OPERATIONS), ("randomized", 1.0)]


def _points(operation: str, quick: bool) -> Iterator[tuple[int, int, int]]:
    """Shapes and batches at which an operation is timed."""
    part, batch = (2 if quick else 1), 100
    rows, columns, along = [128, 256, 512, 1024], [512, 1024, 2048, 4096], [128, 256, 512, 1024]
    if operation == "covariance":
        columns, along = [256, 512, 1024, 2048], [128, 256, 384, 512]
    elif operation in ("energy", "energy update"):
        # Below LLaMA3's own shape, 4096 × 14336, products do not run at the rate that larger ones have.
        rows, along = [*rows, 2048], [*along, 2048, 4096]
    yield from ((n // part, 1024 // part, batch) for n in rows)
    yield from ((512 // part, d // part, batch) for d in columns)
    yield from ((n // part, int(ASPECT * n) // part, batch) for n in along)
    if operation in BATCHWISE and operation != "energy":
        yield from ((512 // part, 2048 // part, b) for b in (25, 50, 100, 200, 400))
