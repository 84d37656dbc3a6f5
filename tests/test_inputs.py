"""How strongly inputs see an edit: the definition, and never more than is true at any conditioning."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory.inputs import input_strength, orthonormality_error

seeds = st.integers(0, 2**32 - 1)


def conditioned(rng: np.random.Generator, d: int, m: int, condition: float) -> np.ndarray:
    values = np.geomspace(1, 1 / condition, d)
    return (naive.orthonormal(rng, d, d) * values) @ naive.orthonormal(rng, m, d).T


def strength(edit: np.ndarray, X: np.ndarray) -> float:
    return input_strength(torch.from_numpy(edit), torch.from_numpy(X))


@given(seeds, st.floats(0, 17), st.floats(0, 12), st.integers(2, 6), st.sampled_from([1.0, 1e-200, 1e150]))
def test_outputs_are_never_below_it(seed: int, condition: float, ratio: float, n: int, scale: float) -> None:
    """‖ΔW X‖ ≥ σ‖ΔW‖ in 50 digits, at any conditioning of X and any ratio of row lengths."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 7))
    X = conditioned(rng, d, d + int(rng.integers(0, 5)), 10**condition)
    edit = rng.normal(size=(n, d)) * np.geomspace(1, 10**-ratio, n)[:, None] * scale
    stored = naive.exact(edit), naive.exact(X)
    output = naive.frobenius(stored[0] @ stored[1])
    assert strength(edit, X) * naive.frobenius(stored[0]) <= output


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e6, 1e8])
def test_it_is_the_weakest_direction(condition: float) -> None:
    """Rounded down by much less than the percent that a wrong constant would need to hide."""
    rng = np.random.default_rng(1)
    X = conditioned(rng, 6, 9, condition)
    naive.check_close(strength(rng.normal(size=(8, 6)), X), 1 / condition, 1e-3)


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("m", [1, 3, 8, 20])
def test_on_the_row_space_alone(rank: int, m: int) -> None:
    rng = np.random.default_rng([2, rank, m])
    X = rng.normal(size=(8, m))
    edit = 1e-3 * rng.normal(size=(10, rank)) @ rng.normal(size=(rank, 8))
    got = strength(edit, X)
    naive.check_close(got, naive.strength(edit, X), 1e-6, np.linalg.norm(X, 2))
    assert (got == 0) == (m < rank)


def test_an_edit_that_inputs_do_not_see() -> None:
    Q = naive.orthonormal(np.random.default_rng(3), 8, 8)
    edit = np.random.default_rng(4).normal(size=(10, 8)) @ Q[:, 5:] @ Q[:, 5:].T
    assert strength(edit, Q[:, :5]) == 0


def test_no_edit_has_no_row_space() -> None:
    assert math.isnan(strength(np.zeros((3, 4)), np.eye(4)))


@pytest.mark.parametrize("shape", [(8, 3), (8, 8), (8, 20), (1, 1), (1, 5)])
def test_orthonormality(shape: tuple[int, int]) -> None:
    X = np.random.default_rng([5, *shape]).normal(size=shape)
    expected = np.linalg.norm(X.T @ X - np.eye(shape[1]), 2)
    naive.check_close(orthonormality_error(torch.from_numpy(X)), expected, 1e-9)


def test_more_inputs_than_dimensions_are_never_orthonormal() -> None:
    """Not even those of a tight frame, X Xᵀ = I: XᵀX is singular."""
    frame = naive.orthonormal(np.random.default_rng(6), 12, 8).T
    naive.check_close(orthonormality_error(torch.from_numpy(frame)), 1.0, 1e-12)
