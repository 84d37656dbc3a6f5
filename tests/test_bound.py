"""Theorem 1 audited: a proved bound is never broken, at any rounding; readings that must break, do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_constants import a_case
from test_inputs import conditioned
from test_motion import KINDS as EDITS
from test_motion import step_of

from sphere_theory import BoundAudit, Interval, LowRankUpdate, audit_bound, bound_constant, energy_gradient
from sphere_theory import bound as module
from sphere_theory.errors import RangeError

KINDS = ("unconditional", "gradient", "triangle", "certified")
FIRST_ORDER = ("gradient", "triangle")
PROVED = ("unconditional", "certified")
seeds = st.integers(0, 2**32 - 1)
exponents = st.sampled_from(naive.EXPONENTS)
BOUNDED = ("huge", "tiny")


def verdicts(audit: BoundAudit) -> dict[str, str]:
    return {check.kind: check.verdict for check in audit.checks}


# --- what is proved ------------------------------------------------------------------------------

HOLDS = {"holds", "undecided"}  # undecided: to the rounding of both sides, never less


@given(
    naive.weights(without=BOUNDED),
    st.sampled_from(EDITS),
    seeds,
    st.floats(-12, 1),
    exponents,
    st.sampled_from([0, 2, 5, 20]),
)
def test_a_proved_bound_is_never_violated(
    W: np.ndarray, kind: str, seed: int, size: float, s: float, m: int
) -> None:
    edit = step_of(W, kind, 10**size, seed)
    inputs = np.random.default_rng(seed).normal(size=(W.shape[1], m)) if m else None
    audit = audit_bound(W, edit, inputs, s=s)
    assert audit.check("unconditional").verdict in HOLDS, audit.check("unconditional")
    assert audit.check("certified").verdict in HOLDS | {"not applicable"}, audit.check("certified")
    low, high = audit.energy_change - audit.change_rounding, audit.energy_change + audit.change_rounding
    assert audit.enclosure.low <= high
    assert audit.enclosure.high >= low


@given(seeds, st.floats(0, 16), st.floats(0, 10), st.integers(2, 5), exponents, st.floats(-10, 1))
def test_no_conditioning_and_no_ratio_of_lengths_violates_it(
    seed: int, condition: float, ratio: float, n: int, s: float, size: float
) -> None:
    """theory.md's case among them: n = 2, ‖w_2‖/‖w_1‖ = 1e8, cond(X) = 1e8."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, 4)) * np.geomspace(1, 10**ratio, n)[:, None]
    X = conditioned(rng, 4, 6, 10**condition)
    for edit in (step_of(W, "random", 10**size, seed), rng.normal(size=W.shape) * 10**size):
        assert audit_bound(W, edit, X, s=s).check("unconditional").verdict in HOLDS


def test_the_case_that_read_violated() -> None:
    """69 of 150 did, while σ carried the conditioning of X and the comparison allowed 1e-11."""
    for seed in range(150):
        rng = np.random.default_rng(seed)
        W = rng.normal(size=(2, 3)) * np.array([[1.0], [1e8]])
        edit, X = 1e-3 * rng.normal(size=(2, 3)) * np.array([[1.0], [1e8]]), conditioned(rng, 3, 5, 1e8)
        for kind in PROVED:
            assert audit_bound(W, edit, X).check(kind).verdict == "holds"


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("s", naive.EXPONENTS)
def test_a_constant_that_is_one_percent_too_small_is_caught(
    monkeypatch: pytest.MonkeyPatch, s: float, condition: float
) -> None:
    """No slack rescues it, at this conditioning of X neither: the edit is where X sees least."""
    at = np.array([0.5, -0.5])
    W = np.stack([np.cos(at), np.sin(at), 0 * at], axis=1)
    to = at - np.array([1e-5, -1e-5])
    edit = np.stack([np.cos(to), np.sin(to), 0 * to], axis=1) - W
    X = np.diag([1 / condition, 1 / condition, 1.0])
    honest = audit_bound(W, edit, X, s=s).check("unconditional")
    assert (honest.verdict, round(honest.tightness, 3)) == ("holds", 1.0)
    small = module._constants

    def shrunk(*args: Any) -> Any:
        slope, constants, found = small(*args)
        K = constants["unconditional"]
        return slope, constants | {"unconditional": replace(K, value=0.99 * K.value)}, found

    monkeypatch.setattr(module, "_constants", shrunk)
    assert audit_bound(W, edit, X, s=s).check("unconditional").verdict == "violated"


