"""Matrices with a structure: each has the one that it is drawn with."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest

from sphere_theory.samples import (
    STRUCTURES,
    across,
    fits,
    hadamard,
    orthonormal,
    simplex,
    structured,
    turned,
)

SIZES = [(2, 2), (5, 4), (4, 9), (12, 6)]
CASES = [(n, d, structure) for n, d in SIZES for structure in STRUCTURES if fits(n, d, structure)]


def drawn(structure: str, n: int, d: int, seed: int = 0, angle: float = 1e-5, decades: int = 8) -> np.ndarray:
    return structured(np.random.default_rng(seed), n, d, structure, angle, decades)


@pytest.mark.parametrize(("n", "d", "structure"), CASES)
def test_what_fits_has_no_two_neurons_in_one_place(n: int, d: int, structure: str) -> None:
    W = drawn(structure, n, d)
    assert W.shape == (n, d)
    assert np.isfinite(W).all()
    assert naive.others(naive.distances(W)).min() > 1e-6
    assert (drawn(structure, n, d) == W).all()
    assert structure == "simplex" or (drawn(structure, n, d, seed=1) != W).any()


def test_what_does_not_fit() -> None:
    assert [fits(n, 3, "simplex") for n in (4, 5)] == [True, False]
    assert [fits(9, d, "rank-deficient") for d in (2, 3)] == [False, True]
    assert all(fits(2, 2, structure) for structure in set(STRUCTURES) - {"rank-deficient"})


def test_structures_are_what_they_say() -> None:
    lengths = np.linalg.norm(drawn("extreme-scale", 40, 5), axis=1)
    assert lengths.max() / lengths.min() > 1e6
    near = drawn("near-coincident", 6, 5, angle=1e-3)
    naive.check_close(naive.distances(near)[0, -1], 2 * math.sin(5e-4), 1e-9)
    assert np.linalg.matrix_rank(drawn("rank-deficient", 9, 8)) == 4
    apart = naive.others(naive.distances(drawn("simplex", 5, 6)))
    naive.check_close(apart, np.full(apart.shape, math.sqrt(2 * 5 / 4)), 1e-12)
    assert drawn("conv1d", 4, 9).flags.f_contiguous
    clustered = naive.distances(drawn("clustered", 30, 20))
    assert ((clustered < 0.2) | (clustered > 0.5)).all()


@pytest.mark.parametrize("angle", [1e-7, 0.3, 3.0])
def test_rows_are_turned_by_the_angle_and_keep_their_lengths(angle: float) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 4)) * 10.0 ** np.arange(-3, 3)[:, None]
    after = turned(np.random.default_rng(1), rows, angle)
    naive.check_close(np.linalg.norm(after, axis=1), np.linalg.norm(rows, axis=1), 1e-12)
    chords = np.linalg.norm(naive.directions(after) - naive.directions(rows), axis=1)
    naive.check_close(chords, np.full(6, 2 * math.sin(angle / 2)), 1e-8)


def test_what_is_across_has_no_part_along() -> None:
    rng = np.random.default_rng(0)
    units = naive.directions(rng.normal(size=(6, 4)))
    step = rng.normal(size=(6, 4)) + 1e6 * units
    found = across(step, units)
    assert np.abs((found * units).sum(axis=1)).max() < 1e-15 * np.abs(step).max()
    naive.check_close(across(found, units), found, 1e-12, 1.0)


@pytest.mark.parametrize(("n", "d"), [(2, 1), (4, 3), (3, 7)])
def test_a_simplex_has_one_distance(n: int, d: int) -> None:
    apart = naive.others(naive.distances(simplex(n, d)))
    naive.check_close(apart, np.full(apart.shape, math.sqrt(2 * n / (n - 1))), 1e-12)


@pytest.mark.parametrize(("d", "m"), [(1, 1), (7, 3), (5, 5)])
def test_columns_are_orthonormal(d: int, m: int) -> None:
    Q = orthonormal(np.random.default_rng(3), d, m)
    naive.check_close(Q.T @ Q, np.eye(m), 1e-13, 1.0)


def test_columns_point_anywhere() -> None:
    """Without the signs of R, whose diagonal LAPACK makes negative, they would not."""
    first = [orthonormal(np.random.default_rng(seed), 3, 1)[0, 0] for seed in range(200)]
    assert 60 < sum(value > 0 for value in first) < 140


@pytest.mark.parametrize("k", [2, 3, 4, 5, 8, 9])
def test_a_hadamard_matrix_has_orthonormal_columns_of_halves(k: int) -> None:
    W = hadamard(k)
    assert W.shape == (4 * (k // 2), k)
    assert len(np.unique(W, axis=0)) == len(W)
    assert (np.count_nonzero(W, axis=0) == 4).all()
    assert set(np.unique(np.abs(W))) <= {0.0, 0.5}
    assert (np.eye(k) == W.T @ W).all()
