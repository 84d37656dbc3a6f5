"""NAS: values get the norm that they have in the original model."""

from __future__ import annotations

import naive
import numpy as np
from edited_layer import C0, SAMPLES, N, W, batch

from sphere_theory import EditBatch, Emmet, LayerMemory, MemitSequential, Nas
from sphere_theory.errors import RangeError


def test_values_get_the_norm_of_the_model() -> None:
    """With C0 of given keys, √tr(W0 C0 W0ᵀ) is the root mean square of their values."""
    edits = batch(3)
    memory = Nas(Emmet()).apply(LayerMemory(W, C0), edits)
    wanted = np.sqrt(np.mean(np.sum((W @ SAMPLES) ** 2, axis=0)))
    norms = np.linalg.norm(memory.weight @ edits.keys, axis=0)
    naive.check_close(norms, wanted, 1e-12)
    assert wanted >= np.mean(np.linalg.norm(W @ SAMPLES, axis=0))
    edited = Nas(Emmet()).apply(LayerMemory(3 * W, C0, pretrained=W), edits)
    naive.check_close(np.linalg.norm(edited.weight @ edits.keys, axis=0), wanted, 1e-12)
    again = Nas(Emmet()).apply(memory, batch(2, 7))
    naive.check_close(np.linalg.norm(again.weight @ batch(2, 7).keys, axis=0), wanted, 1e-12)


def test_a_value_needs_a_direction() -> None:
    message = "batch.values: expected no column of zeros (it has no direction), got 1 (first at column 0)"
    edits = EditBatch(batch(1).keys, np.zeros((N, 1)))
    naive.check_refused(
        lambda: Nas(MemitSequential(), 1.0).apply(LayerMemory(W, C0), edits), RangeError, message
    )
