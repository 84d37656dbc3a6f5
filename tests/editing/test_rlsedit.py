"""RLSEdit: the released recursion, and the step of ENCORE under equal weights."""

from __future__ import annotations

import naive
import numpy as np
from edited_layer import C0, D, W, batch

from sphere_theory import Encore, LayerMemory, RlsEdit


def test_it_takes_the_step_of_encore() -> None:
    """Equal weights, equal edits: what the documentation says of the two."""
    one, other = LayerMemory(W, C0), LayerMemory(W, C0)
    for seed in range(3):
        one, other = (
            Encore(3.0, 0.5).apply(one, batch(2, seed)),
            RlsEdit(3.0, 0.5).apply(other, batch(2, seed)),
        )
    assert (one.weight == other.weight).all()


def test_its_inverse_follows_the_recursion() -> None:
    """C ← C − CK(I + KᵀCK)⁻¹KᵀC, from (λ²I + μ²C0)⁻¹."""
    memory, C = LayerMemory(W, C0), np.linalg.inv(0.5 * np.eye(D) + 3.0 * C0)
    for seed in range(3):
        edits = batch(2, seed)
        residual = edits.values - memory.weight @ edits.keys
        CK = C @ edits.keys
        C = C - CK @ np.linalg.solve(np.eye(2) + edits.keys.T @ CK, CK.T)
        expected = memory.weight + residual @ edits.keys.T @ C
        memory = RlsEdit(3.0, 0.5).apply(memory, edits)
        naive.check_close(memory.weight, expected, 1e-11, np.abs(expected).max())