def test_sides_that_are_equal_to_rounding_are_undecided() -> None:
    """A step whose second order is below the last digit: neither holds nor violated can be told."""
    at = np.array([0.5, -0.5])
    W = np.stack([np.cos(at), np.sin(at)], axis=1)
    slope = energy_gradient(W)
    check = audit_bound(W, 1e-15 * slope).check("gradient")
    assert check.verdict == "undecided"
    assert check.reason.startswith("‖ΔV‖² = ")
    assert check.reason.endswith("rounding is as large as what is between")


def test_the_unconditional_bound_applies_to_an_edit_of_the_layers_own_size() -> None:
    W, edit = a_case(3, size=2.0)
    audit = audit_bound(W, edit)
    assert audit.relative_edit > 1
    assert verdicts(audit) == {
        "unconditional": "holds",
        "gradient": "holds",
        "triangle": "holds",
        "certified": "not applicable",
    }
    naive.check_close(audit.check("unconditional").constant, naive.K_star(W, edit), 1e-9)


@given(seeds, st.floats(-8, -2), st.integers(0, 9))
def test_the_proved_bounds_hold_along_the_gradient(seed: int, size: float, shift: int) -> None:
    """The steepest edits, where the first-order bound breaks."""
    W = np.random.default_rng(seed).normal(size=(6, 4 + shift))
    edit = energy_gradient(W)
    edit *= 10**size * np.linalg.norm(W) / np.linalg.norm(edit)
    audit = audit_bound(W, edit)
    assert audit.check("unconditional").verdict == "holds"
    assert audit.check("certified").verdict in {"holds", "not applicable"}


@given(naive.weights(without=BOUNDED), seeds, st.floats(-8, 0), exponents)
def test_the_angles_bound_the_change_more_closely(W: np.ndarray, seed: int, size: float, s: float) -> None:
    audit = audit_bound(W, step_of(W, "random", 10**size, seed), s=s)
    assert abs(audit.energy_change) - audit.change_rounding <= audit.angular_bound * (1 + 1e-9)


@pytest.mark.parametrize("s", naive.EXPONENTS)
@pytest.mark.parametrize("size", [1e-2, 3.0])
def test_the_angular_bound_is_its_formula(s: float, size: float) -> None:
    W, edit = a_case(1, size=size)
    audit = audit_bound(W, edit, s=s)
    fall, rise = naive.end_bounds(W, edit, s)
    naive.check_close(audit.angular_bound, rise if audit.energy_change > 0 else fall, 1e-9)


def test_the_angular_bound_is_sharp_for_a_pair_that_closes_and_for_longer_neurons() -> None:
    W = np.eye(2)
    closing = np.array([[0.0, 1e-6], [0.0, 0.0]])
    audit = audit_bound(W, closing)
    naive.check_close(audit.angular_bound, abs(audit.energy_change), 1e-5)
    longer = audit_bound(W, 0.5 * W)
    assert longer.angular_bound == longer.energy_change == 0
    assert longer.check("certified").constant * longer.edit_norm > 0.1


