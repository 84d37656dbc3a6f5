"""B4: the constant that the triangle inequality gives."""

from __future__ import annotations

import sympy as sp

from proofs.exact import k_grad_squared, k_tri_squared
from proofs.proof import Proof, Step, equal
from proofs.vectors import Span

s, D, rho = sp.symbols("s D_ij ‖w_i‖", positive=True)
c = sp.Symbol("c_ij", real=True)
PAIR = Span(sp.Matrix([[1, c], [c, 1]]))


def prove() -> Proof:
    """Prove K_tri ≥ K_grad."""
    return Proof(
        id="B4",
        title="K_tri ≥ K_grad",
        theorem=(
            "K_tri² = Σ_i [(2s/‖w_i‖) Σ_{j≠i} D_ij^(−s−1) √(1 − D_ij²/4)]² ≥ K_grad² = ‖∇HE_s(W)‖_F² for "
            "s > 0, and with 2 in place of 2s for s = 0. They are equal for n = 2."
        ),
        steps=(
            Step(
                "Length of a pair's pull",
                "|û_j − c_ij û_i|² = 1 − c_ij² = D_ij²(1 − D_ij²/4)",
                "all d, every pair",
                _pull,
            ),
            Step(
                "As it stands in the gradient",
                "|û_j − c_ij û_i| D_ij^(−s−2) = D_ij^(−s−1) √(1 − D_ij²/4)",
                "all d, s ≥ 0, every pair",
                _in_gradient,
            ),
            Step(
                "Triangle inequality",
                "(Σ_j |a_j|)² − |Σ_j a_j|² = 2 Σ_{j<k} (|a_j||a_k| − a_j·a_k)",
                "all d; up to 4 vectors (the expansion is the same for every number)",
                _triangle,
            ),
            Step(
                "Its terms",
                "|a|²|b|² − (a·b)² = | |a|²b − (a·b)a |² / |a|² ≥ 0, so a·b ≤ |a||b|",
                "all d, a ≠ 0",
                _cauchy_schwarz,
            ),
            Step(
                "It can be strict",
                "three neurons of length 2 at 120°: K_grad = 0 and K_tri² = 1, 1/3, 4/9",
                "exact, n = 3, d = 2, s = 0, 1, 2",
                _strict,
            ),
            Step(
                "Equality for two neurons",
                "W = (25, 0; 7, 24): K_tri² = K_grad²",
                "exact, n = d = 2, s = 0, 1, 2 (one pull a row: nothing to add, for every W)",
                _two,
            ),
        ),
        conclusion=(
            "Row by row, |Σ_j a_j| ≤ Σ_j |a_j| with a_j = (2s/‖w_i‖)(û_j − c_ij û_i)D_ij^(−s−2), whose "
            "length is the summand of K_tri. K_tri is a constant at W still, and no certificate: for n = 2 "
            "it is K_grad, so what refutes the one to first order (B3) refutes the other."
        ),
    )


def _pull() -> bool:
    u_i, u_j = PAIR.generators()
    square = PAIR.square(u_j - c * u_i)
    return equal(square, 1 - c**2) and equal(square.subs(c, 1 - D**2 / 2), D**2 * (1 - D**2 / 4))


def _in_gradient() -> bool:
    f = sp.Symbol("√(1 − D²/4)", nonnegative=True)
    return all(equal(D * f * D ** (-k - 2), D ** (-k - 1) * f) for k in (s, sp.Integer(0)))


def _triangle() -> bool:
    def holds(count: int) -> bool:
        norms = sp.symbols(f"r:{count}", positive=True)
        gram = sp.Matrix(
            count, count, lambda j, k: norms[j] ** 2 if j == k else sp.Symbol(f"g_{min(j, k)}{max(j, k)}")
        )
        space = Span(gram)
        defect = sp.Add(*norms) ** 2 - space.square(sum(space.generators(), sp.zeros(count, 1)))
        terms = (2 * (norms[j] * norms[k] - gram[j, k]) for j in range(count) for k in range(j + 1, count))
        return equal(defect, sp.Add(*terms))

    return all(map(holds, range(2, 5)))


def _cauchy_schwarz() -> bool:
    return cauchy_schwarz()


def cauchy_schwarz() -> bool:
    """Establish |a|²|b|² − (a·b)² = | |a|²b − (a·b)a |²/|a|² in any inner-product space."""
    a2, b2 = sp.symbols("|a|² |b|²", positive=True)
    g = sp.Symbol("a·b", real=True)
    space = Span(sp.Matrix([[a2, g], [g, b2]]))
    a, b = space.generators()
    return equal(a2 * b2 - g**2, space.square(a2 * b - g * a) / a2)


def _strict() -> bool:
    triangle = sp.Matrix([[2, 0], [-1, sp.sqrt(3)], [-1, -sp.sqrt(3)]])
    expected = (sp.Integer(1), sp.Rational(1, 3), sp.Rational(4, 9))
    void = all(equal(k_grad_squared(triangle, k), 0) for k in (0, 1, 2))
    return void and all(equal(k_tri_squared(triangle, k), value) for k, value in enumerate(expected))


def _two() -> bool:
    W = sp.Matrix([[25, 0], [7, 24]])
    return all(equal(k_grad_squared(W, k), k_tri_squared(W, k)) for k in (0, 1, 2))
