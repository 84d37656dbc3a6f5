"""MEMIT-seq: batch by batch it ends where one edit with all of them does (ledger M1)."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from edited_layer import C0, W, batch

from sphere_theory import EditBatch, LayerMemory, Memit, MemitSequential


def in_turn(order: tuple[int, ...]) -> np.ndarray:
    memory = LayerMemory(W, C0)
    for seed in order:
        memory = MemitSequential(2.0, 0.3).apply(memory, batch(2, seed))
    return memory.weight


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_batch_by_batch_ends_where_one_edit_with_all_does(order: tuple[int, ...]) -> None:
    parts = [batch(2, seed) for seed in range(4)]
    whole = EditBatch(
        np.concatenate([part.keys for part in parts], axis=1),
        np.concatenate([part.values for part in parts], axis=1),
    )
    once = Memit(2.0, 0.3).apply(LayerMemory(W, C0), whole).weight
    naive.check_close(in_turn(order), once, 1e-11, np.abs(once).max())


def test_what_forgets_ends_elsewhere() -> None:
    """The test above can fail."""
    memory = LayerMemory(W, C0)
    for seed in range(4):
        memory = Memit(2.0, 0.3).apply(memory, batch(2, seed))
    assert np.abs(memory.weight - in_turn((0, 1, 2, 3))).max() > 1e-2
