"""The smallest distance, and the pair that reaches it, against 50 digits."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from hypothesis import given

from sphere_theory import min_separation


@given(naive.weights())
def test_separation_is_the_smallest_distance(W: np.ndarray) -> None:
    distance, pair = min_separation(W)
    expected, pairs = naive.min_separation(naive.exact(W))
    naive.check_close(distance, expected, 1e-9)
    assert pair in pairs, f"expected one of {pairs}, got {pair}"


@pytest.mark.parametrize("angle", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12])
def test_separation_at_any_angle(angle: float) -> None:
    W = naive.near(np.random.default_rng(3), 7, 5, angle)
    expected, _ = naive.min_separation(naive.exact(W))
    naive.check_close(min_separation(W).distance, expected, 1e-9)
    assert min_separation(W).pair == (0, 6)


def test_separation_across_tiles() -> None:
    rng = np.random.default_rng(4)
    W = rng.normal(size=(1100, 8)).astype(np.float32)
    W[1050] = 3 * (W[17] + 1e-5 * rng.normal(size=8))
    distance, pair = min_separation(torch.from_numpy(W))
    naive.check_close(distance, naive.min_separation(naive.exact(W[[17, 1050]]))[0], 1e-9)
    assert pair == (17, 1050)


def test_separation_is_at_most_two() -> None:
    rng = np.random.default_rng(5)
    for d in range(1, 40):
        row = rng.normal(size=d)
        distance, pair = min_separation(np.stack([row, -rng.uniform(0.1, 9) * row]))
        naive.check_close(distance, 2.0, 1e-12)
        assert distance <= 2
        assert pair == (0, 1)


def test_coincident_neurons_are_at_distance_zero() -> None:
    W = np.array([[1.0, 2.0], [5.0, 1.0], [3.0, 6.0]])
    assert min_separation(W) == (0.0, (0, 2))


def test_the_first_of_equally_close_pairs_is_named() -> None:
    assert min_separation(np.eye(600)).pair == (0, 1)


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    min_separation(np.random.default_rng(0).normal(size=(1100, 3)), progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) == 6
    assert shares[-1] == 1
