"""Streams of edits that claims are measured on: the embedded model's middle layer with its own keys.

The facts are the embedded sentences' own tokens: 3,000 of them are edited, the others preserved. C0 is
that of all of them. One set of streams serves all claims of a run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.claims.context import Context
from sphere_theory.editing.alphaedit import AlphaEdit, null_space
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.editing.sphere import Sphere
from sphere_theory.hosts.edits import EditStream, make_stream
from sphere_theory.models.moments import second_moment
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.store import RunStore

if TYPE_CHECKING:
    import pandas as pd

EDITED = 3000
BATCH = 100

# λ: C0 stands for some thousand tokens here, as in the measurements of single edits.
SEQUENTIAL = MemitSequential(ridge=15.0)

PROJECTED = Sphere(SEQUENTIAL)

EDITORS: Mapping[str, Editor] = {
    "memit-seq": SEQUENTIAL,
    "memit": Memit(ridge=15.0),
    "alphaedit": AlphaEdit(),
    "memit-seq + SPHERE": PROJECTED,
    "alphaedit + SPHERE": Sphere.paper(AlphaEdit()),
}
QUICK = ("memit-seq", "alphaedit")
# Batches of a quick stream: what is measured at its end alone is not measured on the way.
_QUICK_EVERY = 4

# The same projection where the next batch does not see it, and where it makes up for it (ledger M2).
POLICIES: Mapping[str, Editor] = {
    "solved on unprojected weights": Sphere(SEQUENTIAL, solve_on="unprojected"),
    "compensated": Sphere(SEQUENTIAL, compensate=True),
}


@dataclass(frozen=True, eq=False)
class Streamed:
    """One stream, run.

    Attributes
    ----------
    weight
        After the last edit.
    frame
        Its rows that have all measures.
    """

    weight: Float[Tensor, "n d"]
    frame: pd.DataFrame


def stream_host(context: Context) -> tuple[LayerMemory, EditStream]:
    """The layer before any edit, and the edits.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    memory, stream
        The same for every stream of a run.
    """

    def make() -> tuple[LayerMemory, EditStream]:
        W, keys = context.weight(context.middle).double(), context.keys(context.middle).double()
        shuffled = torch.randperm(keys.shape[1], generator=torch.Generator().manual_seed(context.seed))
        rows = keys.T[shuffled.to(keys.device)]
        stream = make_stream(
            W,
            rows[:EDITED],
            rows[EDITED:],
            edits=400 if context.quick else 2000,
            seed=context.seed,
            record={"source": "recorded", "prompts": "reference sentences, every token"},
        )
        return LayerMemory(W, second_moment(keys), samples=keys.shape[1]), stream

    return context.once("stream host", make)


def streamed(context: Context, name: str, editor: Editor) -> Streamed:
    """A stream by its name, run once.

    Parameters
    ----------
    context
        How to run.
    name
        One name, one stream.
    editor
        That edits it.

    Returns
    -------
    Streamed
        Its weights and its rows.
    """

    def run() -> Streamed:
        context.report(f"a stream of edits: {name}")
        memory, stream = stream_host(context)
        bounded = name == "alphaedit"  # the one whose steps are small enough for the path bound
        every = (1 if bounded else _QUICK_EVERY) if context.quick else 2
        measures = Measures(every=every, audits=bounded, certificate=bounded)
        with tempfile.TemporaryDirectory() as folder, RunStore(Path(folder)) as store:
            done = run_stream(memory, editor, stream, measures, store, batch=BATCH)
            return Streamed(done.weight.to(memory.W.device), done.frame().dropna(subset="efficacy"))

    return context.once(f"stream {name}", run)


def all_streams(context: Context) -> dict[str, Streamed]:
    """The streams of a run of the ledger: all editors, or two with the quick budget.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    dict
        By name.
    """
    names = QUICK if context.quick else tuple(EDITORS)
    return {name: streamed(context, name, EDITORS[name]) for name in names}


def stream_null_space(context: Context) -> Float[Tensor, "d q"]:
    """AlphaEdit's null space of the layer's keys.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Tensor
        Orthonormal basis Q.
    """
    memory, _ = stream_host(context)
    return context.once("null space", lambda: null_space(memory, AlphaEdit().threshold))
