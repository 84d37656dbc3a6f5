"""ΔHE against 50 digits, and bounds of rounding that are never passed."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import energy_change
from sphere_theory.motion import as_motion

EXPONENTS = (0.0, 0.5, 1.0, 2.0, 3.5, 6.0)
exponents = st.sampled_from(EXPONENTS)
seeds = st.integers(0, 2**32 - 1)
BOUNDED = ("huge", "tiny")


def step_of(W: np.ndarray, kind: str, size: float, seed: int) -> np.ndarray:
    """An edit that moves each neuron by `size` of its length, or is radial, or reverses it, to that size."""
    rng = np.random.default_rng(seed)
    lengths = np.linalg.norm(W.astype(np.float64), axis=1)[:, None]
    drawn = rng.normal(size=W.shape) * lengths / math.sqrt(W.shape[1])
    if kind == "radial":
        return size * W.astype(np.float64) + 1e-9 * size * drawn
    if kind == "reversing":  # almost to the origin, and out on the other side
        return -(1 + 1e-3) * W.astype(np.float64) + size * 1e-3 * drawn
    if kind == "one row":
        drawn[1:] = 0
    return size * drawn


KINDS = ("random", "radial", "reversing", "one row")


@given(naive.weights(without=BOUNDED), st.sampled_from(KINDS), st.floats(-14, 1), seeds, exponents)
def test_the_rounding_of_the_change_is_bounded(
    W: np.ndarray, kind: str, size: float, seed: int, s: float
) -> None:
    edit = step_of(W, kind, 10**size, seed)
    found = energy_change(W, edit, s=s)
    stored = naive.exact(W), naive.exact(edit)
    true = naive.HE(stored[0] + stored[1], s) - naive.HE(stored[0], s)
    assert abs(found.change - true) <= found.rounding, (found, float(true))


@pytest.mark.parametrize("s", EXPONENTS)
def test_the_bound_of_the_rounding_is_small(s: float) -> None:
    """Where nothing is near coincidence: it may be no place where a wrong constant could hide."""
    W = np.random.default_rng(0).normal(size=(20, 30))
    for size in (1e-10, 1e-5, 1e-1, 1.0):
        found = energy_change(W, step_of(W, "random", size, 1), s=s)
        assert found.rounding < 1e-9 * abs(found.change)


@given(naive.weights(without=BOUNDED), st.sampled_from(KINDS), st.floats(-12, 1), seeds)
def test_turns_and_moves(W: np.ndarray, kind: str, size: float, seed: int) -> None:
    edit = step_of(W, kind, 10**size, seed)
    motion = as_motion(W, edit)
    stored = naive.exact(W), naive.exact(edit)
    off = np.abs(motion.turns.numpy() - naive.turns(*stored))
    assert (off <= motion.turn_rounding.numpy()).all()
    moves = naive.directions(stored[0] + stored[1]) - naive.directions(stored[0])
    off = naive.norms(motion.moves.numpy() - moves)
    assert (off <= 16 * motion.eps * motion.share.numpy()).all()


def test_the_change_of_scale_is_none() -> None:
    W = np.random.default_rng(2).normal(size=(6, 4))
    edit = step_of(W, "random", 1e-3, 3)
    one = energy_change(W, edit)
    for scale in (1e-200, 1e200):
        naive.check_close(energy_change(scale * W, scale * edit).change, one.change, 1e-9)


@pytest.mark.gpu
def test_the_change_on_cuda(cuda: torch.device) -> None:
    W = torch.from_numpy(np.random.default_rng(4).normal(size=(600, 64)))
    edit = torch.from_numpy(step_of(W.numpy(), "random", 1e-6, 5))
    here, there = energy_change(W, edit), energy_change(W.to(cuda), edit.to(cuda))
    assert abs(here.change - there.change) <= here.rounding + there.rounding
