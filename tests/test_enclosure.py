"""ΔHE between two certified numbers: against 50 digits, adversarially, and with constants made too small."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_motion import BOUNDED, EXPONENTS, KINDS, exponents, seeds, step_of

from sphere_theory import (
    Interval,
    audit_bound,
    enclose_change,
    energy_change,
    energy_gradient,
    largest_change,
)
from sphere_theory import enclosure as module
from sphere_theory.errors import CertificateError, CoincidentNeuronsError


def layer(seed: int = 0, n: int = 10, d: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def true_change(W: np.ndarray, edit: np.ndarray, s: float) -> float:
    stored = naive.exact(W), naive.exact(edit)
    return naive.HE(stored[0] + stored[1], s) - naive.HE(stored[0], s)


# --- B8 and B9 -----------------------------------------------------------------------------------


@given(
    naive.weights(without=BOUNDED),
    st.sampled_from(KINDS),
    st.floats(-12, 1),
    seeds,
    exponents,
    st.integers(1, 3),
)
def test_the_change_is_inside(
    W: np.ndarray, kind: str, size: float, seed: int, s: float, pieces: int
) -> None:
    edit = step_of(W, kind, 10**size, seed)
    found = enclose_change(W, edit, pieces=pieces, s=s)
    assert found.low <= true_change(W, edit, s) <= found.high, found


@pytest.mark.parametrize("s", EXPONENTS)
def test_one_piece_is_its_formula(s: float) -> None:
    """First order ± remainder, or the pulls at the ends where those are nearer."""
    for size in (1e-6, 1e-3, 1e-2, 0.1, 1.0):
        W = layer(3)
        edit = step_of(W, "random", size, 4)
        stored = naive.exact(W), naive.exact(edit)
        fall, rise = naive.end_bounds(*stored, s)
        first, rest = naive.enclosure(*stored, s) if naive.gaps(*stored).min() > 0 else (0.0, math.inf)
        found = enclose_change(W, edit, s=s)
        # Rounding is counted in, and the first order is a small sum of large terms.
        naive.check_close(found.low, max(first - rest, -fall), 1e-7)
        naive.check_close(found.high, min(first + rest, rise), 1e-7)


@pytest.mark.parametrize("s", EXPONENTS)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_of_the_change_is_certified(s: float, sign: int) -> None:
    W = layer(5, 20, 12)
    slope = sign * energy_gradient(W, s=s)
    found = enclose_change(W, 1e-4 * np.linalg.norm(W) / np.linalg.norm(slope) * slope, s=s)
    assert found.sign == sign


def test_the_remainder_falls_with_the_square_of_the_edit() -> None:
    W = layer(6)
    widths = [enclose_change(W, step_of(W, "random", size, 7)).width for size in (1e-3, 1e-4, 1e-5)]
    naive.check_close(np.divide(widths[1:], widths[:-1]), 0.01, 0.1)


def test_pieces_narrow_the_interval() -> None:
    W = layer(8)
    edit = step_of(W, "random", 0.05, 9)
    widths = [enclose_change(W, edit, pieces=pieces).width for pieces in (4, 8, 16, 32)]
    naive.check_close(np.divide(widths[1:], widths[:-1]), 0.5, 0.15)
    assert enclose_change(W, edit, pieces=32).pieces == 32


def test_pieces_are_added_until_the_width_is_reached() -> None:
    W = layer(10)
    edit = step_of(W, "random", 0.3, 11)
    change = energy_change(W, edit).change
    one = enclose_change(W, edit)
    found = enclose_change(W, edit, width=0.2, seconds=60)
    assert found.width <= 0.2 * found.largest < one.width
    assert found.pieces > 1
    assert change in found
    assert found.sign == math.copysign(1, change)


def test_pieces_are_no_longer_added_when_time_is_up() -> None:
    W = layer(10)
    found = enclose_change(W, step_of(W, "random", 0.3, 11), width=1e-9, seconds=0.0)
    assert found.pieces == 1


def test_rounding_stops_the_halving() -> None:
    """A width that rounding does not allow is given up before time is."""
    W = layer(12, 4, 3)
    found = enclose_change(W, step_of(W, "random", 1e-9, 13), width=1e-14, seconds=600)
    assert found.seconds < 60
    assert found.width > 0


def test_a_pair_that_meets_on_the_way_is_still_enclosed() -> None:
    W = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    swap = np.array([[-1.0, 1.0], [1.0, -1.0], [0.1, 0.0]])
    found = enclose_change(W, swap, pieces=7)
    assert math.isfinite(found.width)
    assert energy_change(W, swap).change in found


def test_coincident_neurons_before_or_after() -> None:
    W = layer(14, 5, 4)
    onto = np.zeros_like(W)
    onto[3] = 2 * W[1] - W[3]
    for weights, edit in ((W, onto), (W + onto, -onto)):
        with pytest.raises(CoincidentNeuronsError):
            enclose_change(weights, edit)
    message = naive.COINCIDENT.format(1, 3)
    naive.check_refused(lambda: largest_change(W + onto, 1e-3), CoincidentNeuronsError, message)


def test_an_interval() -> None:
    up, down, both = Interval(1.0, 2.0), Interval(-3.0, -1.0), Interval(-1.0, 2.0)
    assert (up.sign, down.sign, both.sign) == (1, -1, 0)
    assert (up.width, down.largest) == (1.0, 3.0)
    assert 1.5 in up
    assert 2.5 not in up
    assert str(Interval(1.0, 2.0, 3, 0.5)) == "[1, 2] (3 pieces, 0.5 s)"


def closing_pair(theta: float, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Two neurons at an angle θ, each turned by `turn` towards the other."""
    at = np.array([theta / 2, -theta / 2])
    W = np.stack([np.cos(at), np.sin(at)], axis=1)
    to = at - np.array([turn, -turn])
    return W, np.stack([np.cos(to), np.sin(to)], axis=1) - W


