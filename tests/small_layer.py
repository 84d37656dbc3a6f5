"""A layer and a stream so small that a run of them takes a fraction of a second."""

from __future__ import annotations

import torch

from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.hosts.edits import EditStream, make_stream
from sphere_theory.hosts.keys import SyntheticKeys
from sphere_theory.hosts.synthetic import random_weight
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import Run
from sphere_theory.streams.store import RunStore

# More than twice as many neurons as edits in a batch, so that the Gram matrix is kept current.
N, D = 16, 24
EDITOR = MemitSequential(ridge=5.0)
MEASURES = Measures(every=3, candidates=50, preserved_candidates=20)


def small_host(
    edits: int = 48, *, facts: int | None = None, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[LayerMemory, EditStream]:
    """Gaussian keys; facts fewer than edits are edited again."""
    W = random_weight(N, D, seed=seed).to(dtype)
    source = SyntheticKeys(seed=seed)
    facts = edits if facts is None else facts
    keys = source.draw(facts + 40, D).to(W)
    stream = make_stream(W, keys[:facts], keys[facts:], edits=edits, seed=seed, record={"source": "small"})
    return LayerMemory(W, source.second_moment(D)), stream


def rows_of(store: RunStore, run: str) -> list[str]:
    """Rows as text, which tells every bit and takes NaN for equal to itself; without their seconds."""
    return [repr((batch, measures)) for batch, measures, _ in store.rows(run)]


def check_same(run: Run, other: Run) -> None:
    """Both ended alike, with the same weights to the bit and the same rows, none twice."""
    assert (run.id, run.status, run.edits) == (other.id, other.status, other.edits)
    assert torch.equal(run.weight, other.weight)
    rows = rows_of(run.store, run.id)
    assert rows == rows_of(other.store, other.id)
    assert [row.split(",")[0] for row in rows] == [f"({batch}" for batch in range(len(rows))]
