"""PRUNE: the spectrum of all edits is held, and small edits are left as they are."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from edited_layer import C0, D, N, W, batch

from sphere_theory import EditBatch, Emmet, FineTune, LayerMemory, Memit, Prune
from sphere_theory.errors import RangeError


@pytest.mark.parametrize("turned", [False, True])
def test_the_spectrum_of_all_edits_is_held(turned: bool) -> None:
    weight, moment = (W.T, np.eye(N)) if turned else (W, C0)
    n, d = weight.shape
    memory, editor = LayerMemory(0.1 * weight, moment), Prune(Memit(0.01))
    limit = np.linalg.svd(memory.weight)[1][0]
    for seed in range(4):
        draw = np.random.default_rng(seed)
        edits = EditBatch(draw.normal(size=(d, 3)), draw.normal(size=(n, 3)))
        unmarked = LayerMemory(memory.weight, moment)
        free = editor.editor.apply(unmarked, edits).weight - memory.pretrained
        update = editor.update(memory, edits)
        memory = editor.apply(memory, edits)
        held = np.linalg.svd(memory.weight - memory.pretrained)[1]
        sigma = np.linalg.svd(free)[1]
        assert sigma[0] > limit
        restrained = np.where(sigma > limit, np.log(sigma / limit) + limit, sigma)
        naive.check_close(held, np.sort(restrained)[::-1], 1e-9, limit)
        assert update.rank == 3 + (sigma > limit).sum()
    assert float(memory.state["prune.limit"]) == pytest.approx(limit, rel=1e-12)


def test_nothing_is_done_to_small_edits(monkeypatch) -> None:
    """And decomposes nothing for it."""
    edits = EditBatch(batch(2).keys, W @ batch(2).keys + 1e-3)
    expected = Memit(2.0).apply(LayerMemory(W, C0), edits).weight
    memory = Prune(Memit(2.0)).apply(LayerMemory(W, C0), edits)
    assert (memory.weight == expected).all()
    monkeypatch.setattr(torch.linalg, "eigh", None)
    monkeypatch.setattr(torch.linalg, "eigvalsh", None)
    Prune(Memit(2.0)).apply(memory, edits)


def test_between_the_two_norms() -> None:
    """A Frobenius norm above σ_max(W0) with no singular value above it: still nothing to do."""
    start = np.eye(N, D)
    edits = EditBatch(np.eye(D)[:, :4], start @ np.eye(D)[:, :4] + 0.9 * np.eye(N)[:, 2:])
    plain = Emmet().apply(LayerMemory(start, np.eye(D)), edits).weight
    assert np.linalg.norm(plain - start) > 1
    assert (Prune(Emmet()).apply(LayerMemory(start, np.eye(D)), edits).weight == plain).all()


def test_the_slightest_excess_is_restrained() -> None:
    """One key, so that both norms of the edit are the same, 1.2 σ_max(W0)."""
    start, key = np.eye(N, D), np.eye(D)[:, :1]
    edits = EditBatch(key, start @ key + 1.2 * np.eye(N)[:, 1:2])
    memory = Prune(Emmet()).apply(LayerMemory(start, np.eye(D)), edits)
    naive.check_close(np.linalg.norm(memory.weight - start), np.log(1.2) + 1, 1e-12)


def test_dense_edits_are_restrained_too() -> None:
    editor = Prune(FineTune(50, 0.5))
    memory = editor.apply(LayerMemory(1e-2 * W, C0), batch(2))
    free = editor.editor.apply(LayerMemory(1e-2 * W, C0), batch(2)).weight - 1e-2 * W
    limit, sigma = np.linalg.svd(1e-2 * W)[1][0], np.linalg.svd(free)[1]
    expected = np.where(sigma > limit, np.log(sigma / limit) + limit, sigma)
    held = np.linalg.svd(memory.weight - 1e-2 * W)[1]
    naive.check_close(held, np.sort(expected)[::-1], 1e-9, limit)


def test_there_have_to_be_weights_to_compare_with() -> None:
    message = "memory.pretrained: expected a matrix that is not zero, got zeros of shape (6, 10)"
    naive.check_refused(lambda: Prune().apply(LayerMemory(0 * W, C0), batch(1)), RangeError, message)
