"""EvoEdit: what one batch has used no later one changes."""

from __future__ import annotations

import naive
import numpy as np
from edited_layer import C0, D, W, batch

from sphere_theory import EditBatch, EvoEdit, LayerMemory


def test_leaves_earlier_keys_of_the_null_space_alone() -> None:
    """ΔW K_p = 0 for keys inside it, and a used-up space edits nothing."""
    editor, memory = EvoEdit(l2=1e-3, threshold=1e3), LayerMemory(W, C0)
    edits = [batch(4, seed) for seed in range(4)]
    for i, one in enumerate(edits):
        before = memory
        memory = editor.apply(memory, one)
        for past in edits[:i]:
            naive.check_close(memory.weight @ past.keys, before.weight @ past.keys, 1e-9, 10.0)
    assert memory.state["used"].shape == (D, D)
    naive.check_close(memory.weight, before.weight, 1e-9, 10.0)


def test_keeps_its_directions_orthonormal() -> None:
    """Nearly repeated keys included, whose new part is almost all rounding."""
    editor, memory, first = EvoEdit(threshold=1e3), LayerMemory(W, C0), batch(2)
    for size in (1.0, 1e-3, 1e-6, 1e-9, 0.0):
        keys = first.keys + size * np.random.default_rng(int(1e9 * size)).normal(size=(D, 2))
        memory = editor.apply(memory, EditBatch(keys, first.values))
    used = memory.state["used"].numpy()
    naive.check_close(used.T @ used, np.eye(used.shape[1]), 1e-9, 1.0)
    assert used.shape[1] < D + 1


def test_cleans_what_is_almost_used_up() -> None:
    """One new key and one old key with a speck of news, in one batch."""
    first = batch(2)
    keys = np.stack([np.eye(D)[0], first.keys[:, 0] + 1e-10 * np.eye(D)[1]], axis=1)
    editor = EvoEdit(threshold=1e3)
    memory = editor.apply(editor.apply(LayerMemory(W, C0), first), EditBatch(keys, first.values))
    used = memory.state["used"].numpy()
    assert used.shape == (D, 4)
    naive.check_close(used.T @ used, np.eye(4), 1e-13, 1.0)


def test_cannot_edit_a_key_again() -> None:
    first = batch(2)
    memory = EvoEdit(threshold=1e3).apply(LayerMemory(W, C0), first)
    again = EvoEdit(threshold=1e3).apply(memory, EditBatch(first.keys, first.values + 1))
    naive.check_close(again.weight, memory.weight, 1e-9, 1.0)
