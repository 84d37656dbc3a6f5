"""E3: the conservation law behind right-invariance."""

from __future__ import annotations

import sympy as sp

from .exact import gradient
from .noncommutative import Algebra, with_transpose
from .proof import Proof, Step, equal

s, D = sp.symbols("s D_ij", positive=True)
c = sp.Symbol("c_ij", real=True)
u, ut = with_transpose("û_i")
v, vt = with_transpose("û_j")
ALGEBRA = Algebra()


def prove() -> Proof:
    """Prove that Wᵀ∇HE_s(W) is symmetric."""
    return Proof(
        id="E3",
        title="Wᵀ∇HE_s(W) is symmetric",
        theorem="For pairwise different directions and every s ≥ 0, Wᵀ∇HE_s(W) is a symmetric d × d matrix.",
        steps=(
            Step(
                "Its terms",
                "Wᵀ∇HE_s = Σ_i w_i (∂HE_s/∂w_i)ᵀ = Σ_{i<j} 2s D_ij^(−s−2) T_ij with "
                "T_ij = û_i(û_j − c_ij û_i)ᵀ + û_j(û_i − c_ij û_j)ᵀ: the length of w_i cancels",
                "all n, d, s > 0 (claim E2); for s = 0, 2 in place of 2s",
                _terms,
            ),
            Step(
                "One pair",
                "T_ij = û_i û_jᵀ + û_j û_iᵀ − c_ij(û_i û_iᵀ + û_j û_jᵀ)",
                "all d, every pair",
                _pair,
            ),
            Step("It is symmetric", "T_ijᵀ = T_ij", "all d, every pair, hence all n, s", _symmetric),
            Step(
                "Literal check",
                "Wᵀ∇HE_s − (Wᵀ∇HE_s)ᵀ = 0, while ∇HE_s itself is not symmetric",
                "n = d = 3 at an integer W, s = 0, 1, 2",
                _literal,
            ),
            Step(
                "The same from invariance",
                "HE_s(W(I + tA)) has derivative tr((Wᵀ∇HE_s)ᵀ A) at t = 0, and it vanishes for every "
                "antisymmetric A iff Wᵀ∇HE_s is symmetric",
                "d = 3, every Wᵀ∇HE_s and every A",
                _invariance,
            ),
        ),
        conclusion=(
            "A sum of symmetric matrices is symmetric. The statement is the conservation law of the "
            "rotations W ↦ W R of claim E1: angular momentum of the gradient is zero."
        ),
    )


def _terms() -> bool:
    rho = sp.Symbol("‖w_i‖", positive=True)
    for scale in (2 * s * D ** (-s - 2), 2 / D**2):
        row = scale / rho * (vt - c * ut)
        if not ALGEBRA.equal(rho * u * row, scale * u * (vt - c * ut)):
            return False
    return True


def _pair_term() -> sp.Expr:
    return u * (vt - c * ut) + v * (ut - c * vt)


def _pair() -> bool:
    return ALGEBRA.equal(_pair_term(), u * vt + v * ut - c * (u * ut + v * vt))


def _symmetric() -> bool:
    return ALGEBRA.equal(ALGEBRA.transpose(_pair_term()), _pair_term())


def _literal() -> bool:
    W = sp.Matrix([[1, 2, 2], [2, 3, 6], [4, 4, -7]])  # of lengths 3, 7, 9

    def symmetric(A: sp.Matrix) -> bool:
        return all(sp.radsimp(entry).equals(0) for entry in A - A.T)

    return all(symmetric(W.T * gradient(W, k)) and not symmetric(gradient(W, k)) for k in (0, 1, 2))


def _invariance() -> bool:
    M = sp.Matrix(3, 3, sp.symbols("m:9", real=True))
    x, y, z = sp.symbols("x y z", real=True)
    A = sp.Matrix([[0, x, y], [-x, 0, z], [-y, -z, 0]])
    slope = (M.T * A).trace()
    antisymmetric_part = [M[0, 1] - M[1, 0], M[0, 2] - M[2, 0], M[1, 2] - M[2, 1]]
    return equal(slope, sp.Add(*(k * part for k, part in zip((x, y, z), antisymmetric_part, strict=True))))
