"""B2: which inputs Theorem 1 needs."""

from __future__ import annotations

import sympy as sp

from .exact import change, frobenius_squared, k_grad_squared, k_star_squared
from .noncommutative import Algebra, letter, with_transpose
from .proof import Counterexample, Proof, Step

sigma2 = sp.Symbol("σ²", positive=True)
A, At = with_transpose("A")  # coefficients: ΔW = A Qᵀ
Q, Qt = with_transpose("Q")  # orthonormal basis of the row space of ΔW
X, Xt = with_transpose("X")
S, St = with_transpose("S")  # QᵀXXᵀQ − σ²I = SSᵀ ⪰ 0
K0, K0t = with_transpose("K₀")
G = letter("(K₀ᵀK₀)⁻¹")
WEIGHTS = sp.ImmutableMatrix([[0, 1], [24, 7]])
DELTA = sp.ImmutableMatrix([[0, 0], [0, -14]])
INPUT = sp.ImmutableMatrix([1, 0])
EXAMPLE = sp.ImmutableMatrix([[25, 0], [7, 24]])
FULL_RANK = sp.ImmutableMatrix([[-1, 0], [0, 1]])


def prove() -> Proof:
    """Refute orthonormality as a sufficient condition, and prove the condition that is."""
    return Proof(
        id="B2",
        title="Orthonormal inputs are not enough for m < d; XXᵀ ⪰ σ²I on the row space is",
        theorem=(
            "There are W, ΔW and X with XᵀX = I_m, m < d, such that ΔV = 0 and ΔHE ≠ 0. If XXᵀ ⪰ σ²I on the "
            "row space of ΔW, then ‖ΔW X‖_F ≥ σ‖ΔW‖_F. That condition is sufficient and not needed: there "
            "are W, ΔW and X with σ = 0 for which ‖ΔV‖_F² ≥ (ΔHE/K)² holds. For m = d orthonormal inputs "
            "are enough, with σ = 1."
        ),
        steps=(
            Step(
                "Counterexample",
                "W = (0, 1; 24, 7), ΔW = (0, 0; 0, −14), X = (1, 0)ᵀ: XᵀX = 1, ΔV = 0, ΔHE = −5/12, "
                "(ΔHE/K)² > 0 = ‖ΔV‖²",
                "exact, n = d = 2, m = 1, s = 1",
                _refuted,
            ),
            Step(
                "The condition",
                "ΔW = A Qᵀ, QᵀQ = I, QᵀXXᵀQ = σ²I + SSᵀ  ⇒  "
                "(ΔW X)(ΔW X)ᵀ − σ²ΔWΔWᵀ = (A S)(A S)ᵀ; the trace is ‖ΔW X‖² − σ²‖ΔW‖² = ‖A S‖² ≥ 0",
                "all n, d, m, σ",
                _lemma,
            ),
            Step(
                "When orthonormality suffices",
                "XᵀX = I and rows of ΔW in span(X), ΔW = A Xᵀ  ⇒  ‖ΔW X‖ = ‖ΔW‖: σ = 1",
                "all n, d, m",
                _inside,
            ),
            Step("Complete inputs", "m = d, XXᵀ = I  ⇒  ‖ΔW X‖ = ‖ΔW‖", "all n, d", _complete),
            Step(
                "Not needed",
                "W = (25, 0; 7, 24), ΔW = (−1, 0; 0, 1), X = (1, 0)ᵀ: the row space of ΔW is all of R², XXᵀ "
                "= diag(1, 0) has σ = 0 on it, and yet ‖ΔV‖² = 1 > (ΔHE/K)², ΔHE ≠ 0, with K = K_grad and "
                "with K = K* (B8)",
                "exact, n = d = 2, m = 1, s = 1",
                _not_needed,
            ),
            Step(
                "AlphaEdit's null space",
                "N = I − K₀(K₀ᵀK₀)⁻¹K₀ᵀ: N² = N = Nᵀ and N K₀ = 0, so that every ΔW = A N has ΔW K₀ = 0",
                "all d, every K₀ of full column rank",
                _null_space,
            ),
            Step(
                "AlphaEdit's edit",
                "the counterexample is one: with K₀ = (1, 0)ᵀ, k = (0, 1)ᵀ, R = (0, −28)ᵀ, λ = 1, "
                "R kᵀN(k kᵀN + λI)⁻¹ = (0, 0; 0, −14)",
                "exact, n = d = 2, one key",
                _alphaedit,
            ),
        ),
        conclusion=(
            "σ² is the least eigenvalue of XXᵀ compressed to the row space of ΔW. Where it is 0, nothing "
            "follows: outputs may be still (the counterexample) or not (the exact example). On the "
            "preserved keys AlphaEdit has ΔV = 0 whatever ΔHE is: that is what it is built for, and Theorem "
            "1 cannot be read there."
        ),
        counterexamples=(
            Counterexample(
                refutes="XᵀX = I suffices for ‖ΔV‖² ≥ (ΔHE/K)²",
                W=WEIGHTS,
                delta=DELTA,
                X=INPUT,
                values=(
                    ("ΔHE", change(WEIGHTS, DELTA)),
                    ("K²", k_grad_squared(WEIGHTS)),
                    ("‖ΔV‖_F²", frobenius_squared(DELTA * INPUT)),
                ),
            ),
            Counterexample(
                refutes="XXᵀ ⪰ σ²I with σ > 0 is needed for ‖ΔV‖² ≥ (ΔHE/K)²",
                W=EXAMPLE,
                delta=FULL_RANK,
                X=INPUT,
                values=(
                    ("ΔHE", change(EXAMPLE, FULL_RANK)),
                    ("K²", k_grad_squared(EXAMPLE)),
                    ("‖ΔV‖_F²", frobenius_squared(FULL_RANK * INPUT)),
                ),
            ),
        ),
    )


