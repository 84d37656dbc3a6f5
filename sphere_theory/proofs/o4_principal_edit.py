"""O4: an edit inside the principal space is scaled, nothing else."""

from __future__ import annotations

import sympy as sp

from .noncommutative import Algebra, letter, with_transpose
from .o1_spectrum import ORTHONORMAL, P, U, Ut, a
from .proof import Proof, Step

B, Bt = with_transpose("B")
C = letter("C")


def prove() -> Proof:
    """Prove ΔW P = (1 − α)ΔW for rows in span(U), and ΔW P = ΔW for rows orthogonal to it."""
    return Proof(
        id="O4",
        title="Edits inside the principal space",
        theorem="Let UᵀU = I_r. If every row of ΔW lies in span(U), then ΔW P = (1 − α)ΔW.",
        steps=(
            Step(
                "Rows in span(U)",
                "ΔW = B Uᵀ  ⇒  ΔW P = (1 − α)ΔW, where B = ΔW U",
                "all n, d, r, α",
                _inside,
            ),
            Step("The coefficients", "ΔW = B Uᵀ  ⇒  ΔW U = B", "all n, d, r", _coefficients),
            Step("Rows orthogonal to span(U)", "C U = 0  ⇒  C P = C", "all n, d, r, α", _outside),
            Step(
                "Any edit",
                "ΔW = B Uᵀ + C, C U = 0  ⇒  ΔW P = (1 − α)B Uᵀ + C",
                "all n, d, r, α",
                _any_edit,
            ),
        ),
        conclusion=(
            "P multiplies the principal part by 1 − α and keeps the rest. With α = 1 an edit that lies in "
            "span(U) is removed altogether."
        ),
    )


def _inside() -> bool:
    return ORTHONORMAL.equal(B * Ut * P, (1 - a) * B * Ut)


def _coefficients() -> bool:
    return ORTHONORMAL.equal(B * Ut * U, B)


def _orthogonal() -> Algebra:
    return Algebra(rules=(*ORTHONORMAL.rules, ((C, U), sp.Integer(0))))


def _outside() -> bool:
    return _orthogonal().equal(C * P, C)


def _any_edit() -> bool:
    return _orthogonal().equal((B * Ut + C) * P, (1 - a) * B * Ut + C)
