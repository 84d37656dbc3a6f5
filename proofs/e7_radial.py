"""E7: an edit along the neurons changes outputs at will and the energy not at all."""

from __future__ import annotations

import sympy as sp

from proofs.e1_invariance import chord_squared
from proofs.exact import change, frobenius_squared
from proofs.proof import Counterexample, Proof, Step, equal

a, b, t = sp.symbols("‖w_i‖² ‖w_j‖² t", positive=True)
g = sp.Symbol("w_i·w_j", real=True)
p, q = sp.symbols("1+λ_i 1+λ_j", positive=True)
W = sp.ImmutableMatrix([[3, 4], [5, 0]])
X = sp.ImmutableMatrix(sp.eye(2))
THOUSAND = sp.Integer(1000)


def prove() -> Proof:
    """Prove that radial edits have ΔHE = 0 and any ΔV."""
    return Proof(
        id="E7",
        title="Radial edits",
        theorem=(
            "If Δw_i = λ_i w_i with λ_i > −1 for every i, then ΔHE_s = 0, while ΔV = diag(λ) W X is as large "
            "as the λ_i make it. No bound ‖ΔV‖ ≤ f(|ΔHE|) with finite f(0) holds."
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
                "W = (3, 4; 5, 0), Δw_1 = t w_1, X = I:  ΔHE_s = 0 and ‖ΔV‖_F = 5t",
                "exact, n = d = 2, every t > 0, s = 0, 1, 2",
                _outputs,
            ),
            Step("Without limit", "5t → ∞ as t → ∞", "exact, n = d = 2", _limit),
            Step(
                "Through the origin",
                "the same W, λ_1 = −2 turns w_1 to −w_1: ΔHE_1 = −√5/2 ≠ 0",
                "exact, n = d = 2, s = 1",
                _through_origin,
            ),
        ),
        conclusion=(
            "A stable energy is necessary at most, never sufficient: norm growth is invisible to it. The "
            "rows must not reach or cross the origin (λ_i > −1)."
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
        ),
    )


def _edit(scale: sp.Expr) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix(sp.diag(scale, 0) * W)


def _directions() -> bool:
    scaled = chord_squared(p**2 * a, q**2 * b, p * q * g)
    return equal(scaled, chord_squared(a, b, g))


def _outputs() -> bool:
    still = all(equal(change(W, _edit(t), s), 0) for s in (0, 1, 2))
    return still and equal(frobenius_squared(_edit(t) * X), (5 * t) ** 2)


def _limit() -> bool:
    return sp.limit(5 * t, t, sp.oo) == sp.oo


def _through_origin() -> bool:
    return equal(change(W, _edit(sp.Integer(-2))), -sp.sqrt(5) / 2)
