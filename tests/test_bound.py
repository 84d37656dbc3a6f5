"""Theorem 1 audited: constants against oracles, a certificate never broken, readings that must break."""

from __future__ import annotations

import math
from typing import Any

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import BoundAudit, LowRankUpdate, audit_bound, bound_constant, energy_gradient
from sphere_theory.errors import CertificateError, CoincidentNeuronsError, InputError, RangeError

KINDS = ("gradient", "triangle", "certified")
seeds = st.integers(0, 2**32 - 1)
exponents = st.sampled_from(naive.EXPONENTS)
BOUNDED = ("huge", "tiny")


def edit_of(W: np.ndarray, size: float, seed: int) -> np.ndarray:
    """Every neuron moved by about `size` of its own length, in float64."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=W.shape)
        * np.linalg.norm(W.astype(np.float64), axis=1)[:, None]
        * size
        / math.sqrt(W.shape[1])
    )


def verdicts(audit: BoundAudit) -> dict[str, str]:
    return {check.kind: check.verdict for check in audit.checks}


def a_case(seed: int = 0, n: int = 10, d: int = 8, size: float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
    W = np.random.default_rng(seed).normal(size=(n, d))
    return W, edit_of(W, size, seed + 1)


# --- constants -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("structure", [name for name in naive.STRUCTURES if name != "antipodal"])
def test_constants_in_50_digits(structure: str, dtype: str) -> None:
    for seed, s in enumerate(naive.EXPONENTS):
        W = naive.structured(structure, seed, 6, 5, dtype)
        stored = naive.exact(W)
        least = float(min(naive.distances(stored)[np.triu_indices(6, 1)]))
        edit = edit_of(W, 0.1 * min(least, 1), seed)
        naive.check_close(bound_constant(W, s=s), naive.frobenius(naive.gradient(stored, s)), 1e-9)
        naive.check_close(bound_constant(W, kind="triangle", s=s), naive.K_tri(stored, s), 1e-9)
        certified = naive.K_cert(stored, naive.exact(edit), s)
        naive.check_close(bound_constant(W, edit, kind="certified", s=s), certified, 1e-8)


@given(naive.weights(without=BOUNDED), exponents)
def test_constants_are_ordered(W: np.ndarray, s: float) -> None:
    steepest, triangle = (bound_constant(W, kind=kind, s=s) for kind in KINDS[:2])
    assert steepest <= triangle * (1 + 1e-12)
    certified = bound_constant(W, edit_of(W, 1e-9, 0), kind="certified", s=s)
    assert certified >= triangle * (1 - 1e-12)


def test_certified_constant_of_no_edit_is_the_triangle_constant() -> None:
    W, edit = a_case()
    naive.check_close(
        bound_constant(W, 0 * edit, kind="certified"), bound_constant(W, kind="triangle"), 1e-12
    )


@pytest.mark.parametrize("scale", [1e-250, 1e-170, 1e-8, 1e8, 1e170, 1e250])
@pytest.mark.parametrize("kind", KINDS)
def test_constants_are_inverse_to_the_scale(kind: str, scale: float) -> None:
    W, edit = a_case(1)
    expected = bound_constant(W, edit, kind=kind) / scale
    naive.check_close(bound_constant(W * scale, edit * scale, kind=kind), expected, 1e-9)


def test_constants_over_many_tiles() -> None:
    W, edit = a_case(2, 700, 6, 1e-6)
    naive.check_close(bound_constant(W, kind="triangle"), naive.K_tri(W), 1e-9)
    naive.check_close(bound_constant(W, edit, kind="certified"), naive.K_cert(W, edit), 1e-6)


def test_a_neuron_drawn_towards_the_origin_counts_at_its_nearest_point() -> None:
    """m_i is a distance to the whole segment, not to its ends."""
    W = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    edit = np.array([[-0.5, math.sqrt(0.75), 0.0], [0.0, 0.0, 0.0]])  # turned by 60°, at equal length
    naive.check_close(naive.reaches(W, edit), [math.cos(math.pi / 6), 5.0], 1e-12)
    naive.check_close(bound_constant(W, edit, kind="certified"), naive.K_cert(W, edit), 1e-12)


# --- the certificate -----------------------------------------------------------------------------


@given(naive.weights(without=BOUNDED), seeds, st.floats(-8, 0), exponents, st.sampled_from([0, 2, 5, 20]))
def test_the_certified_bound_is_never_violated(
    W: np.ndarray, seed: int, size: float, s: float, m: int
) -> None:
    edit = edit_of(W, 10**size, seed)
    inputs = np.random.default_rng(seed).normal(size=(W.shape[1], m)) if m else None
    check = audit_bound(W, edit, inputs, s=s).check("certified")
    assert check.verdict in {"holds", "not applicable"}, check
    if check.verdict == "holds":
        assert check.tightness <= 1 + 1e-9 or math.isnan(check.tightness)


@given(seeds, st.floats(-8, -2), st.integers(0, 9))
def test_the_certified_bound_holds_along_the_gradient(seed: int, size: float, shift: int) -> None:
    """The steepest edits, where the first-order bound breaks."""
    W = np.random.default_rng(seed).normal(size=(6, 4 + shift))
    edit = energy_gradient(W)
    edit *= 10**size * np.linalg.norm(W) / np.linalg.norm(edit)
    assert audit_bound(W, edit).check("certified").verdict in {"holds", "not applicable"}


@given(naive.weights(without=BOUNDED), seeds, st.floats(-8, 0), exponents)
def test_the_angles_bound_the_change_more_closely(W: np.ndarray, seed: int, size: float, s: float) -> None:
    audit = audit_bound(W, edit_of(W, 10**size, seed), s=s)
    check = audit.check("certified")
    if check.verdict == "not applicable":
        assert math.isnan(audit.angular_bound)
    else:
        assert abs(audit.energy_change) <= audit.angular_bound * (1 + 1e-9)
        assert audit.angular_bound <= check.constant * audit.edit_norm * (1 + 1e-9)


def test_the_angular_bound_is_its_formula() -> None:
    W, edit = a_case(1, size=1e-2)
    gaps, turns = naive.gaps(W, edit), naive.turns(W, edit)
    for s in naive.EXPONENTS:
        pulls = (2 * np.sin(gaps / 2)) ** (-s - 1) * np.cos(gaps / 2)
        expected = (2 * s or 2) * (turns * pulls.sum(axis=1)).sum()
        naive.check_close(audit_bound(W, edit, s=s).angular_bound, expected, 1e-9)


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
        assert bound_constant(W) <= bound_constant(W, kind="triangle") * (1 + 1e-8)
        for sign in (1, -1):
            uphill = sign * energy_gradient(W)
            audit = audit_bound(W, size * short * np.linalg.norm(W) / np.linalg.norm(uphill) * uphill)
            assert audit.check("certified").verdict == "holds", audit.check("certified")


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
    message = (
        f"delta: expected an edit along which no two neurons can meet, got {obstacle} (first at {(i, j)})"
    )
    naive.check_refused(lambda: bound_constant(W, edit, kind="certified"), CertificateError, message)


def test_an_edit_through_the_origin_has_no_certificate() -> None:
    W = np.eye(3)
    edit = np.diag([-2.0, 0, 0])
    check = audit_bound(W, edit).check("certified")
    assert (check.verdict, check.reason) == ("not applicable", "neuron 0 passes through the origin")


# --- readings that must break --------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-7])
def test_the_first_order_bound_breaks_along_the_gradient(size: float) -> None:
    """B3: the energy is convex along its own gradient, so ΔHE > ⟨∇HE, ΔW⟩ = K‖ΔW‖ at every small step."""
    for seed in range(10):
        W = np.random.default_rng(seed).normal(size=(12, 8))
        gradient = energy_gradient(W)
        audit = audit_bound(W, size * np.linalg.norm(W) / np.linalg.norm(gradient) * gradient)
        check = audit.check("gradient")
        assert (check.verdict, audit.check("certified").verdict) == ("violated", "holds")
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
    assert verdicts(audit) == {"gradient": "violated", "triangle": "violated", "certified": "holds"}
    few = audit_bound(W, edit, Q[:, :5])
    assert (few.input_strength, few.check("certified").reason) == (0.0, "nothing is asked for: σ = 0")


def test_inputs_that_are_not_orthonormal() -> None:
    W, edit = a_case(6)
    X = np.random.default_rng(7).normal(size=(8, 5))
    audit = audit_bound(W, edit, X)
    error = np.linalg.norm(X.T @ X - np.eye(5), 2)
    naive.check_close(audit.orthonormality_error, error, 1e-9)
    reason = f"inputs not orthonormal: ‖XᵀX − I‖₂ = {error:.3g}"
    for kind in KINDS[:2]:
        assert (audit.check(kind).verdict, audit.check(kind).reason) == ("not applicable", reason)
    assert audit.check("certified").verdict == "holds"


@pytest.mark.parametrize("s", naive.EXPONENTS)
def test_a_critical_point_voids_the_first_order(s: float) -> None:
    W = naive.simplex(6)
    check = audit_bound(W, edit_of(W, 1e-3, 8), s=s).check("gradient")
    assert (check.verdict, check.reason) == ("not applicable", "∇HE(W) = 0: the first order says nothing")


def test_the_page_is_the_same_text_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    W = np.random.default_rng(9).normal(size=(4, 3))
    audit = audit_bound(W, edit_of(W, 1e-3, 10))
    page = str(audit)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "Theorem 1 on one edit" in page
    assert str(audit) == page


@pytest.mark.parametrize("far", [5, 600])
def test_coincident_neurons_are_reported_not_raised(far: int) -> None:
    W = np.random.default_rng(9).normal(size=(far + 1, 8))
    W[2], W[far] = np.arange(1, 9), 3.0 * np.arange(1, 9)
    audit = audit_bound(W, edit_of(W, 1e-3, 10))
    assert audit.energy_before == math.inf
    assert math.isnan(audit.first_order_change)
    for check in audit.checks:
        assert check.verdict == "not applicable"
        assert check.reason == f"rows 2 and {far} coincide: HE is infinite"
    assert "coincide" in str(audit)
    message = naive.COINCIDENT.format(2, far)
    for kind in KINDS:
        naive.check_refused(lambda k=kind: bound_constant(W, 0 * W, kind=k), CoincidentNeuronsError, message)


def test_an_edit_onto_another_neuron() -> None:
    W = np.eye(3)
    audit = audit_bound(W, np.array([[-1.0, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert audit.energy_after == math.inf
    assert audit.check("triangle").reason == "HE is infinite after the edit"
    assert set(verdicts(audit).values()) == {"not applicable"}


def test_a_single_neuron() -> None:
    audit = audit_bound(np.array([[1.0, 2.0]]), np.array([[0.1, 0.0]]))
    assert (audit.energy_before, audit.energy_change) == (0, 0)
    assert verdicts(audit) == {
        "gradient": "not applicable",
        "triangle": "not applicable",
        "certified": "holds",
    }


def test_no_edit() -> None:
    W, edit = a_case(11)
    for inputs in (None, np.eye(8)[:, :3]):
        audit = audit_bound(W, 0 * edit, inputs)
        assert set(verdicts(audit).values()) == {"holds"}
        assert (audit.energy_change, audit.output_change_squared) == (0, 0)
        assert math.isnan(audit.check("certified").tightness)
        assert math.isnan(audit.first_order_error)


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
    edit = edit_of(W, 10**size, seed)
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
            weight = audit.input_strength if check.kind == "certified" else 1.0
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
    assert verdicts(audit) == {
        "gradient": "not applicable",
        "triangle": "not applicable",
        "certified": "holds",
    }


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
    wanted = "expected the edit that the constant is to cover, got None"
    naive.check_refused(lambda: bound_constant(W, kind="certified"), InputError, f"delta: {wanted}")
    names = "expected one of 'gradient', 'triangle', 'certified', got 'taylor'"
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
