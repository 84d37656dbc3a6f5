"""Rows about steps of editors, and about streams of them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import released
from benchmarks.limits import Limit, Phase, limit
from benchmarks.measure import Call, Timing, Work, footprint
from benchmarks.rows.row import MIB, Bench, Check, Row, Target, relative, relative_distance, row
from sphere_theory import (
    AlphaEdit,
    EditBatch,
    GramTracker,
    LayerMemory,
    LowRankUpdate,
    MemitSequential,
    energy,
)
from sphere_theory.editing.editor import Editor
from sphere_theory.models.minilm_keys import minilm_keys
from sphere_theory.models.moments import second_moment
from sphere_theory.updates import add_update

BATCH = 100

# Past batches before the one that is timed: a stream has them, and a solve from scratch does not care.
_PAST = 5


def decaying_keys(bench: Bench, d: int, count: int, seed: int) -> Tensor:
    """Gaussian keys whose second moment has eigenvalues 1/k, (d, count) float32.

    Parameters
    ----------
    bench
        Where.
    d, count
        Shape.
    seed
        Of the draw.

    Returns
    -------
    Tensor
        One key a column.
    """
    scale = torch.arange(1, d + 1, device=bench.device) ** -0.5
    return bench.gauss(d, count, seed=seed) * scale[:, None]


def edited_layer(bench: Bench, n: int, d: int, editor: Editor) -> LayerMemory:
    """A layer with a few batches behind it.

    Parameters
    ----------
    bench
        Where.
    n, d
        Shape of its weights.
    editor
        How they were edited.

    Returns
    -------
    LayerMemory
        With what the editor remembers.
    """
    C0 = torch.diag(1 / torch.arange(1, d + 1, dtype=torch.float64, device=bench.device))
    memory = LayerMemory(bench.gauss(n, d) / d**0.5, C0)
    for past in range(_PAST):
        memory = editor.apply(memory, make_batch(bench, n, d, seed=10 + past))
    return memory


def make_batch(bench: Bench, n: int, d: int, seed: int) -> EditBatch:
    """A batch of keys and wanted values.

    Parameters
    ----------
    bench
        Where.
    n, d
        Shape of the weights.
    seed
        Of the draw.

    Returns
    -------
    EditBatch
        Of `BATCH` edits.
    """
    return EditBatch(decaying_keys(bench, d, BATCH, seed), bench.gauss(n, BATCH, seed=100 + seed))


def step_limit(shape: tuple[int, int], device: str) -> Limit:
    """A⁻¹K by a product with the last inverse, and symmetric updates of inverse and past keys.

    Parameters
    ----------
    shape
        (n, d).
    device
        "cpu" or "cuda".

    Returns
    -------
    Limit
        Of a step that keeps the inverse current.
    """
    n, d = shape
    wide = torch.float64
    return limit(
        shape,
        device,
        Phase("residual, 2ndb", 2 * n * d * BATCH, wide, bytes=4 * n * d),
        Phase("A⁻¹K, 2d²b", 2 * d * d * BATCH, wide, bytes=8 * d * d),
        Phase("inverse, half of 2d²b", d * d * BATCH, wide),
        Phase("past keys, half of 2d²b", d * d * BATCH, wide),
    )


def _step(
    bench: Bench,
    key: str,
    editor: Editor,
    literal: Callable[[LayerMemory, EditBatch], Tensor],
    shape: tuple[int, int] = (2048, 7168),
) -> Row:
    """A step of an editor that carries its inverse along, against the same solved from scratch."""
    n, d = bench.shape(*shape)
    bench.say(f"{_PAST} batches before")
    memory, batch = edited_layer(bench, n, d, editor), make_batch(bench, n, d, seed=1)
    bench.say("the step, and the literal one once")
    results: list[Tensor] = []
    ours, alternative = bench.time(
        Work(lambda: editor.solve(memory, batch)),
        Work(lambda: results.append(literal(memory, batch)), repeats=1, warmups=0),
    )
    update = editor.solve(memory, batch).update
    dense = update.dense() if isinstance(update, LowRankUpdate) else update
    return Row(
        key=key,
        work=f"{editor.name} step of {BATCH} edits",
        against="torch.linalg.solve in float64",
        shape=(n, d),
        ours=ours,
        alternative=alternative,
        target=Target(10),
        limit=step_limit((n, d), bench.device),
        facts={"relative_difference": relative_distance(dense.double(), results[0])},
    )


@row("memit-seq-step")
def memit_sequential_step(bench: Bench, key: str) -> Row:
    """MEMIT-seq, against one float64 solve with λC0 + K_pK_pᵀ + KKᵀ as released."""
    return _memit_sequential_step(bench, key, (2048, 7168))


@row("memit-seq-step-llama3")
def memit_sequential_step_llama3(bench: Bench, key: str) -> Row:
    """The same at the shape of LLaMA3-8B's down projections."""
    return _memit_sequential_step(bench, key, (4096, 14336))


def _memit_sequential_step(bench: Bench, key: str, shape: tuple[int, int]) -> Row:
    editor = MemitSequential(ridge=15.0)

    def literal(memory: LayerMemory, batch: EditBatch) -> Tensor:
        return released.memit_step(
            memory.W, memory.moment() * editor.ridge, past_keys(bench, memory), batch.keys, batch.values
        )

    return _step(bench, key, editor, literal, shape)


