"""RECT: the largest relative changes are kept, where weights are zero too."""

from __future__ import annotations

import numpy as np
from edited_layer import C0, D, N, W, batch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import EditBatch, LayerMemory, Memit, Rect


@given(keep=st.sampled_from([0.001, 0.1, 0.4, 0.55, 1.0]), seed=st.integers(0, 99))
def test_keeps_the_largest_relative_changes(keep: float, seed: int) -> None:
    whole = Memit(2.0).update(LayerMemory(W, C0), batch(3, seed)).dense()
    thin = Rect(Memit(2.0), keep).update(LayerMemory(W, C0), batch(3, seed))
    kept = thin != 0
    assert kept.sum() == max(1, round(keep * N * D))
    assert (thin[kept] == whole[kept]).all()
    ratios = np.abs(whole / W)
    assert kept.all() or ratios[kept].min() > ratios[~kept].max()


def test_where_weights_are_zero() -> None:
    """An infinite ratio is the largest there is; 0/0 is no change. Nothing is NaN."""
    sparse = W * (np.arange(D) > 2)
    memory, edits = LayerMemory(sparse, C0), batch(3)
    thin = Rect(Memit(2.0), keep=0.3).update(memory, edits)
    assert (thin[:, :3] != 0).all()
    assert (thin[:, 3:] == 0).all()
    keys = edits.keys * (np.arange(D) > 0)[:, None]
    half = Rect(Memit(2.0), keep=0.5).update(LayerMemory(sparse, np.eye(D)), EditBatch(keys, edits.values))
    assert (half[:, 0] == 0).all()
    assert (half != 0).sum() == N * D / 2