@pytest.mark.parametrize("s", EXPONENTS)
def test_a_remainder_that_is_one_percent_too_small_is_caught(
    monkeypatch: pytest.MonkeyPatch, s: float
) -> None:
    """Between two nearly opposite neurons that close, all of q and of (δ_i + δ_j)² is needed."""
    W, edit = closing_pair(3.1, 1e-4)
    change = energy_change(W, edit, s=s).change
    honest = module.second_slope
    monkeypatch.setattr(module, "end_bounds", lambda *_: (math.inf, math.inf))
    assert change in enclose_change(W, edit, s=s)
    monkeypatch.setattr(module, "second_slope", lambda *args: 0.99 * honest(*args))
    assert change not in enclose_change(W, edit, s=s)


def test_the_max_for_sum_gap_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """φ = θ − max(δ_i, δ_j) forgets that both neurons come nearer."""
    W, edit = closing_pair(2.5, 1.0)
    change = energy_change(W, edit, s=6.0).change
    honest = module.less
    monkeypatch.setattr(module, "end_bounds", lambda *_: (math.inf, math.inf))
    assert change in enclose_change(W, edit, s=6.0)
    monkeypatch.setattr(module, "less", lambda squared, opposite, half: honest(squared, opposite, half / 2))
    assert change not in enclose_change(W, edit, s=6.0)


@pytest.mark.parametrize("s", EXPONENTS)
def test_pulls_that_are_one_percent_too_small_are_caught(monkeypatch: pytest.MonkeyPatch, s: float) -> None:
    """The form of B8 without lengths is reached by a pair that closes."""
    W, edit = closing_pair(1.0, 1e-5)
    change = energy_change(W, edit, s=s).change
    honest = module.end_bounds
    monkeypatch.setattr(module, "_second_order", lambda *_: (0.0, math.inf))
    assert change in enclose_change(W, edit, s=s)
    monkeypatch.setattr(module, "end_bounds", lambda *args: tuple(0.99 * x for x in honest(*args)))
    assert change not in enclose_change(W, edit, s=s)


# --- B10 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("s", EXPONENTS)
def test_largest_change_is_its_formula(s: float) -> None:
    for seed, share in enumerate((1e-8, 1e-4, 1e-2, 0.1)):
        W = layer(20 + seed, 6, 9)
        size = share * np.linalg.norm(W, axis=1).min()
        naive.check_close(largest_change(W, size, s=s), naive.largest_change(naive.exact(W), size, s), 1e-9)


@given(
    naive.weights(without=BOUNDED),
    st.floats(-12, -0.01),
    seeds,
    exponents,
    st.sampled_from(["random", "up", "down"]),
)
def test_no_edit_of_the_size_changes_more(
    W: np.ndarray, share: float, seed: int, s: float, direction: str
) -> None:
    """All of the edit may be on the shortest neurons, or along the gradient."""
    stored = W.astype(np.float64)
    size = 10**share * np.linalg.norm(stored, axis=1).min()
    try:
        bound = largest_change(W, size, s=s)
    except CertificateError:
        return
    edit = np.random.default_rng(seed).normal(size=W.shape)
    if direction != "random":
        edit = energy_gradient(stored, s=s) * (1 if direction == "up" else -1)
    if not edit.any():
        return
    edit *= size * (1 - 1e-12) / np.linalg.norm(edit)
    assert abs(true_change(W, edit, s)) <= bound


def test_largest_change_is_nearly_reached() -> None:
    """Otherwise a bound of any height would do."""
    W = np.eye(2)
    slope = energy_gradient(W)
    edit = 1e-5 * slope / np.linalg.norm(slope)
    assert 0.9999 < energy_change(W, edit).change / largest_change(W, 1e-5) <= 1


@pytest.mark.parametrize("part", ["second_slope", "energy_gradient"])
def test_a_largest_change_that_is_one_percent_too_small_is_caught(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """The gradient decides at right angles; two opposite neurons have none, and close to second order."""
    if part == "energy_gradient":
        W, edit = np.eye(2), 1e-5 * energy_gradient(np.eye(2))
    else:
        W, edit = closing_pair(math.pi, 1e-3)
    size = float(np.linalg.norm(edit))
    change, honest = energy_change(W, edit).change, getattr(module, part)
    assert change <= largest_change(W, size)
    monkeypatch.setattr(module, part, lambda *args, **names: 0.99 * honest(*args, **names))
    assert change > largest_change(W, size)


def test_sizes_that_no_bound_covers() -> None:
    W = np.diag([1.0, 2.0, 3.0])
    message = "size: expected less than the length of every neuron, got 1 and a neuron of length 1"
    naive.check_refused(lambda: largest_change(W, 1.0), CertificateError, f"{message} (first at row 0)")
    near = np.array([[1.0, 0.0], [math.cos(0.1), math.sin(0.1)], [-1.0, 0.0]])
    message = "size: expected edits so small that no two neurons can meet, got 0.2 (first at (0, 1))"
    naive.check_refused(lambda: largest_change(near, 0.2), CertificateError, message)


def test_the_audit_encloses_too() -> None:
    W = layer(30)
    edit = step_of(W, "random", 1e-2, 31)
    audit = audit_bound(W, edit)
    assert audit.enclosure == enclose_change(W, edit)
    assert audit.energy_change in audit.enclosure