@row("alphaedit-step")
def alphaedit_step(bench: Bench, key: str) -> Row:
    """AlphaEdit, against one float64 solve with P0(K_pK_pᵀ + KKᵀ) + L2·I as released."""
    editor = AlphaEdit(threshold=1e-2)

    def literal(memory: LayerMemory, batch: EditBatch) -> Tensor:
        space = memory.state["null_space"]
        return released.alphaedit_step(
            memory.W, space @ space.T, past_keys(bench, memory), batch.keys, batch.values, editor.l2
        )

    return _step(bench, key, editor, literal)


def past_keys(bench: Bench, memory: LayerMemory) -> Tensor:
    """Σ KKᵀ over the batches before, which released code keeps as its cache.

    Parameters
    ----------
    bench
        Where.
    memory
        What `edited_layer` made.

    Returns
    -------
    Tensor
        (d, d), float64.
    """
    n, d = memory.W.shape
    keys = torch.cat([make_batch(bench, n, d, seed=10 + past).keys for past in range(_PAST)], dim=1).double()
    return keys @ keys.T


@row("energy-each-batch")
def energy_each_batch(bench: Bench, key: str) -> Row:
    """HE after each batch from the Gram matrix that is kept current, against computing it afresh.

    Both are handed W + ΔW, which a stream has anyway.
    """
    n, d = bench.shape(4096, 14336)
    W = bench.gauss(n, d)
    tracker = GramTracker(W)
    left = bench.gauss(n, BATCH, seed=1) / (n * d) ** 0.25
    right = bench.gauss(d, BATCH, seed=2) / (n * d) ** 0.25
    update = LowRankUpdate(1e-2 * left, right)
    edited = add_update(W, update)
    # To and fro, so that no timed call has to make weights.
    turns = itertools.cycle([(update.left, edited), (-update.left, W)])

    def tracked() -> float:
        step, weight = next(turns)
        tracker.update(step, update.right, weight=weight)
        return tracker.energy()

    bench.say("the energy of W + ΔW, tracked and afresh in turns")
    ours, alternative, product = bench.time(
        Work(tracked), Work(lambda: energy(edited)), Work(lambda: W @ W.T)
    )
    bench.say("drift after 100 batches")
    for _ in range(100):
        tracker.update(update.left, update.right)
    thin = 4 * (n + d) * BATCH
    return Row(
        key=key,
        work=f"HE after a batch of {BATCH}",
        against="the energy computed afresh",
        shape=(n, d),
        ours=ours,
        alternative=alternative,
        target=Target(20),
        limit=limit(
            (n, d),
            bench.device,
            Phase("WR, 2ndb", 2 * n * d * BATCH, bytes=4 * n * d + thin),
            Phase("G, half of 4n²b", 2 * n * n * BATCH, bytes=8 * n * n),
            Phase("potentials of n²/2 pairs", 0, bytes=4 * n * n),
        ),
        checks=(Check("drift × 1e9", tracker.drift * 1e9, 1e4, "(1e-5)"),),
        facts={
            "relative_difference": relative(tracker.energy(), energy(tracker.weight)),
            "refreshes": tracker.refreshes,
            "one_full_product_seconds": product.median,
        },
    )


def prepare_stream(edits: int, device: str) -> Call:
    """A real layer with a stream of keys that have the second moment of real ones; for `footprint`.

    Parameters
    ----------
    edits
        How many.
    device
        Where.

    Returns
    -------
    callable
        The run, HE after every batch.
    """
    from sphere_theory.hosts.base import StreamSpec
    from sphere_theory.hosts.minilm import MiniLM
    from sphere_theory.hosts.recorded import Recorded
    from sphere_theory.streams.measures import Measures
    from sphere_theory.streams.runner import run_stream
    from sphere_theory.streams.store import RunStore

    host = MiniLM()
    W = host.weight().to(device, torch.float64)
    keys = minilm_keys([host.layer], device=device)[host.layer].matrix
    C0, empty = second_moment(keys.double()), torch.empty((0, len(keys)))
    recorded = Recorded("reference sentences", empty, empty, empty, C0, keys.shape[1])

    def run() -> None:
        stream = recorded.gaussian_stream(W, StreamSpec(edits, noise=0.1))
        with tempfile.TemporaryDirectory() as folder, RunStore(Path(folder)) as store:
            memory = LayerMemory(W, C0, samples=keys.shape[1])
            run_stream(memory, MemitSequential(ridge=15.0), stream, Measures(every=50), store, batch=BATCH)

    return run


@row("stream-50000")
def long_stream(bench: Bench, key: str) -> Row:
    """50,000 edits of a real layer, HE and the certificate after every batch, in time and memory."""
    edits = 1_000 if bench.quick else 50_000
    bench.say(f"{edits:,} edits of MiniLM layer 3 in a fresh process")
    used = footprint("benchmarks.rows.editing:prepare_stream", watch=False, edits=edits, device=bench.device)
    n, d = 384, 1536
    batches = edits / BATCH
    found = step_limit((n, d), bench.device)
    return Row(
        key=key,
        work=f"{edits:,} edits (memit-seq) with HE and the certificate after every batch",
        against="",
        shape=(n, d),
        ours=Timing((used.seconds,)),
        alternative=None,
        target=Target(300, "seconds"),
        limit=Limit(
            found.seconds * batches,
            found.flops * batches,
            found.rates,
            {name: seconds * batches for name, seconds in found.phases.items()},
        ),
        checks=(Check("peak memory", used.peak_bytes / MIB, 2048, "MiB"),),
        facts={"edits": edits},
    )