def _refuted() -> bool:
    orthonormal = (INPUT.T * INPUT)[0] == 1
    still = frobenius_squared(DELTA * INPUT) == 0
    bound = change(WEIGHTS, DELTA) ** 2 / k_grad_squared(WEIGHTS)
    return (
        orthonormal and still and change(WEIGHTS, DELTA) == sp.Rational(-5, 12) and bound.is_positive is True
    )


def _lemma() -> bool:
    algebra = Algebra(rules=(((Qt, Q), sp.Integer(1)), ((Qt, X, Xt, Q), sigma2 + S * St)))
    difference = algebra.gram(A * Qt * X) - sigma2 * algebra.gram(A * Qt)
    return algebra.equal(difference, algebra.gram(A * S))


def _inside() -> bool:
    algebra = Algebra(rules=(((Xt, X), sp.Integer(1)),))
    return algebra.equal(algebra.gram(A * Xt * X), algebra.gram(A * Xt))


def _complete() -> bool:
    algebra = Algebra(rules=(((X, Xt), sp.Integer(1)),))
    return algebra.equal(algebra.gram(A * X), A * At)


def _not_needed() -> bool:
    output2 = frobenius_squared(FULL_RANK * INPUT)
    least = min((INPUT * INPUT.T).eigenvals())  # of XXᵀ on the row space, here all of R²
    rise2 = change(EXAMPLE, FULL_RANK) ** 2
    constants = (k_grad_squared(EXAMPLE), k_star_squared(EXAMPLE, FULL_RANK))
    everywhere = FULL_RANK.rank() == 2 and least == 0 and output2 == 1
    return everywhere and bool(rise2 > 0) and all(bool(output2 * K2 > rise2) for K2 in constants)


def _null_space() -> bool:
    algebra = Algebra(
        rules=(((K0t, K0, G), sp.Integer(1)), ((G, K0t, K0), sp.Integer(1))), symmetric=frozenset({G})
    )
    N = 1 - K0 * G * K0t
    projection = algebra.equal(N * N, N) and algebra.equal(algebra.transpose(K0 * G * K0t), K0 * G * K0t)
    return projection and algebra.equal(A * N * K0, sp.Integer(0))


def _alphaedit() -> bool:
    null = sp.eye(2) - INPUT * (INPUT.T * INPUT).inv() * INPUT.T
    key, residual, penalty = sp.Matrix([0, 1]), sp.Matrix([0, -28]), sp.Integer(1)
    edit = residual * key.T * null * (key * key.T * null + penalty * sp.eye(2)).inv()
    return edit == DELTA and edit * INPUT == sp.zeros(2, 1)
