"""O1: the spectrum of SPHERE's operator."""

from __future__ import annotations

import sympy as sp

from .noncommutative import Algebra, letter, with_transpose
from .proof import Proof, Step, equal

a = sp.Symbol("α", real=True)
U, Ut = with_transpose("U")
v = letter("v")
P = 1 - a * U * Ut
ORTHONORMAL = Algebra(rules=(((Ut, U), sp.Integer(1)),))


def prove() -> Proof:
    """Prove that P has eigenvalues 1 − α (r times) and 1 (d − r times)."""
    return Proof(
        id="O1",
        title="Spectrum of P = I − αUUᵀ",
        theorem="Let UᵀU = I_r. P is symmetric, with eigenvalue 1 − α of multiplicity r "
        "and 1 of multiplicity d − r (at α = 0 the two coincide).",
        steps=(
            Step("Symmetry", "Pᵀ = P", "all d, r, α", _symmetric),
            Step("On the principal space", "P U = (1 − α) U", "all d, r, α", _on_principal_space),
            Step("On its complement", "Uᵀv = 0  ⇒  P v = v", "all d, r, α", _on_complement),
            Step("Nothing else", "(P − I)(P − (1 − α)I) = 0", "all d, r, α", _minimal_polynomial),
            Step(
                "Literal check",
                "det(xI − P) = (x − 1 + α)^r (x − 1)^(d−r)",
                "d = 3, r = 0, 1, 2, 3, all α, rational U",
                _characteristic_polynomial,
            ),
        ),
        conclusion="The columns of U are r independent eigenvectors for 1 − α; the complement of "
        "span(U) has dimension d − r and eigenvalue 1. r + (d − r) = d eigenvectors: there are no others.",
    )


def _symmetric() -> bool:
    return ORTHONORMAL.equal(ORTHONORMAL.transpose(P), P)


def _on_principal_space() -> bool:
    return ORTHONORMAL.equal(P * U, (1 - a) * U)


def _on_complement() -> bool:
    complement = Algebra(rules=(((Ut, v), sp.Integer(0)),))
    return complement.equal(P * v, v)


def _minimal_polynomial() -> bool:
    return ORTHONORMAL.equal((P - 1) * (P - (1 - a)), sp.Integer(0))


def _characteristic_polynomial() -> bool:
    x = sp.Symbol("x")
    basis = sp.Matrix([[1, 2, 2], [2, 1, -2], [2, -2, 1]]) / 3  # rational and orthonormal
    return all(
        equal(
            (x * sp.eye(3) - sp.eye(3) + a * basis[:, :r] * basis[:, :r].T).det(),
            (x - 1 + a) ** r * (x - 1) ** (3 - r),
        )
        for r in range(4)
    )
