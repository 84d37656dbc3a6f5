"""The constants K of Theorem 1: against 50 digits, in order, and in every unit."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_motion import KINDS as EDITS
from test_motion import seeds, step_of

from sphere_theory import bound_constant, energy_change
from sphere_theory.constants import KINDS, certified_constant, smallest_gap
from sphere_theory.errors import CertificateError, CoincidentNeuronsError, InputError
from sphere_theory.motion import as_motion

exponents = st.sampled_from(naive.EXPONENTS)
BOUNDED = ("huge", "tiny")


def a_case(seed: int = 0, n: int = 10, d: int = 8, size: float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
    W = np.random.default_rng(seed).normal(size=(n, d))
    return W, step_of(W, "random", size, seed + 1)


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("structure", [name for name in naive.STRUCTURES if name != "antipodal"])
def test_constants_in_50_digits(structure: str, dtype: str) -> None:
    for seed, s in enumerate(naive.EXPONENTS):
        W = naive.structured(structure, seed, 6, 5, dtype)
        stored = naive.exact(W)
        least = float(min(naive.distances(stored)[np.triu_indices(6, 1)]))
        edit = step_of(W, "random", 0.1 * min(least, 1), seed)
        moved = naive.exact(edit)
        expected = {
            "unconditional": naive.K_star(stored, moved, s),
            "gradient": naive.frobenius(naive.gradient(stored, s)),
            "triangle": naive.K_tri(stored, s),
            "certified": naive.K_cert(stored, moved, s),
        }
        for kind, value in expected.items():
            naive.check_close(bound_constant(W, edit, kind=kind, s=s), value, 1e-8)


@given(naive.weights(without=BOUNDED), st.sampled_from(EDITS), st.floats(-10, 1), seeds, exponents)
def test_the_unconditional_constant_of_any_edit(
    W: np.ndarray, kind: str, size: float, seed: int, s: float
) -> None:
    """Against its formula, and against what it bounds, in 50 digits: no edit is too large."""
    edit = step_of(W, kind, 10**size, seed)
    stored = naive.exact(W), naive.exact(edit)
    exact = naive.K_star(*stored, s)
    change = naive.HE(stored[0] + stored[1], s) - naive.HE(stored[0], s)
    assert abs(change) <= exact * naive.frobenius(stored[1])
    # Where HE moves by no more than its rounding, it is open at which end it is larger.
    found = energy_change(W, edit, s=s)
    if abs(found.change) > found.rounding:
        naive.check_close(bound_constant(W, edit, s=s), exact, 1e-6)


@given(naive.weights(without=BOUNDED), exponents, st.floats(-9, -1), seeds)
def test_constants_are_ordered(W: np.ndarray, s: float, size: float, seed: int) -> None:
    steepest, triangle = (bound_constant(W, kind=kind, s=s) for kind in ("gradient", "triangle"))
    assert steepest <= triangle * (1 + 1e-12)
    edit = step_of(W, "random", 10**size, seed)
    try:
        certified = bound_constant(W, edit, kind="certified", s=s)
    except CertificateError:
        return
    assert certified >= triangle * (1 - 1e-12)
    assert certified >= bound_constant(W, edit, s=s) * (1 - 1e-12)


def test_constants_of_no_edit_are_the_triangle_constant() -> None:
    W, edit = a_case()
    for kind in ("unconditional", "certified"):
        naive.check_close(bound_constant(W, 0 * edit, kind=kind), bound_constant(W, kind="triangle"), 1e-12)


@pytest.mark.parametrize("scale", [1e-250, 1e-170, 1e-8, 1e8, 1e170, 1e250])
@pytest.mark.parametrize("kind", KINDS)
def test_constants_are_inverse_to_the_scale(kind: str, scale: float) -> None:
    W, edit = a_case(1)
    expected = bound_constant(W, edit, kind=kind) / scale
    naive.check_close(bound_constant(W * scale, edit * scale, kind=kind), expected, 1e-9)


def test_constants_over_many_tiles() -> None:
    W, edit = a_case(2, 700, 6, 1e-6)
    naive.check_close(bound_constant(W, kind="triangle"), naive.K_tri(W), 1e-9)
    naive.check_close(bound_constant(W, edit), naive.K_star(W, edit), 1e-9)
    naive.check_close(bound_constant(W, edit, kind="certified"), naive.K_cert(W, edit), 1e-6)


def test_a_neuron_drawn_towards_the_origin_counts_at_its_nearest_point() -> None:
    """m_i is a distance to the whole segment, not to its ends."""
    W = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    edit = np.array([[-0.5, math.sqrt(0.75), 0.0], [0.0, 0.0, 0.0]])  # turned by 60°, at equal length
    naive.check_close(naive.reaches(W, edit), [math.cos(math.pi / 6), 5.0], 1e-12)
    naive.check_close(bound_constant(W, edit, kind="certified"), naive.K_cert(W, edit), 1e-12)


@pytest.mark.parametrize("s", naive.EXPONENTS)
def test_the_unconditional_constant_is_reached(s: float) -> None:
    """By two neurons of one length that turn towards each other a little: 1% less would be too small."""
    at = np.array([0.5, -0.5])
    W = np.stack([np.cos(at), np.sin(at)], axis=1)
    to = at - np.array([1e-5, -1e-5])
    edit = np.stack([np.cos(to), np.sin(to)], axis=1) - W
    change = energy_change(W, edit, s=s).change
    assert 0.9999 < change / (bound_constant(W, edit, s=s) * np.linalg.norm(edit)) <= 1


def test_the_larger_energy_decides_which_end_pulls() -> None:
    W, edit = a_case(4, size=0.3)
    forth, back = bound_constant(W, edit), bound_constant(W + edit, -edit)
    naive.check_close(forth, back, 1e-12)
    rises = energy_change(W, edit).change > 0
    end = W + edit if rises else W
    lengths = np.maximum(np.linalg.norm(W, axis=1), np.linalg.norm(W + edit, axis=1))
    naive.check_close(forth, np.linalg.norm(naive.pulls(end) / lengths), 1e-12)


def test_the_smallest_gap() -> None:
    W, edit = a_case(5, size=2.0)
    gaps = naive.gaps(W, edit)
    found = smallest_gap(as_motion(W, edit))
    i, j = found.pair
    naive.check_close(found.angle, gaps.min(), 1e-12)
    naive.check_close(gaps[i, j - 1], gaps.min(), 1e-12)
    assert smallest_gap(as_motion(W[:1], edit[:1])).angle == math.inf


def test_an_edit_that_is_too_large_for_the_certificate() -> None:
    W, edit = a_case(3, size=2.0)
    gap = smallest_gap(as_motion(W, edit))
    (i, j), angle = gap.pair, gap.angle
    message = (
        f"delta: expected an edit along which no two neurons can meet, got neurons {i} and {j} may meet: "
        f"φ = {angle:.4g} ≤ 0 (first at {(i, j)})"
    )
    naive.check_refused(lambda: bound_constant(W, edit, kind="certified"), CertificateError, message)


def test_the_rounding_of_a_certified_constant_grows_where_neurons_nearly_meet() -> None:
    at = np.array([0.5, -0.5])
    W = np.stack([np.cos(at), np.sin(at)], axis=1)
    roundings = []
    for short in (1e-1, 1e-4):
        to = at * short
        edit = np.stack([np.cos(to), np.sin(to)], axis=1) - W
        found = certified_constant(as_motion(W, edit), 1.0)
        naive.check_close(found.value, naive.K_cert(naive.exact(W), naive.exact(edit)), found.rounding)
        roundings.append(found.rounding)
    assert roundings[0] < 1e-8 < 100 * roundings[0] < roundings[1]


def test_refusals() -> None:
    W, edit = a_case(20)
    wanted = "delta: expected the edit that the constant is to cover, got None"
    for kind in ("unconditional", "certified"):
        naive.check_refused(lambda k=kind: bound_constant(W, kind=k), InputError, wanted)
    W[3] = 2 * W[1]
    message = naive.COINCIDENT.format(1, 3)
    for kind in KINDS:
        naive.check_refused(lambda k=kind: bound_constant(W, edit, kind=k), CoincidentNeuronsError, message)
    onto = np.zeros_like(W)
    onto[3] = edit[3]
    message = naive.COINCIDENT.format(1, 3).replace("W:", "W + delta:")
    naive.check_refused(lambda: bound_constant(W + onto, -onto), CoincidentNeuronsError, message)
