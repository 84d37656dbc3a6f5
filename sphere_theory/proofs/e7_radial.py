"""E7: outputs change at will while the energy, the row norms and the singular values stand still."""

from __future__ import annotations

import sympy as sp

from .e1_invariance import chord_squared
from .exact import change, energy, frobenius_squared
from .noncommutative import Algebra, with_transpose
from .proof import Counterexample, Proof, Step, equal
from .vectors import Span

a, b, t = sp.symbols("‖w_i‖² ‖w_j‖² t", positive=True)
g = sp.Symbol("w_i·w_j", real=True)
p, q = sp.symbols("1+λ_i 1+λ_j", positive=True)
W = sp.ImmutableMatrix([[3, 4], [5, 0]])
X = sp.ImmutableMatrix(sp.eye(2))
THOUSAND = sp.Integer(1000)


def prove() -> Proof:
    """Prove that neither ΔHE nor ΔHE with norms and spectrum bounds ΔV from above."""
    return Proof(
        id="E7",
        title="No upper bound of the output change",
        theorem=(
            "If Δw_i = λ_i w_i with λ_i > −1 for every i, then ΔHE_s = 0, while ΔV = diag(λ) W X is as "
            "large as the λ_i make it. Nor do row norms and singular values help: for every orthogonal R, W "
            "↦ W R keeps HE_s, all row norms and all singular values, while ΔV = W(R − I)X; with R = −I and "
            "complete orthonormal X, ‖ΔV‖_F = 2‖W‖_F, the largest value that the norms allow. Hence ‖ΔV‖ ≤ "
            "f(ΔHE, changes of the row norms, changes of the singular values) holds for no f that is finite "
            "at 0."
        ),
        steps=(
            Step(
                "Directions stay",
                "w_i + λ_i w_i = (1 + λ_i)w_i: every D_ij is unchanged",
                "all n, d, s, all λ_i > −1",
                _directions,
            ),
            Step(
                "Outputs do not",
                "W = (3, 4; 5, 0), Δw_1 = t w_1, X = I:  ΔHE_s = 0 and ‖ΔV‖_F = 5t, without limit",
                "exact, n = d = 2, every t > 0, s = 0, 1, 2",
                _outputs,
            ),
            Step(
                "Through the origin",
                "the same W, λ_1 = −2 turns w_1 to −w_1: ΔHE_1 = −√5/2 ≠ 0",
                "exact, n = d = 2, s = 1",
                _through_origin,
            ),
            Step(
                "A rotation of the inputs keeps all three",
                "RRᵀ = RᵀR = I:  (W R)(W R)ᵀ = W Wᵀ, whose diagonal holds the ‖w_i‖², whose entries give "
                "HE_s (E1), and whose eigenvalues are the squares of the singular values",
                "all n, d, s, every orthogonal R",
                _rotation,
            ),
            Step(
                "And turns every output",
                "‖W(R − I)‖² = tr(W Wᵀ) + tr(W R Rᵀ Wᵀ) − 2 tr(W R Wᵀ) = 2‖W‖² − 2⟨W R, W⟩: 4‖W‖² for R = "
                "−I, 4 sin²(ω/2)‖W‖² for the rotation of the plane by ω",
                "all n, d; the rotation for d = 2, every ω, every W with n = 2",
                _size,
            ),
            Step(
                "Exact family",
                "W = r(3, 4; 5, 0), R the rotation by 2·arctan(t), X = I: ΔHE_s = 0, norms and singular "
                "values stay, and ‖ΔV‖_F = 10√2 r t/√(1 + t²), every value from 0 to 2‖W‖_F = 10√2 r",
                "exact, n = d = 2, every t > 0 and r > 0, s = 0, 1, 2",
                _family,
            ),
            Step(
                "The largest that the norms allow",
                "‖ŵ_i‖ = ‖w_i‖:  (2‖w_i‖)² − ‖ŵ_i − w_i‖² = ‖ŵ_i + w_i‖² ≥ 0, so ‖ΔW‖_F ≤ 2‖W‖_F, reached "
                "by −W",
                "all n, d, every edit that keeps the row norms",
                _largest,
            ),
        ),
        conclusion=(
            "A stable energy is necessary at most, never sufficient. Norm growth is invisible to it (the "
            "rows must not reach or cross the origin, λ_i > −1), and reading HE beside norms and spectrum "
            "does not mend it: all three can stand still while every output changes its sign. What the "
            "norms themselves give is the trivial ‖ΔV‖ ≤ (‖W‖_F + ‖Ŵ‖_F)‖X‖, which knows nothing of how "
            "much they changed, and the family shows that no better one exists. An upper bound has to look "
            "at ΔW or at outputs."
        ),
        counterexamples=(
            Counterexample(
                refutes="ΔHE = 0 implies a small ΔV",
                W=W,
                delta=_edit(THOUSAND),
                X=X,
                values=(
                    ("ΔHE", change(W, _edit(THOUSAND))),
                    ("‖ΔV‖_F²", frobenius_squared(_edit(THOUSAND) * X)),
                ),
            ),
            Counterexample(
                refutes="HE, row norms and singular values all unchanged imply a small ΔV",
                W=W,
                delta=sp.ImmutableMatrix(-2 * W),
                X=X,
                values=(
                    ("ΔHE", change(W, -2 * W)),
                    ("‖ΔV‖_F²", frobenius_squared(-2 * W * X)),
                    ("4‖W‖_F²", 4 * frobenius_squared(W)),
                ),
            ),
        ),
    )


