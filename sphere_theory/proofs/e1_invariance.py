"""E1: what the energy does not see, and what it does."""

from __future__ import annotations

from itertools import permutations

import sympy as sp

from .exact import energy
from .noncommutative import Algebra, with_transpose
from .proof import Counterexample, Proof, Step, equal
from .vectors import Span

a, b, l, m, k = sp.symbols("‖w_i‖² ‖w_j‖² λ μ c", positive=True)
g = sp.Symbol("w_i·w_j", real=True)
HALF_TURN = sp.ImmutableMatrix([[25, 0], [7, 24]])  # chord 6/5 before, 8/5 after −w_2
STRETCHED = sp.ImmutableMatrix([[4, 0], [0, 3]])
ROTATION = sp.ImmutableMatrix([[1, -1], [1, 1]]) / sp.sqrt(2)


def prove() -> Proof:
    """Prove the invariances of HE_s, and that they stop there."""
    return Proof(
        id="E1",
        title="Invariances of the energy",
        theorem=(
            "For all s ≥ 0 and nonzero rows, HE_s(W) is unchanged by positive row scaling, by row "
            "permutation and by W ↦ W R with RRᵀ = I. It is changed in general by negative row scaling "
            "and by left multiplication, even by a rotation."
        ),
        steps=(
            Step(
                "Only inner products enter",
                "D_ij² = ‖û_i − û_j‖² = 2 − 2 w_i·w_j / (‖w_i‖‖w_j‖)",
                "all d, every pair",
                _inner_products,
            ),
            Step(
                "Positive row scaling",
                "w_i ↦ λw_i, w_j ↦ μw_j with λ, μ > 0:  D_ij² is unchanged",
                "all d, every pair, hence all n, s",
                _row_scaling,
            ),
            Step("Right rotation", "(W R)(W R)ᵀ = W RRᵀ Wᵀ = W Wᵀ", "all n, d, s", _right_rotation),
            Step(
                "Row permutation",
                "Σ_{i≠j} e(D_π(i)π(j)) = Σ_{i≠j} e(D_ij): π permutes the ordered pairs",
                "all d, s; n ≤ 5, every π (the sum over all ordered pairs is symmetric for every n)",
                _row_permutation,
            ),
            Step(
                "Degree 0",
                "HE_s(cW) = HE_s(W) for c > 0: row scaling with λ = μ = c",
                "all n, d, s",
                _degree_zero,
            ),
            Step(
                "A negative factor is seen",
                "W = (25, 0; 7, 24), w_2 ↦ −w_2:  HE_1 goes from 5/3 to 5/4",
                "exact, n = d = 2, s = 1",
                _negative_scaling,
            ),
            Step(
                "A left rotation is seen",
                "W = diag(4, 3), Q a rotation by 45°:  HE_1(W) = √2 and HE_1(Q W) = 5/3",
                "exact, n = d = 2, s = 1",
                _left_rotation,
            ),
        ),
        conclusion=(
            "HE_s is a function of the cosines alone, and these are functions of W Wᵀ that row scaling "
            "cancels out of. The factors must be positive: a sign is seen."
        ),
        counterexamples=(
            Counterexample(
                refutes="HE_s(Q W) = HE_s(W) for a rotation Q",
                W=STRETCHED,
                delta=ROTATION * STRETCHED - STRETCHED,
                values=(("HE(W)", energy(STRETCHED)), ("HE(QW)", sp.simplify(energy(ROTATION * STRETCHED)))),
            ),
        ),
    )


def chord_squared(a: sp.Expr, b: sp.Expr, g: sp.Expr) -> sp.Expr:
    """Return D² of two neurons with ‖w_i‖² = a, ‖w_j‖² = b, w_i·w_j = g."""
    return 2 - 2 * g / sp.sqrt(a * b)


def _inner_products() -> bool:
    space = Span(sp.Matrix([[a, g], [g, b]]))
    w_i, w_j = space.generators()
    return equal(space.square(w_i / sp.sqrt(a) - w_j / sp.sqrt(b)), chord_squared(a, b, g))


def _row_scaling() -> bool:
    return equal(chord_squared(l**2 * a, m**2 * b, l * m * g), chord_squared(a, b, g))


def _right_rotation() -> bool:
    W, Wt = with_transpose("W")
    R, Rt = with_transpose("R")
    algebra = Algebra(rules=(((R, Rt), sp.Integer(1)),))
    return algebra.equal(algebra.gram(W * R), W * Wt)


def _row_permutation() -> bool:
    e = sp.Function("e")

    def total(order: tuple[int, ...]) -> sp.Expr:
        return sp.Add(*(e(sp.Symbol(f"D_{min(p)}{max(p)}")) for p in permutations(order, 2)))

    return all(
        total(order) == total(tuple(range(n))) for n in range(2, 6) for order in permutations(range(n))
    )


def _degree_zero() -> bool:
    return equal(chord_squared(k**2 * a, k**2 * b, k**2 * g), chord_squared(a, b, g))


def _negative_scaling() -> bool:
    flipped = sp.diag(1, -1) * HALF_TURN
    return energy(HALF_TURN) == sp.Rational(5, 3) and energy(flipped) == sp.Rational(5, 4)


def _left_rotation() -> bool:
    turned = ROTATION * STRETCHED
    is_rotation = equal(ROTATION * ROTATION.T, sp.eye(2))
    values = equal(energy(STRETCHED), sp.sqrt(2)) and equal(energy(turned), sp.Rational(5, 3))
    return is_rotation and values and sp.Rational(5, 3) ** 2 != 2
