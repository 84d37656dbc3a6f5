"""Layers that remember: what is looked through, widened and kept, and what is not copied."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

import sphere_theory.arrays
from sphere_theory import Memit, MemitSequential, Mose
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step, wide_product
from sphere_theory.errors import NonFiniteError

N, D, B = 6, 9, 2
rng = np.random.default_rng(0)
W = rng.normal(size=(N, D))
KEYS = rng.normal(size=(D, 40))
C0 = KEYS @ KEYS.T / 40
BATCHES = [EditBatch(rng.normal(size=(D, B)), rng.normal(size=(N, B))) for _ in range(3)]


def test_an_overflow_is_refused() -> None:
    class Huge(Memit):
        def solve(self, memory, batch):
            return Step(torch.full((N, D), 3e38))

    memory = LayerMemory(np.full((N, D), 3e38, np.float32))
    with pytest.raises(NonFiniteError, match=r"^weight: expected finite numbers, got 54 of 54"):
        Huge().apply(memory, BATCHES[0])


def test_arrays_are_looked_through_once(monkeypatch) -> None:
    """W, W0 and C0 when the layer is made; afterwards no array of their size but the new W."""
    memory, seen = LayerMemory(W, C0, pretrained=W.copy()), []
    scan = sphere_theory.arrays.require_finite

    def watched(tensor, argument):
        seen.append((argument, tensor.numel()))
        scan(tensor, argument)

    monkeypatch.setattr("sphere_theory.arrays.require_finite", watched)
    monkeypatch.setattr("sphere_theory.editing.problem.require_finite", watched)
    editor = MemitSequential()
    for batch in BATCHES:
        memory = editor.apply(memory, batch)
    large = [argument for argument, size in seen if size >= N * D]
    assert large == ["weight"] * 3


class WidestDouble(naive.Recorded):
    """The most entries of any float64 tensor that an operation returns."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [x.numel() for x in tree_leaves(out) if getattr(x, "dtype", None) == torch.float64]
        self.largest = max([self.largest, *sizes])
        return out


def test_the_residual_needs_no_float64_copy_of_the_weights() -> None:
    weight = torch.randn(4096, 60)
    X = torch.randn(60, 2, dtype=torch.float64)
    with WidestDouble() as recorded:
        product = wide_product(weight, X)
    assert 0 < recorded.largest < weight.numel() / 4
    naive.check_close(product, weight.double() @ X, 1e-13, 50.0)


def test_bfloat16_weights_are_widened() -> None:
    memory = Memit().apply(LayerMemory(torch.from_numpy(W).bfloat16(), torch.from_numpy(C0)), BATCHES[0])
    assert memory.weight.dtype == torch.float32


def test_the_pretrained_weights_are_the_first() -> None:
    memory = Mose(1.0).apply(Mose(1.0).apply(LayerMemory(W, C0), BATCHES[0]), BATCHES[1])
    assert memory.pretrained is W
