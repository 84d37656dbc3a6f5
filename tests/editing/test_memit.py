"""MEMIT: a ridge regression, of which each batch forgets the ones before."""

from __future__ import annotations

import naive
import numpy as np
from edited_layer import C0, D, N, W, batch, missing

from sphere_theory import LayerMemory, Memit
from sphere_theory.errors import RangeError


def test_it_is_the_minimiser_of_its_objective() -> None:
    """‖(W + ΔW)K − V‖² + λ‖ΔW C0^½‖² + λ_n‖ΔW‖²: every other edit costs more."""
    edits, ridge, damping = batch(3), 2.0, 0.7

    def cost(delta: np.ndarray) -> float:
        missed = (W + delta) @ edits.keys - edits.values
        return float(np.sum(missed**2) + ridge * np.trace(delta @ C0 @ delta.T) + damping * np.sum(delta**2))

    delta = Memit(ridge, damping).update(LayerMemory(W, C0), edits).dense()
    draw = np.random.default_rng(0)
    for size in (1e-3, 1.0):
        assert all(cost(delta + size * draw.normal(size=(N, D))) > cost(delta) for _ in range(20))


def test_values_are_met_as_the_ridge_vanishes() -> None:
    edits = batch(3)
    left = [missing(Memit(ridge).apply(LayerMemory(W, C0), edits), edits) for ridge in (100.0, 1.0, 1e-2)]
    assert left == sorted(left, reverse=True)
    assert missing(Memit(1e-9).apply(LayerMemory(W, C0), edits), edits) < 1e-6


def test_a_batch_forgets_the_ones_before() -> None:
    """The second step is that of a layer which only has the first one's weights."""
    first = Memit(2.0).apply(LayerMemory(W, C0), batch(3, 1))
    anew = LayerMemory(first.weight, C0)
    second, alone = (Memit(2.0).apply(memory, batch(3, 2)).weight for memory in (first, anew))
    naive.check_close(second, alone, 1e-12, 1.0)


def test_there_is_no_memit_without_a_ridge() -> None:
    message = "ridge: expected a number in (0, ∞), got 0.0"
    naive.check_refused(lambda: Memit(ridge=0.0), RangeError, message)
