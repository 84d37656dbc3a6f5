"""P = I − αUUᵀ as two thin products against the d×d matrix, and the control that only shrinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import (
    LowRankUpdate,
    NormMatchedShrinkage,
    SparseProjector,
    Subspace,
    bottom_space,
    principal_space,
    random_space,
)
from sphere_theory.projection import edit_norm
from sphere_theory.spectrum import select_rank

ALPHAS = (0.0, 0.3, 0.5, 0.8, 1.0, 1.6, 2.0)
alphas = st.floats(0, 2)
seeds = st.integers(0, 2**32 - 1)


def a_space(seed: int, d: int = 12, r: int = 4, dtype: str = "float64") -> Subspace:
    return Subspace(naive.orthonormal(np.random.default_rng(seed), d, r).astype(dtype))


def an_edit(seed: int, n: int = 9, d: int = 12, dtype: str = "float64") -> np.ndarray:
    return naive.structured("gaussian", seed, n, d, dtype)


def factors(seed: int, n: int = 9, d: int = 12, b: int = 2, dtype: str = "float64") -> LowRankUpdate:
    rng = np.random.default_rng(seed)
    return LowRankUpdate(rng.normal(size=(n, b)).astype(dtype), rng.normal(size=(d, b)).astype(dtype))


# --- against d×d ---------------------------------------------------------------------------------


@given(seeds, alphas, st.integers(1, 12))
def test_thin_products_equal_the_dense_operator(seed: int, alpha: float, r: int) -> None:
    space, delta = a_space(seed, r=r), an_edit(seed)
    P = np.eye(12) - alpha * space.basis @ space.basis.T
    projector = SparseProjector(space, alpha)
    naive.check_close(projector(delta), delta @ P, 1e-13, np.abs(delta).max())
    naive.check_close(projector.dense(), P, 1e-14, 1.0)


@given(seeds, st.floats(0.1, 0.9), alphas)
def test_the_paper_and_the_released_code(seed: int, eta: float, alpha: float) -> None:
    W, delta = an_edit(seed, 10, 7), an_edit(seed + 1, 10, 7)
    for oracle, rows, rule in (
        (naive.paper_projector, "raw", "paper"),
        (naive.released_projector, "unit", "released"),
    ):
        projector = SparseProjector(principal_space(W, eta=eta, rows=rows, rank_rule=rule), alpha)
        naive.check_close(projector(delta), delta @ oracle(W, eta, alpha), 1e-9, np.abs(delta).max())


def test_the_two_rules_project_differently() -> None:
    """At a tie on the normalised rows, the released code takes one direction more."""
    W = np.diag([1.0, 2.0, 3.0, 4.0]) @ naive.orthonormal(np.random.default_rng(0), 4, 4)
    assert principal_space(W, eta=0.5, rows="unit", rank_rule="released").rank == 3
    assert principal_space(W, eta=0.5, rows="unit", rank_rule="paper").rank == 2
    values = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)
    assert [select_rank(values, 4.0, 0.5, rule) for rule in ("paper", "released")] == [(1, 0.5), (2, 0.75)]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_eigenvalues_and_square(alpha: float) -> None:
    space = a_space(1)
    P = SparseProjector(space, alpha).dense()
    naive.check_close(np.linalg.eigvalsh(P), sorted([1 - alpha] * 4 + [1.0] * 8), 1e-13, 1.0)
    naive.check_close(P, P.T, 1e-15, 1.0)
    UU = space.basis @ space.basis.T
    naive.check_close(P @ P, np.eye(12) - alpha * (2 - alpha) * UU, 1e-13, 1.0)
    idempotent = np.abs(P @ P - P).max() < 1e-12
    assert idempotent == (alpha in {0.0, 1.0})


def test_alpha_one_removes_the_span_and_alpha_two_reflects() -> None:
    space, delta = a_space(2), an_edit(2)
    removed = SparseProjector(space, 1)(delta)
    naive.check_close(removed @ space.basis, np.zeros((9, 4)), 1e-13, np.abs(delta).max())
    reflect = SparseProjector(space, 2)
    naive.check_close(reflect(reflect(delta)), delta, 1e-13, np.abs(delta).max())
    naive.check_close(edit_norm(reflect(delta)), edit_norm(delta), 1e-13)
    assert (SparseProjector(space, 0)(delta) == delta).all()


@given(seeds, alphas)
def test_an_edit_inside_the_span_shrinks_by_one_minus_alpha(seed: int, alpha: float) -> None:
    space = a_space(seed)
    delta = np.random.default_rng(seed).normal(size=(9, 4)) @ space.basis.T
    naive.check_close(SparseProjector(space, alpha)(delta), (1 - alpha) * delta, 1e-13, np.abs(delta).max())


@given(seeds, alphas)
def test_no_edit_grows(seed: int, alpha: float) -> None:
    delta = an_edit(seed)
    assert edit_norm(SparseProjector(a_space(seed), alpha)(delta)) <= edit_norm(delta) * (1 + 1e-14)


def test_beyond_alpha_two_an_edit_would_grow() -> None:
    """Why α > 2 is refused."""
    space = a_space(3)
    P = np.eye(12) - 2.1 * space.basis @ space.basis.T
    assert np.linalg.norm(space.basis.T @ P) > np.linalg.norm(space.basis.T)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("other", [random_space, bottom_space])
def test_controls_project_too(other: Callable, alpha: float) -> None:
    W, delta = an_edit(4), an_edit(5)
    principal = principal_space(W)
    space = other(principal, seed=1) if other is random_space else other(W, principal.rank)
    P = np.eye(12) - alpha * space.basis @ space.basis.T
    naive.check_close(SparseProjector(space, alpha)(delta), delta @ P, 1e-13, np.abs(delta).max())


# --- kinds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("delta_dtype", naive.DTYPES)
@pytest.mark.parametrize("basis_dtype", naive.DTYPES)
def test_the_edit_decides_kind_and_dtype(basis_dtype: str, delta_dtype: str, wrap: Callable) -> None:
    space, delta = a_space(6, dtype=basis_dtype), an_edit(6, dtype=delta_dtype)
    expected = delta.astype(np.float64) @ (
        np.eye(12) - 0.8 * naive.plain(space.basis) @ naive.plain(space.basis).T
    )
    for basis in (space, Subspace(torch.from_numpy(space.basis))):
        got = SparseProjector(basis, 0.8)(wrap(delta))
        naive.check_kind(got, wrap(delta), delta_dtype)
        tolerance = 1e-6 if "float32" in (basis_dtype, delta_dtype) else 1e-14
        naive.check_close(naive.plain(got), expected, tolerance, np.abs(delta).max())
        assert (delta == an_edit(6, dtype=delta_dtype)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_edit_in_half_precision_comes_out_in_float32(dtype: torch.dtype) -> None:
    delta = torch.from_numpy(an_edit(7)).to(dtype)
    got = SparseProjector(a_space(7), 0.5)(delta)
    naive.check_kind(got, delta, "float32")
    assert torch.equal(got, SparseProjector(a_space(7), 0.5)(delta.float()))


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_low_rank_stays_low_rank(wrap: Callable, dtype: str) -> None:
    update = factors(8, dtype=dtype)
    update = LowRankUpdate(wrap(update.left), wrap(update.right))
    projector = SparseProjector(a_space(8), 0.8)
    got = projector(update)
    assert isinstance(got, LowRankUpdate)
    assert (got.rank, got.shape) == (2, (9, 12))
    assert got.left is update.left
    naive.check_kind(got.right, update.right, dtype)
    naive.check_kind(got.dense(), update.right, dtype)
    expected = naive.plain(projector(update.dense()))
    naive.check_close(
        naive.plain(got.dense()), expected, 1e-5 if dtype == "float32" else 1e-13, np.abs(expected).max()
    )


def test_low_rank_updates_know_their_norm() -> None:
    update = factors(9)
    naive.check_close(update.norm(), np.linalg.norm(update.left @ update.right.T), 1e-13)
    naive.check_close(update.norm(), np.linalg.norm(update.dense()), 1e-13)
    near_zero = LowRankUpdate(np.array([[1.0, -1.0]]), np.array([[1.0, 1.0]]))
    assert near_zero.norm() == 0


def test_low_rank_factors_of_different_dtypes() -> None:
    update = factors(10)
    mixed = LowRankUpdate(update.left.astype(np.float32), update.right)
    naive.check_close(mixed.dense(), update.dense(), 1e-6, np.abs(update.dense()).max())


# --- the control that only shrinks ---------------------------------------------------------------


@given(seeds, alphas, st.sampled_from(["dense", "low rank", "tensor"]))
def test_shrinkage_matches_the_norm_and_nothing_else(seed: int, alpha: float, kind: str) -> None:
    projector = SparseProjector(a_space(seed), alpha)
    delta: Any = {
        "dense": an_edit(seed),
        "low rank": factors(seed),
        "tensor": torch.from_numpy(an_edit(seed)),
    }[kind]
    got = NormMatchedShrinkage(projector)(delta)
    assert type(got) is type(delta)
    naive.check_close(edit_norm(got), edit_norm(projector(delta)), 1e-12)
    before, after = (naive.plain(x.dense() if isinstance(x, LowRankUpdate) else x) for x in (delta, got))
    naive.check_close(after, before * edit_norm(got) / edit_norm(delta), 1e-12, np.abs(before).max())


def test_shrinking_nothing() -> None:
    shrink = NormMatchedShrinkage(SparseProjector(a_space(11), 1.0))
    assert (shrink(np.zeros((3, 12))) == 0).all()
    inside = np.ones((3, 4)) @ a_space(11).basis.T
    assert np.abs(shrink(inside)).max() < 1e-14


@pytest.mark.gpu
def test_projection_on_cuda(cuda: torch.device) -> None:
    W = torch.from_numpy(an_edit(12, 60, 40, "float32"))
    delta = torch.from_numpy(an_edit(13, 60, 40, "float32"))
    here, there = (SparseProjector(principal_space(x), 0.8) for x in (W, W.to(cuda)))
    got = there(delta.to(cuda))
    assert got.device.type == "cuda"
    naive.check_close(naive.plain(got), naive.plain(here(delta)), 1e-5, float(delta.abs().max()))
    assert torch.equal(got, there(delta.to(cuda)))
    update = LowRankUpdate(delta[:, :3].to(cuda), torch.ones(40, 3, device=cuda))
    assert there(update).right.device.type == "cuda"
