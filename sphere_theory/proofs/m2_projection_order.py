"""M2: a projection after each solve breaks the equality of M1."""

from __future__ import annotations

import sympy as sp

from .noncommutative import Algebra, letter, with_transpose
from .o1_spectrum import P, U, Ut, a
from .proof import Counterexample, Proof, Step, equal

D, S, A, A_inv, G, R = map(letter, ("Δ_t", "S_t", "A_{t+1}", "A_{t+1}⁻¹", "A_t", "R"))
K, Kt = with_transpose("K")
N = letter("N")
W0 = sp.ImmutableMatrix([[0, 0]])
KEYS = (sp.Matrix([1, 1]), sp.Matrix([1, 0]))
VALUES = (sp.Integer(1), sp.Integer(0))
BASIS = sp.Matrix([1, 0])


def prove() -> Proof:
    """Prove the size of the gap, and give exact cases of it."""
    return Proof(
        id="M2",
        title="Projecting after each solve is not projecting once",
        theorem=(
            "Let the edit so far be Δ_tP, with Δ_t the one-time solution (M1) and P = I − αUUᵀ, as it is "
            "after the first batch. If the next solve is projected too, sequential − one-time = "
            "α Δ_t UUᵀ KKᵀ A_{t+1}⁻¹ P, which is not zero in general. Projecting layer by layer and "
            "projecting after all layers differ as well."
        ),
        steps=(
            Step(
                "The gap, MEMIT",
                "Δ_tP + (R − Δ_tPK)KᵀA_{t+1}⁻¹P − (S_t + R Kᵀ)A_{t+1}⁻¹P = α Δ_t UUᵀ KKᵀ A_{t+1}⁻¹ P",
                "all n, d, r, α, batch sizes; second batch after an exact first one",
                _gap_memit,
            ),
            Step(
                "The gap, AlphaEdit",
                "the same with KᵀN for Kᵀ: α Δ_t UUᵀ KKᵀN A_{t+1}⁻¹ P",
                "all n, d, r, α, N, batch sizes",
                _gap_alphaedit,
            ),
            Step(
                "Exact counterexample",
                "W_0 = (0, 0), λC0 = I, k_1 = (1, 1), v_1 = 1, k_2 = (1, 0), v_2 = 0, U = e_1, α = ½: "
                "sequential (2/15, 11/30), one-time (1/10, 2/5), and the gap is that of the formula",
                "exact, n = 1, d = 2, r = 1",
                _counterexample,
            ),
            Step(
                "No gap without the projection",
                "the same data with α = 0: sequential = one-time",
                "exact, n = 1, d = 2",
                _no_projection,
            ),
            Step(
                "Two policies",
                "two layers with key (1, 1) whose outputs add up, target 1, residual shared 1/2 and 1/1, α "
                "= ½: the second edit is (1/8, 1/4) when projecting inside the layer loop, (1/9, 2/9) after "
                "it",
                "exact toy model, n = 1, d = 2, two layers with fixed keys",
                _policies,
            ),
        ),
        conclusion=(
            "The gap is what the past edit, seen through the removed directions, would have done to the new "
            "keys. It vanishes iff that product does, e.g. when past edits or new keys have no part in "
            "span(U). Projecting only the total edit keeps M1."
        ),
        counterexamples=(
            Counterexample(
                refutes="projecting after each solve equals projecting the one-time edit",
                W=W0,
                delta=sp.ImmutableMatrix(_sequential(sp.Rational(1, 2))),
                X=sp.ImmutableMatrix(sp.Matrix.hstack(*KEYS)),
                values=tuple(
                    (f"{name}, entry {k + 1}", entry)
                    for name, edit in (
                        ("sequential", _sequential(sp.Rational(1, 2))),
                        ("one-time", _one_time(sp.Rational(1, 2))),
                    )
                    for k, entry in enumerate(edit)
                ),
            ),
        ),
    )


def _gap(right: sp.Expr) -> bool:
    """Establish the gap after multiplying by P⁻¹A on the right: all terms end in A_{t+1}⁻¹P."""
    # Δ_tP stands alone: write it as Δ_t A_{t+1} A_{t+1}⁻¹ P with A_{t+1} = A_t + K·right and Δ_tA_t = S_t
    solved = Algebra(rules=(((D, G), S),))
    alone = D * (G + K * right)
    gap = alone + (R - D * P * K) * right - (S + R * right)
    return solved.equal(gap, a * D * U * Ut * K * right)


def _gap_memit() -> bool:
    return _gap(Kt)


def _gap_alphaedit() -> bool:
    return _gap(Kt * N)


def _projector(alpha: sp.Expr) -> sp.Matrix:
    return sp.eye(2) - alpha * BASIS * BASIS.T


def _sequential(alpha: sp.Expr) -> sp.Matrix:
    weight, seen = sp.Matrix(W0), sp.eye(2)
    for key, value in zip(KEYS, VALUES, strict=True):
        seen += key * key.T
        residual = value - (weight * key)[0]
        weight += residual * key.T * seen.inv() * _projector(alpha)
    return weight - W0


def _one_time(alpha: sp.Expr) -> sp.Matrix:
    keys = sp.Matrix.hstack(*KEYS)
    residual = sp.Matrix([VALUES]) - W0 * keys
    return residual * keys.T * (sp.eye(2) + keys * keys.T).inv() * _projector(alpha)


def _first(alpha: sp.Expr) -> sp.Matrix:
    key, value = KEYS[0], VALUES[0]
    return value * key.T * (sp.eye(2) + key * key.T).inv()


def _counterexample() -> bool:
    half = sp.Rational(1, 2)
    gap = _sequential(half) - _one_time(half)
    key = KEYS[1]
    seen = sp.eye(2) + sum((k * k.T for k in KEYS), sp.zeros(2))
    formula = half * _first(half) * BASIS * BASIS.T * key * key.T * seen.inv() * _projector(half)
    stated = equal(_sequential(half), sp.Matrix([[sp.Rational(2, 15), sp.Rational(11, 30)]]))
    return (
        stated
        and equal(_one_time(half), sp.Matrix([[sp.Rational(1, 10), sp.Rational(2, 5)]]))
        and equal(gap, formula)
    )


def _no_projection() -> bool:
    return equal(_sequential(sp.Integer(0)), _one_time(sp.Integer(0)))


def _second_layer(alpha: sp.Expr, inside: bool) -> sp.Matrix:
    """Return the second layer's projected edit when the first is projected inside the loop, or after it."""
    key = KEYS[0]
    solve = key.T * (sp.eye(2) + key * key.T).inv()
    first = sp.Rational(1, 2) * solve
    seen = first * _projector(alpha) if inside else first
    return (1 - (seen * key)[0]) * solve * _projector(alpha)


def _policies() -> bool:
    half = sp.Rational(1, 2)
    same_without = equal(_second_layer(sp.Integer(0), True), _second_layer(sp.Integer(0), False))
    inside = equal(_second_layer(half, True), sp.Matrix([[sp.Rational(1, 8), sp.Rational(1, 4)]]))
    return same_without and inside and equal(_second_layer(half, False), sp.Matrix([[1, 2]]) / 9)