def _edit(scale: sp.Expr) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix(sp.diag(scale, 0) * W)


def _directions() -> bool:
    scaled = chord_squared(p**2 * a, q**2 * b, p * q * g)
    return equal(scaled, chord_squared(a, b, g))


def _outputs() -> bool:
    still = all(equal(change(W, _edit(t), s), 0) for s in (0, 1, 2))
    size2 = frobenius_squared(_edit(t) * X)
    return still and equal(size2, (5 * t) ** 2) and sp.limit(size2, t, sp.oo) == sp.oo


def _through_origin() -> bool:
    return equal(change(W, _edit(sp.Integer(-2))), -sp.sqrt(5) / 2)


def _rotation() -> bool:
    A, At = with_transpose("W")
    R, Rt = with_transpose("R")
    algebra = Algebra(rules=(((R, Rt), sp.Integer(1)), ((Rt, R), sp.Integer(1))))
    return algebra.equal(algebra.gram(A * R), A * At)


def _plane(angle: sp.Expr) -> sp.Matrix:
    return sp.Matrix([[sp.cos(angle), sp.sin(angle)], [-sp.sin(angle), sp.cos(angle)]])


def _size() -> bool:
    A, At = with_transpose("W")
    R, Rt = with_transpose("R")
    algebra = Algebra(rules=(((R, Rt), sp.Integer(1)),))
    expanded = algebra.equal(algebra.gram(A * (R - 1)), 2 * A * At - A * R * At - A * Rt * At)
    opposite = Algebra().equal(Algebra().gram(A * (-1 - 1)), 4 * A * At)
    angle = sp.Symbol("ω", real=True)
    any_W = sp.Matrix(2, 2, sp.symbols("w:4", real=True))
    turned = frobenius_squared(any_W * (_plane(angle) - sp.eye(2)))
    return expanded and opposite and equal(turned, 4 * sp.sin(angle / 2) ** 2 * frobenius_squared(any_W))


def _family() -> bool:
    scale = sp.Symbol("r", positive=True)
    R = sp.Matrix([[1 - t**2, 2 * t], [-2 * t, 1 - t**2]]) / (1 + t**2)
    weights = scale * W
    edit = (weights * (R - sp.eye(2))).applyfunc(sp.factor)
    moved = (weights + edit).applyfunc(sp.factor)
    grams = equal(moved * moved.T, weights * weights.T)  # row norms, cosines and singular values
    spectrum = equal((moved.T * moved).charpoly().as_expr(), (weights.T * weights).charpoly().as_expr())
    still = all(equal(energy(moved.applyfunc(sp.simplify), s), energy(weights, s)) for s in (0, 1, 2))
    size2 = frobenius_squared(edit * X)
    all_sizes = equal(size2, 200 * scale**2 * t**2 / (1 + t**2)) and sp.limit(size2, t, 0) == 0
    most = equal(sp.limit(size2, t, sp.oo), 4 * frobenius_squared(weights))
    return grams and spectrum and still and all_sizes and most


def _largest() -> bool:
    length2 = sp.Symbol("‖w_i‖²", positive=True)
    space = Span(sp.Matrix([[length2, g], [g, length2]]))
    before, after = space.generators()
    return equal(4 * length2 - space.square(after - before), space.square(after + before))
