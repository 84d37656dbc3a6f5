"""O2: when SPHERE's operator is a projection."""

from __future__ import annotations

import sympy as sp

from .o1_spectrum import ORTHONORMAL, P, U, Ut, a
from .proof import Proof, Step

E = U * Ut


def prove() -> Proof:
    """Prove P² = I − α(2 − α)UUᵀ, and P² = P iff α ∈ {0, 1}."""
    return Proof(
        id="O2",
        title="Idempotence of P = I − αUUᵀ",
        theorem="Let UᵀU = I_r. P² = I − α(2 − α)UUᵀ. For r ≥ 1 and real α, P² = P iff α ∈ {0, 1}.",
        steps=(
            Step("UUᵀ is a projection", "(UUᵀ)² = U(UᵀU)Uᵀ = UUᵀ", "all d, r", _projection),
            Step("Square of P", "P² = I − 2αUUᵀ + α²(UUᵀ)² = I − α(2 − α)UUᵀ", "all d, r, α", _square),
            Step("Defect", "P − P² = α(1 − α)UUᵀ", "all d, r, α", _defect),
            Step("UUᵀ ≠ 0", "(UUᵀ)U = U, and U ≠ 0 when r ≥ 1", "all d, all r ≥ 1", _not_zero),
            Step("Zeros of the factor", "α(1 − α) = 0  ⇔  α ∈ {0, 1}", "all real α", _zeros),
        ),
        conclusion="P = P² iff α(1 − α)UUᵀ = 0 iff α ∈ {0, 1}. The claim needs r ≥ 1: "
        "for r = 0, P = I whatever α is. With the paper's α = 0.5 or 0.8, P is a contraction and not a "
        "projection: applied twice it suppresses by (1 − α)².",
    )


def _projection() -> bool:
    return ORTHONORMAL.equal(E * E, E)


def _square() -> bool:
    return ORTHONORMAL.equal(P * P, 1 - a * (2 - a) * E)


def _defect() -> bool:
    return ORTHONORMAL.equal(P - P * P, a * (1 - a) * E)


def _not_zero() -> bool:
    return ORTHONORMAL.equal(E * U, U)


def _zeros() -> bool:
    return sp.solveset(a * (1 - a), a, sp.S.Reals) == sp.FiniteSet(0, 1)
