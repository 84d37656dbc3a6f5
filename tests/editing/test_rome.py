"""ROME: the newest fact is written exactly, whatever becomes of those before it."""

from __future__ import annotations

import naive
import numpy as np
from edited_layer import C0, W, batch

from sphere_theory import EditBatch, LayerMemory, Rome
from sphere_theory.errors import RangeError


def test_the_last_value_is_met_exactly_and_earlier_ones_are_not() -> None:
    edits = batch(4)
    weight = Rome().apply(LayerMemory(W, C0), edits).weight
    naive.check_close(weight @ edits.keys[:, -1], edits.values[:, -1], 1e-12, 1.0)
    assert np.abs(weight @ edits.keys[:, 0] - edits.values[:, 0]).max() > 1e-3


def test_one_key_is_edited_twice_in_a_batch() -> None:
    edits = batch(2)
    keys = np.stack([edits.keys[:, 0]] * 2, axis=1)
    after = Rome().apply(LayerMemory(W, C0), EditBatch(keys, edits.values))
    naive.check_close(after.weight @ keys[:, 0], edits.values[:, 1], 1e-12, 1.0)


def test_a_key_of_zeros_can_have_no_value() -> None:
    keys = batch(3).keys.copy()
    keys[:, [1, 2]] = 0
    message = "batch.keys: expected no column of zeros (it has no direction), got 2 (first at column 1)"
    edits = EditBatch(keys, batch(3).values)
    naive.check_refused(lambda: Rome().apply(LayerMemory(W, C0), edits), RangeError, message)