@pytest.mark.parametrize("short", [1e-1, 1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("size", [1e-4, 1e-10])
def test_the_certified_bound_holds_for_nearly_antipodal_neurons(size: float, short: float) -> None:
    """√(1 − D²/4) loses its digits there, and two neurons leave no slack."""
    for seed in range(20):
        W = naive.near(np.random.default_rng(seed), 2, 6, math.pi - short)
        steepest, triangle = (bound_constant(W, kind=kind) for kind in FIRST_ORDER)
        assert steepest <= triangle * (1 + 1e-8)
        for sign in (1, -1):
            uphill = sign * energy_gradient(W)
            audit = audit_bound(W, size * short * np.linalg.norm(W) / np.linalg.norm(uphill) * uphill)
            for kind in PROVED:
                assert audit.check(kind).verdict in HOLDS, audit.check(kind)
                assert audit.check(kind).verdict == "holds" or size * short < 1e-10


def test_the_certificate_is_not_vacuous() -> None:
    """Small edits of ordinary layers are covered, and lose no more than the triangle inequality does."""
    for seed in range(20):
        W, edit = a_case(seed)
        checks = audit_bound(W, edit)
        assert checks.check("certified").verdict == "holds"
        assert checks.check("certified").lower_bound > 0.5 * checks.check("triangle").lower_bound


def test_a_large_edit_has_no_certificate_and_the_pair_is_named() -> None:
    W, edit = a_case(3, size=2.0)
    audit = audit_bound(W, edit)
    i, j = audit.closest_pair
    gaps = naive.gaps(W, edit)
    naive.check_close(audit.smallest_gap, gaps.min(), 1e-12)
    naive.check_close(audit.largest_turn, naive.turns(W, edit).max(), 1e-9)
    assert i < j
    naive.check_close(gaps[i, j - 1], gaps.min(), 1e-12)
    check = audit.check("certified")
    obstacle = f"neurons {i} and {j} may meet: φ = {audit.smallest_gap:.4g} ≤ 0"
    assert (check.verdict, check.reason) == ("not applicable", obstacle)
    assert math.isnan(check.constant)


def test_an_edit_through_the_origin_has_no_certificate() -> None:
    """A neuron that passes through the origin has turned by π: it may have met any other."""
    audit = audit_bound(np.eye(3), np.diag([-2.0, 0, 0]))
    check = audit.check("certified")
    assert (check.verdict, check.reason) == ("not applicable", "neurons 0 and 1 may meet: φ = -1.571 ≤ 0")
    assert audit.check("unconditional").verdict == "holds"


# --- readings that must break --------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-7])
def test_the_first_order_bound_breaks_along_the_gradient(size: float) -> None:
    """B3: the energy is convex along its own gradient, so ΔHE > ⟨∇HE, ΔW⟩ = K‖ΔW‖ at every small step."""
    for seed in range(10):
        W = np.random.default_rng(seed).normal(size=(12, 8))
        gradient = energy_gradient(W)
        audit = audit_bound(W, size * np.linalg.norm(W) / np.linalg.norm(gradient) * gradient)
        check = audit.check("gradient")
        assert verdicts(audit) == dict.fromkeys(PROVED, "holds") | {
            "gradient": "violated",
            "triangle": "holds",
        }
        assert check.reason == f"‖ΔV‖² = {audit.output_change_squared:.6g} < {check.lower_bound:.6g}"
        assert 1 < check.tightness < 2
        assert (
            audit_bound(W, -size * 0.1 / np.linalg.norm(gradient) * gradient).check("gradient").verdict
            == "holds"
        )


def test_an_edit_hidden_from_the_inputs() -> None:
    """B2: XᵀX = I with m < d says nothing about an edit outside span(X)."""
    W, edit = a_case(4)
    Q = naive.orthonormal(np.random.default_rng(5), 8, 8)
    hidden = edit @ Q[:, 5:] @ Q[:, 5:].T
    audit = audit_bound(W, hidden, Q[:, :5])
    assert audit.orthonormality_error < 1e-14
    assert audit.output_change_squared < 1e-28
    assert audit.input_strength < 1e-12
    assert verdicts(audit) == dict.fromkeys(FIRST_ORDER, "violated") | dict.fromkeys(PROVED, "holds")
    few = audit_bound(W, edit, Q[:, :5])
    assert (few.input_strength, few.check("certified").reason) == (0.0, "nothing is asked for: σ = 0")


def test_inputs_that_are_not_orthonormal() -> None:
    W, edit = a_case(6)
    X = np.random.default_rng(7).normal(size=(8, 5))
    audit = audit_bound(W, edit, X)
    error = np.linalg.norm(X.T @ X - np.eye(5), 2)
    naive.check_close(audit.orthonormality_error, error, 1e-9)
    reason = f"inputs not orthonormal: ‖XᵀX − I‖₂ = {error:.3g}"
    for kind in FIRST_ORDER:
        assert (audit.check(kind).verdict, audit.check(kind).reason) == ("not applicable", reason)
    for kind in PROVED:
        assert audit.check(kind).verdict == "holds"


@pytest.mark.parametrize("s", naive.EXPONENTS)
def test_a_critical_point_voids_the_first_order(s: float) -> None:
    W = naive.simplex(6)
    check = audit_bound(W, step_of(W, "random", 1e-3, 8), s=s).check("gradient")
    assert (check.verdict, check.reason) == ("not applicable", "∇HE(W) = 0: the first order says nothing")


def test_the_page_is_the_same_text_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    W = np.random.default_rng(9).normal(size=(4, 3))
    audit = audit_bound(W, step_of(W, "random", 1e-3, 10))
    page = str(audit)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "Theorem 1 on one edit" in page
    assert str(audit) == page


@pytest.mark.parametrize("far", [5, 600])
def test_coincident_neurons_are_reported_not_raised(far: int) -> None:
    W = np.random.default_rng(9).normal(size=(far + 1, 8))
    W[2], W[far] = np.arange(1, 9), 3.0 * np.arange(1, 9)
    audit = audit_bound(W, step_of(W, "random", 1e-3, 10))
    assert audit.energy_before == math.inf
    assert math.isnan(audit.first_order_change)
    for check in audit.checks:
        assert check.verdict == "not applicable"
        assert check.reason == f"rows 2 and {far} coincide: HE is infinite"
    assert "coincide" in str(audit)
    assert math.isnan(audit.angular_bound)
    assert audit.enclosure == Interval(-math.inf, math.inf)


def test_an_edit_onto_another_neuron() -> None:
    W = np.eye(3)
    audit = audit_bound(W, np.array([[-1.0, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert audit.energy_after == math.inf
    assert audit.check("triangle").reason == "HE is infinite after the edit"
    assert set(verdicts(audit).values()) == {"not applicable"}


def test_a_single_neuron() -> None:
    audit = audit_bound(np.array([[1.0, 2.0]]), np.array([[0.1, 0.0]]))
    assert (audit.energy_before, audit.energy_change) == (0, 0)
    assert verdicts(audit) == dict.fromkeys(FIRST_ORDER, "not applicable") | dict.fromkeys(PROVED, "holds")


def test_no_edit() -> None:
    W, edit = a_case(11)
    for inputs in (None, np.eye(8)[:, :3]):
        audit = audit_bound(W, 0 * edit, inputs)
        assert set(verdicts(audit).values()) == {"holds"}
        assert (audit.energy_change, audit.output_change_squared) == (0, 0)
        assert math.isnan(audit.check("certified").tightness)
        assert math.isnan(audit.first_order_error)


@pytest.mark.parametrize("s", naive.EXPONENTS)
@pytest.mark.parametrize("seed", range(20))
def test_two_opposite_neurons_do_not_pull(seed: int, s: float) -> None:
    """K* = 0 there, and of a radial edit's ΔHE rounding is all there is."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=5)
    W = np.stack([w, -w])
    edit = W * rng.uniform(-0.9, 2, size=(2, 1)) + 1e-17 * rng.normal(size=(2, 5))
    for kind in PROVED:
        check = audit_bound(W, edit, s=s).check(kind)
        assert check.verdict in HOLDS
        assert check.lower_bound < 1e-20


def test_a_radial_edit_is_free() -> None:
    """E7: ΔHE = 0 at any size of output change."""
    W, _ = a_case(12)
    audit = audit_bound(W, 3 * W)
    assert abs(audit.energy_change) < 1e-12 * audit.energy_before
    assert audit.output_change_squared > 100
    assert audit.largest_turn < 1e-15


# --- what the audit measures ---------------------------------------------------------------------


@given(naive.weights(without=(*BOUNDED, "mixed scales")), seeds, st.floats(-6, -1), exponents)
def test_the_audit_measures_what_it_says(W: np.ndarray, seed: int, size: float, s: float) -> None:
    edit = step_of(W, "random", 10**size, seed)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(W.shape[1], int(rng.integers(1, 2 * W.shape[1]))))
    audit = audit_bound(W, edit, X, s=s)
    plain = W.astype(np.float64)
    assert (audit.n, audit.d, audit.m, audit.s) == (*W.shape, X.shape[1], s)
    scale = np.linalg.norm(X, 2)
    naive.check_close(audit.edit_norm, np.linalg.norm(edit), 1e-12)
    naive.check_close(audit.relative_edit, np.linalg.norm(edit) / np.linalg.norm(plain), 1e-12)
    naive.check_close(audit.output_change_squared, np.linalg.norm(edit @ X) ** 2, 1e-12)
    naive.check_close(audit.orthonormality_error, np.linalg.norm(X.T @ X - np.eye(X.shape[1]), 2), 1e-9)
    naive.check_close(audit.input_strength, naive.strength(edit, X), 1e-5, scale)
    stored = naive.exact(W), naive.exact(edit)
    naive.check_close(audit.largest_turn, naive.turns(*stored).max(), 1e-9, naive.turns(*stored).max() + 1e-6)
    naive.check_close(audit.smallest_gap, naive.gaps(*stored).min(), 1e-9, 1.0)
    slope = energy_gradient(plain, s=s)
    naive.check_close(audit.first_order_change, (slope * edit).sum(), 1e-9, np.abs(slope * edit).sum())
    for check in audit.checks:
        if check.verdict != "not applicable":
            weight = audit.input_strength if check.kind in PROVED else 1.0
            naive.check_close(check.lower_bound, (weight * audit.energy_change / check.constant) ** 2, 1e-12)
            needed, reached = check.lower_bound, audit.output_change_squared
            assert check.tightness == pytest.approx(needed / reached, rel=1e-12)
            assert (check.verdict == "holds") == (reached >= needed * (1 - 1e-9))


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("m", [1, 3, 8, 30])
def test_strength_is_the_weakest_input_on_the_row_space(rank: int, m: int) -> None:
    rng = np.random.default_rng(rank * 100 + m)
    W, X = rng.normal(size=(10, 8)), rng.normal(size=(8, m))
    edit = 1e-3 * rng.normal(size=(10, rank)) @ rng.normal(size=(rank, 8))
    got = audit_bound(W, edit, X).input_strength
    naive.check_close(got, naive.strength(edit, X), 1e-6, np.linalg.norm(X, 2))
    assert (got == 0) == (m < rank)
    assert np.linalg.norm(edit @ X) >= got * np.linalg.norm(edit) * (1 - 1e-12)


def test_first_order_error_falls_with_the_edit() -> None:
    W, edit = a_case(13, size=1.0)
    errors = [audit_bound(W, t * edit).first_order_error for t in (1e-2, 1e-4, 1e-6)]
    naive.check_close(np.divide(errors[1:], errors[:-1]), 0.01, 0.2)


@pytest.mark.parametrize("scale", [1e-6, 0.1, 7.0, 1e9])
def test_the_bound_scales_as_the_square(scale: float) -> None:
    """B1: (ΔHE/K)² goes with c², so |ΔV| can only mean ‖ΔV‖²; read as ‖ΔV‖ the claim breaks."""
    W, edit = a_case(14)
    one, scaled = audit_bound(W, edit), audit_bound(scale * W, scale * edit)
    assert verdicts(one) == verdicts(scaled)
    for kind in KINDS:
        naive.check_close(scaled.check(kind).lower_bound, scale**2 * one.check(kind).lower_bound, 1e-9)
        naive.check_close(scaled.check(kind).tightness, one.check(kind).tightness, 1e-9)
    huge = audit_bound(1e9 * W, 1e9 * edit)
    assert math.sqrt(huge.output_change_squared) < huge.check("gradient").lower_bound


def test_a_low_rank_edit_is_its_product() -> None:
    W, _ = a_case(15)
    rng = np.random.default_rng(16)
    update = LowRankUpdate(1e-3 * rng.normal(size=(10, 2)), rng.normal(size=(8, 2)))
    X = rng.normal(size=(8, 3))
    assert audit_bound(W, update, X) == audit_bound(W, update.dense(), X)
    assert bound_constant(W, update, kind="certified") == bound_constant(W, update.dense(), kind="certified")


def test_a_low_rank_edit_in_float32_stays_of_low_rank() -> None:
    """Rounded as a float32 product it would be of full rank, and hidden from any few inputs."""
    W, X = a_case(23)[0], np.random.default_rng(24).normal(size=(8, 1))
    left, right = (np.random.default_rng(25).normal(size=(k, 1)).astype(np.float32) for k in (10, 8))
    strength = audit_bound(W, LowRankUpdate(1e-3 * left, right), X).input_strength
    naive.check_close(
        strength, abs(naive.plain(right).T @ X).item() / np.linalg.norm(naive.plain(right)), 1e-12
    )


def test_more_inputs_than_dimensions_are_never_orthonormal() -> None:
    """Not even those of a tight frame, X Xᵀ = I: XᵀX is singular."""
    W, edit = a_case(26)
    audit = audit_bound(W, edit, naive.orthonormal(np.random.default_rng(27), 12, 8).T)
    naive.check_close(audit.orthonormality_error, 1.0, 1e-12)
    naive.check_close(audit.input_strength, 1.0, 1e-12)
    assert verdicts(audit) == dict.fromkeys(FIRST_ORDER, "not applicable") | dict.fromkeys(PROVED, "holds")


def test_numpy_and_torch_agree() -> None:
    W, edit = (x.astype(np.float32) for x in a_case(17))
    X = naive.orthonormal(np.random.default_rng(18), 8, 5).astype(np.float32)
    assert audit_bound(W, edit, X) == audit_bound(*map(torch.from_numpy, (W, edit, X)))
    assert audit_bound(W, edit, X).check("gradient").verdict != "not applicable"  # float32 bases count


def printed(audit: BoundAudit) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in str(audit).splitlines()
        if "│" in line
    ]


def test_the_audit_prints_its_verdicts() -> None:
    W, edit = a_case(19)
    for audit in (audit_bound(W, edit), audit_bound(W, edit, 2 * np.eye(8)), audit_bound(W, 1e3 * edit)):
        rows = printed(audit)
        for name, value in audit.facts():
            assert [name, value] in rows
        for check in audit.checks:
            row = next(row for row in rows if row[0] == check.kind)
            assert row[:5] == [
                check.kind,
                f"{check.constant:.6g}",
                f"{check.lower_bound:.6g}",
                f"{check.tightness:.6g}",
                check.verdict,
            ]
            assert check.reason.startswith(row[5])


def test_refusals() -> None:
    W, edit = a_case(20)
    names = "expected one of 'unconditional', 'gradient', 'triangle', 'certified', got 'taylor'"
    naive.check_refused(lambda: audit_bound(W, edit).check("taylor"), RangeError, f"kind: {names}")


@pytest.mark.gpu
def test_audit_on_cuda(cuda: torch.device) -> None:
    W, edit = a_case(21, 600, 64)
    X = naive.orthonormal(np.random.default_rng(22), 64, 40)
    args: list[Any] = [torch.from_numpy(x) for x in (W, edit, X)]
    here, there, again = (audit_bound(*(x.to(device) for x in args)) for device in ("cpu", cuda, cuda))
    assert there == again
    assert verdicts(there) == verdicts(here)
    naive.check_close(there.energy_change, here.energy_change, 1e-8)
    for kind in KINDS:
        naive.check_close(there.check(kind).constant, here.check(kind).constant, 1e-9)
