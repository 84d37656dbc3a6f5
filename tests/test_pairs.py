"""Distances of named pairs, accurate however close the two are; zero only where they coincide."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch

from sphere_theory.neurons import as_neurons
from sphere_theory.pairs import pair_squares, pair_tangents


@pytest.mark.parametrize("angle", [1.0, 1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("scales", [(1, 1), (1e-300, 1e300), (3e5, 1e-7)])
def test_pairs_are_accurate_to_their_own_size(angle: float, scales: tuple[float, float]) -> None:
    W = naive.near(np.random.default_rng(6), 2, 9, angle) * np.array(scales)[:, None]
    tangents, squared = pair_tangents(as_neurons(W), torch.tensor([[0, 1]]))
    u, v = naive.directions(naive.exact(W))
    tangent = v - (u * v).sum() * u
    naive.check_close(squared[0].item(), ((u - v) ** 2).sum(), 1e-12)
    naive.check_close(tangents[0].numpy(), tangent, 1e-12, naive.frobenius(tangent))


@pytest.mark.parametrize("share", [1e-14, 1e-17, 1e-20, 1e-25, 1e-30])
def test_pairs_told_apart_by_one_tiny_component(share: float) -> None:
    rng = np.random.default_rng(7)
    row = rng.integers(1, 1000, size=(40, 12)).astype(float)
    one = np.hstack([row, share * np.linalg.norm(row, axis=1, keepdims=True)])
    other = np.hstack([rng.integers(3, 2000, size=(40, 1)) * row, np.zeros((40, 1))])
    squared = pair_squares(as_neurons(np.vstack([one, other])), torch.arange(80).reshape(2, 40).T)
    apart = naive.directions(naive.exact(one)) - naive.directions(naive.exact(other))
    naive.check_close(squared.numpy(), (apart * apart).sum(axis=1), 1e-9)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_collinear_pairs_have_no_distance(order: list[int]) -> None:
    """Integer rows and multiples of them: collinear to the last bit, at ratios that do not round away."""
    rng = np.random.default_rng(8)
    for _ in range(200):
        row = rng.integers(1, 1000, size=rng.integers(2, 200)).astype(float)
        multiple = rng.integers(3, 2000)
        neurons = as_neurons(np.stack([row, multiple * row]))
        squared = pair_squares(neurons, torch.tensor([order])).item()
        assert squared == 0, f"expected 0 for w and {multiple}·w, d = {len(row)}, got {squared:.3g}"
