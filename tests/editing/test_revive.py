"""REVIVE: edits stay out of the pretrained weights' dominant spaces."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from edited_layer import C0, D, N, W, batch

from sphere_theory import FineTune, LayerMemory, LowRankUpdate, Memit, Revive
from sphere_theory.errors import RangeError


@pytest.mark.parametrize("editor", [Memit(2.0), FineTune()], ids=["low-rank", "dense"])
def test_it_stays_out_of_the_dominant_spaces(editor) -> None:
    A, _, B = np.linalg.svd(W)
    delta = Revive(editor, rank=2).update(LayerMemory(W, C0), batch(3))
    delta = delta.dense() if isinstance(delta, LowRankUpdate) else delta
    naive.check_close(A[:, :2].T @ delta, 0, 1e-12, 1.0)
    naive.check_close(delta @ B[:2].T, 0, 1e-12, 1.0)
    assert np.linalg.norm(delta) > 1e-3


def test_by_share_and_by_rank() -> None:
    sigma = np.linalg.svd(W)[1] ** 2
    rank = int(np.argmax(np.cumsum(sigma) / sigma.sum() >= 0.6)) + 1
    memory = Revive(Memit(), share=0.6).apply(LayerMemory(W, C0), batch(2))
    assert memory.state["revive.right"].shape == (D, rank)
    by_rank = Revive(Memit(), rank=rank).apply(LayerMemory(W, C0), batch(2))
    naive.check_close(by_rank.weight, memory.weight, 1e-12, 1.0)
    message = "rank: expected at most the rank 6 of the weights, got 7"
    naive.check_refused(
        lambda: Revive(Memit(), rank=7).apply(LayerMemory(W, C0), batch(1)), RangeError, message
    )


def test_the_basis_of_the_first_weights_is_kept() -> None:
    memory = LayerMemory(W, C0)
    bases = []
    for seed in range(3):
        memory = Revive(Memit(0.1), rank=2).apply(memory, batch(3, seed))
        bases.append(memory.state["revive.left"])
    assert all(torch.equal(basis, bases[0]) for basis in bases)
    other = np.random.default_rng(9).normal(size=(N, D))
    late = Revive(Memit(0.1), rank=2).apply(LayerMemory(other, C0, pretrained=W), batch(3))
    naive.check_close(naive.span(late.state["revive.left"]), naive.span(bases[0]), 1e-12, 1.0)
