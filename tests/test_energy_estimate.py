"""A sampled energy: its interval covers the truth as often as it says, and its seed decides it."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
import torch

from sphere_theory import energy, energy_estimate


@pytest.mark.parametrize("s", [0.0, 1.0])
def test_estimate_covers_the_truth_about_95_times_in_100(s: float) -> None:
    W = naive.structured("gaussian", 21, 60, 8)
    truth = energy(W, s=s)
    estimates = [energy_estimate(W, s=s, samples=400, seed=seed) for seed in range(200)]
    covered = sum(e.low <= truth <= e.high for e in estimates)
    assert 180 <= covered <= 199, f"expected about 190 of 200, got {covered}"
    spread = np.std([e.value for e in estimates])
    naive.check_close(np.mean([e.stderr for e in estimates]), spread, 0.2)
    assert abs(np.mean([e.value for e in estimates]) - truth) < 4 * spread / math.sqrt(200)


def test_estimate_is_decided_by_its_seed() -> None:
    W = naive.structured("gaussian", 22, 60, 8, "float32")
    one, same, other = (energy_estimate(W, samples=100, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert one.low < one.value < one.high
    assert one == energy_estimate(torch.from_numpy(W), samples=100, seed=1)


def test_estimate_of_two_neurons_is_exact() -> None:
    W = naive.structured("gaussian", 23, 2, 5)
    naive.check_close(
        energy_estimate(W, samples=2, seed=0), (energy(W), 0, energy(W), energy(W)), 1e-12, energy(W)
    )


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_estimate_on_cuda_is_of_the_same_pairs(cuda: torch.device, dtype: str) -> None:
    W = np.random.default_rng(24).normal(size=(3000, 96))
    W[2900:] = W[:100] + 1e-4 * np.random.default_rng(25).normal(size=(100, 96))
    W = W.astype(dtype)
    there = torch.from_numpy(W).to(cuda)
    assert energy_estimate(there, samples=500, seed=1).value == pytest.approx(
        energy_estimate(W, samples=500, seed=1).value, rel=1e-9
    )
