"""The pulls of the pairs against 50 digits, at both ends of an edit of any size."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_motion import BOUNDED, EXPONENTS, KINDS, exponents, seeds, step_of

from sphere_theory import energy_gradient
from sphere_theory.errors import CoincidentNeuronsError
from sphere_theory.motion import as_motion
from sphere_theory.neurons import as_neurons
from sphere_theory.pulls import pulls, pulls_at_ends


@given(naive.weights(without=BOUNDED), st.sampled_from(KINDS), st.floats(-10, 1), seeds, exponents)
def test_pulls_at_both_ends(W: np.ndarray, kind: str, size: float, seed: int, s: float) -> None:
    edit = step_of(W, kind, 10**size, seed)
    found = pulls_at_ends(as_motion(W, edit), s)
    stored = naive.exact(W), naive.exact(edit)
    for sums, rounding, exact in (
        (found.before, found.rounding_before, stored[0]),
        (found.after, found.rounding_after, stored[0] + stored[1]),
    ):
        naive.check_close(sums.numpy(), naive.pulls(exact, s), rounding)


@pytest.mark.parametrize("s", EXPONENTS)
def test_no_neuron_is_pulled_harder_than_its_pairs_pull(s: float) -> None:
    """‖w_i‖‖∂HE/∂w_i‖ ≤ the sum of its summands' lengths, and equal where there is one."""
    for n in (2, 9):
        W = np.random.default_rng(n).normal(size=(n, 5))
        sums, _ = pulls(as_neurons(W), s, eps=1e-14)
        slopes = np.linalg.norm(W, axis=1) * np.linalg.norm(energy_gradient(W, s=s), axis=1)
        assert (slopes <= sums.numpy() * (1 + 1e-12)).all()
        assert np.allclose(slopes, sums.numpy()) == (n == 2)


def test_coincident_neurons_are_named_at_the_end_where_they_are() -> None:
    W = np.eye(3)
    onto = np.zeros_like(W)
    onto[2] = W[1] - W[2]
    message = naive.COINCIDENT.format(1, 2)
    after = message.replace("W:", "W + delta:")
    naive.check_refused(lambda: pulls_at_ends(as_motion(W, onto), 1.0), CoincidentNeuronsError, after)
    naive.check_refused(
        lambda: pulls_at_ends(as_motion(W + onto, -onto), 1.0), CoincidentNeuronsError, message
    )
