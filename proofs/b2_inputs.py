"""B2: which inputs Theorem 1 needs."""

from __future__ import annotations

import sympy as sp

from proofs.exact import change, frobenius_squared, k_grad_squared
from proofs.proof import Counterexample, Proof, Step
from proofs.words import Algebra, letter, with_transpose

sigma2 = sp.Symbol("σ²", positive=True)
A, At = with_transpose("A")  # coefficients: ΔW = A Qᵀ
Q, Qt = with_transpose("Q")  # orthonormal basis of the row space of ΔW
X, Xt = with_transpose("X")
S, St = with_transpose("S")  # QᵀXXᵀQ − σ²I = SSᵀ ⪰ 0
N, K0 = letter("N"), letter("K₀")
WEIGHTS = sp.ImmutableMatrix([[0, 1], [24, 7]])
DELTA = sp.ImmutableMatrix([[0, 0], [0, -14]])
INPUT = sp.ImmutableMatrix([1, 0])


def prove() -> Proof:
    """Refute orthonormality as a sufficient condition, and prove the condition that is."""
    return Proof(
        id="B2",
        title="Orthonormal inputs are not enough; XXᵀ ⪰ σ²I on the row space is",
        theorem=(
            "There are W, ΔW and X with XᵀX = I_m, m < d, such that ΔV = 0 and ΔHE ≠ 0. If XXᵀ ⪰ σ²I on the "
            "row space of ΔW, then ‖ΔW X‖_F ≥ σ‖ΔW‖_F."
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
                "AlphaEdit",
                "ΔW = A N with N K₀ = 0  ⇒  ΔV = ΔW K₀ = 0 on the preserved keys, whatever ΔHE is",
                "all n, d, every number of keys",
                _null_space,
            ),
        ),
        conclusion=(
            "σ² is the least eigenvalue of XXᵀ compressed to the row space of ΔW. Where it is 0, outputs say "
            "nothing about the edit: that is what AlphaEdit is built for, and Theorem 1 cannot be read there."
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


def _null_space() -> bool:
    return Algebra(rules=(((N, K0), sp.Integer(0)),)).equal(A * N * K0, sp.Integer(0))
