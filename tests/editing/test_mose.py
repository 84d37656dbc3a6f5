"""Multiplicative edits: what a rotation keeps on either side, and what it brings nearer."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import EditBatch, LayerMemory, Mose, MoseRight, energy
from sphere_theory.editing.mose import nearest_rotation


def problem(seed: int, n: int, d: int, b: int = 3):
    rng = np.random.default_rng(seed)
    W, keys, K = rng.normal(size=(n, d)), rng.normal(size=(d, 5 * d)), rng.normal(size=(d, b))
    return LayerMemory(W, keys @ keys.T / (5 * d)), EditBatch(K, rng.normal(size=(n, b)) * 3)


shapes = given(seed=st.integers(0, 999), n=st.integers(3, 9), d=st.integers(3, 9))


@shapes
def test_the_right_side_keeps_the_energy_of_rows(seed: int, n: int, d: int) -> None:
    memory, batch = problem(seed, n, d)
    after = MoseRight(1.0).apply(memory, batch).weight
    naive.check_close(energy(after), energy(memory.weight), 1e-8)
    naive.check_close(after @ after.T, memory.weight @ memory.weight.T, 1e-11, 10.0)


@shapes
def test_the_left_side_keeps_the_energy_of_columns(seed: int, n: int, d: int) -> None:
    memory, batch = problem(seed, n, d)
    after = Mose(1.0).apply(memory, batch).weight
    naive.check_close(energy(after.T), energy(memory.weight.T), 1e-8)
    naive.check_close(after.T @ after, memory.weight.T @ memory.weight, 1e-11, 10.0)


def test_the_left_side_does_not_keep_that_of_rows() -> None:
    memory, batch = problem(0, 6, 8)
    assert abs(energy(Mose(1.0).apply(memory, batch).weight) / energy(memory.weight) - 1) > 1e-3


def left_cost(memory: LayerMemory, batch: EditBatch, after: np.ndarray, ridge: float) -> float:
    moved = after - memory.weight
    fit = np.linalg.norm(after @ batch.keys - batch.values) ** 2
    return fit + ridge * np.trace(moved @ memory.second_moment @ moved.T)


@shapes
def test_no_other_rotation_does_better(seed: int, n: int, d: int) -> None:
    """The left one in its own cost, against rotations near it, and so against none at all."""
    memory, batch = problem(seed, n, d)
    best = Mose(0.5).apply(memory, batch).weight
    cost = left_cost(memory, batch, best, 0.5)
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-1, 1.0):
        skew = size * rng.normal(size=(n, n))
        turn = torch.linalg.matrix_exp(torch.from_numpy(skew - skew.T)).numpy()
        assert left_cost(memory, batch, turn @ best, 0.5) >= cost * (1 - 1e-12)
    assert left_cost(memory, batch, memory.weight, 0.5) >= cost


@pytest.mark.parametrize("ridge", [1e-3, 1.0])
@pytest.mark.parametrize("kind", [Mose, MoseRight])
def test_it_lowers_the_residual(kind, ridge: float) -> None:
    for seed in range(20):
        memory, batch = problem(seed, 12, 30, b=4)
        after = kind(ridge).apply(memory, batch).weight
        before = np.linalg.norm(batch.values - memory.weight @ batch.keys)
        assert np.linalg.norm(batch.values - after @ batch.keys) < 0.8 * before


@pytest.mark.parametrize(("kind", "left"), [(Mose, True), (MoseRight, False)])
def test_values_that_a_rotation_can_give_are_given(kind, left: bool) -> None:
    """V = QWK, or V = WQK with square W, and hardly any weight on what is preserved."""
    rng = np.random.default_rng(3)
    memory, _ = problem(3, 7, 7)
    K, Q = rng.normal(size=(7, 9)), naive.orthonormal(rng, 7, 7)
    values = Q @ memory.weight @ K if left else memory.weight @ Q @ K
    after = kind(1e-9).apply(memory, EditBatch(K, values)).weight
    naive.check_close(after @ K, values, 1e-6, 1.0)


def test_a_large_ridge_moves_nothing() -> None:
    memory, batch = problem(0, 6, 8)
    for kind in (Mose, MoseRight):
        naive.check_close(kind(1e12).apply(memory, batch).weight, memory.weight, 1e-9, 1.0)


def test_a_real_layer() -> None:
    """The right rotation of MiniLM's layer 3 keeps its energy and takes two thirds of the residual away."""
    from sphere_theory import load_layer, second_moment
    from sphere_theory.models.minilm_keys import minilm_keys

    keys = minilm_keys([3])[3].matrix.double()
    W = load_layer("minilm", "encoder.layer.3.output.dense.weight").double()
    K = keys[:, torch.randperm(keys.shape[1], generator=torch.Generator().manual_seed(0))[:100]]
    values = (W @ K).roll(1, dims=1)
    after = MoseRight(15.0).apply(LayerMemory(W, second_moment(keys)), EditBatch(K, values)).weight
    assert float((values - after @ K).norm()) < 0.33 * float((values - W @ K).norm())
    assert energy(after) == pytest.approx(energy(W), rel=1e-9)


# --- the polar factor ---------------------------------------------------------------------------


@given(seed=st.integers(0, 999), m=st.integers(1, 8), data=st.data())
def test_the_nearest_rotation(seed: int, m: int, data) -> None:
    """Orthogonal, of the largest trace, and I on what a matrix of low rank does not see."""
    rng, rank = np.random.default_rng(seed), data.draw(st.integers(0, m))
    M = rng.normal(size=(m, rank)) @ rng.normal(size=(rank, m))
    R = nearest_rotation(torch.from_numpy(M)).numpy()
    naive.check_close(R.T @ R, np.eye(m), 1e-12, 1.0)
    naive.check_close(np.trace(R.T @ M), np.linalg.svd(M)[1].sum(), 1e-10, 1.0)
    if rank == 0:
        naive.check_close(R, np.eye(m), 1e-12, 1.0)


def test_what_is_free_stays_in_place() -> None:
    """A rotation in one plane of five dimensions, and nothing said of the others."""
    plane = naive.orthonormal(np.random.default_rng(0), 5, 2)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    expected = np.eye(5) + plane @ (turn - np.eye(2)) @ plane.T
    M = plane @ turn @ np.diag([3.0, 3.0]) @ plane.T
    naive.check_close(nearest_rotation(torch.from_numpy(M)).numpy(), expected, 1e-12, 1.0)
