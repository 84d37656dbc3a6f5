"""EMMET: all values are met by the smallest edit that can, and keys that cannot have them are named."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from edited_layer import C0, D, N, W, batch, missing

from sphere_theory import EditBatch, Emmet, LayerMemory, Rome
from sphere_theory.errors import RangeError, SingularError


def test_all_values_are_met_exactly() -> None:
    edits = batch(4)
    emmet = Emmet().apply(LayerMemory(W, C0), edits)
    naive.check_close(emmet.weight @ edits.keys, edits.values, 1e-12, 1.0)


def test_of_one_key_the_edit_is_that_of_rome() -> None:
    edits = batch(1)
    rome, emmet = (editor.apply(LayerMemory(W, C0), edits).weight for editor in (Rome(), Emmet()))
    naive.check_close(rome, emmet, 1e-12, 1.0)


def test_it_is_the_smallest_edit_that_fits() -> None:
    """In tr(ΔW C0 ΔWᵀ): what else fits differs by a Z with ZK = 0, which only adds to it."""
    edits = batch(3)
    delta = Emmet().update(LayerMemory(W, C0), edits).dense()
    free = np.eye(D) - edits.keys @ np.linalg.pinv(edits.keys)
    for seed in range(20):
        other = delta + 1e-2 * np.random.default_rng(seed).normal(size=(N, D)) @ free
        assert np.trace(other @ C0 @ other.T) > np.trace(delta @ C0 @ delta.T)


def test_keys_that_no_edit_can_tell_apart_are_named() -> None:
    edits = batch(4)
    keys = edits.keys.copy()
    keys[:, 3] = -2 * keys[:, 1]
    with pytest.raises(SingularError) as caught:
        Emmet().apply(LayerMemory(W, C0), EditBatch(keys, edits.values))
    assert str(caught.value) == (
        "batch.keys: expected 4 linearly independent keys, got rank 3 "
        "(first at keys 1 and 3, which are parallel)"
    )
    with pytest.raises(SingularError, match=r"expected 13 linearly independent keys, got rank 10$"):
        Emmet().apply(LayerMemory(W, C0), batch(13))


def test_nearly_parallel_keys_are_taken() -> None:
    keys = batch(2).keys.copy()
    keys[:, 1] = keys[:, 0] + 1e-4 * keys[:, 1]
    edits = EditBatch(keys, batch(2).values)
    assert missing(Emmet().apply(LayerMemory(W, C0), edits), edits) < 1e-5


def test_a_key_of_zeros_can_have_no_value() -> None:
    keys = batch(3).keys.copy()
    keys[:, [1, 2]] = 0
    message = "batch.keys: expected no column of zeros (it has no direction), got 2 (first at column 1)"
    edits = EditBatch(keys, batch(3).values)
    naive.check_refused(lambda: Emmet().apply(LayerMemory(W, C0), edits), RangeError, message)
