"""B4: the constant that the triangle inequality gives."""

from __future__ import annotations

import sympy as sp

from .exact import change, dot, factor, frobenius_squared, gradient, k_grad_squared, k_tri_squared, pull
from .proof import Proof, Step, equal
from .vectors import Span

s, D, rho = sp.symbols("s D_ij ‖w_i‖", positive=True)
c = sp.Symbol("c_ij", real=True)
TRIANGLE = sp.ImmutableMatrix([[2, 0], [-1, sp.sqrt(3)], [-1, -sp.sqrt(3)]])
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
                "two neurons: ‖w_i‖‖∂HE_s/∂w_i‖ = 2s D^(−s−1) √(1 − D²/4), both rows, from the formula of "
                "E2. Hence K_tri = K_grad for n = 2",
                "every W with n = 2 (two neurons span a plane), s > 0, and s = 0 with 2 for 2s",
                pull_of_a_pair,
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
                "W = (25, 0; 7, 24): K_tri² = K_grad², so B3 refutes both there; W = I_2, ΔW = (0, 1/7; "
                "1/7, 0) has (ΔHE)² > K_tri²‖ΔW‖²",
                "exact, n = d = 2, s = 0, 1, 2 and s = 1 (one pull a row: nothing to add, for every W)",
                _two,
            ),
            Step(
                "Where it is strict, small edits satisfy it",
                "|ΔHE| ≤ K_grad‖ΔW‖ + C‖ΔW‖² ≤ K_tri‖ΔW‖ once C‖ΔW‖ ≤ K_tri − K_grad: three neurons at 120°, "
                "w_1 = 2(cos ω, sin ω) turned: (ΔHE)²/(K_tri²‖ΔW‖²) → 0 as ω → 0",
                "exact, n = 3, d = 2, s = 1; in general for every n > 2 with K_tri > K_grad (B10 says how "
                "small)",
                _small_edits,
            ),
            Step(
                "Not every edit does",
                "the same neurons, w_1 turned to angle ω from w_2: (ΔHE)²/(K_tri²‖ΔW‖²) → ∞ as ω → 0",
                "exact, n = 3, d = 2, s = 1",
                _large_edits,
            ),
        ),
        conclusion=(
            "Row by row, |Σ_j a_j| ≤ Σ_j |a_j| with a_j = (2s/‖w_i‖)(û_j − c_ij û_i)D_ij^(−s−2), whose "
            "length is the summand of K_tri. The paper's K can be read as K_grad or, as its source implies, "
            "as K_tri; which of them is refuted depends on n. For n = 2 they are one constant, and B3 "
            "refutes it to first order. For n > 2 with K_tri > K_grad, B3 does not reach K_tri: every "
            "sufficiently small edit satisfies |ΔHE| ≤ K_tri‖ΔW‖. But K_tri is taken at W and certifies no "
            "finite edit."
        ),
    )


def _pull() -> bool:
    u_i, u_j = PAIR.generators()
    square = PAIR.square(u_j - c * u_i)
    return equal(square, 1 - c**2) and equal(square.subs(c, 1 - D**2 / 2), D**2 * (1 - D**2 / 4))


def pull_of_a_pair() -> bool:
    """Establish ‖w_i‖‖∂HE_s/∂w_i‖ = 2s D^(−s−1) √(1 − D²/4) for any two neurons, from the formula of E2."""
    long_1, long_2 = sp.symbols("‖w_1‖ ‖w_2‖", positive=True)
    cot = sp.Symbol("cot(θ/2)", positive=True)  # runs over (0, ∞) as θ runs over (0, π)
    sine, cosine = 2 * cot / (1 + cot**2), (cot**2 - 1) / (1 + cot**2)
    W = sp.Matrix([[long_1, 0], [long_2 * cosine, long_2 * sine]])  # two neurons span a plane
    chord = 2 / sp.sqrt(1 + cot**2)  # 2 sin(θ/2)

    def holds(k: sp.Expr) -> bool:
        slope = gradient(W, k)
        rows = ((slope.row(0), long_1), (slope.row(1), long_2))
        ratios = (dot(row, row) * r**2 / (factor(k) * pull(chord, k)) ** 2 for row, r in rows)
        return all(equal(_factored(ratio), 1) for ratio in ratios)

    return all(map(holds, (s, sp.Integer(0))))


def _factored(expr: sp.Expr) -> sp.Expr:
    """Factor what stands under each root or power, so that squares come out."""
    return expr.replace(lambda x: x.is_Pow, lambda x: sp.Pow(sp.factor(x.base), x.exp))


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
    expected = (sp.Integer(1), sp.Rational(1, 3), sp.Rational(4, 9))
    void = all(equal(k_grad_squared(TRIANGLE, k), 0) for k in (0, 1, 2))
    return void and all(equal(k_tri_squared(TRIANGLE, k), value) for k, value in enumerate(expected))


def _two() -> bool:
    W, edit = sp.Matrix([[25, 0], [7, 24]]), sp.Rational(1, 7) * sp.Matrix([[0, 1], [1, 0]])
    agree = all(equal(k_grad_squared(W, k), k_tri_squared(W, k)) for k in (0, 1, 2))
    excess = change(sp.eye(2), edit) ** 2 - k_tri_squared(sp.eye(2)) * frobenius_squared(edit)
    return agree and excess.is_positive is True


def _turned(angle: sp.Expr) -> sp.Expr:
    """Return (ΔHE)²/(K_tri²‖ΔW‖²) of the three neurons at 120° when w_1 turns by an angle in (0, 2π/3)."""
    apart = (2 * sp.pi / 3 - angle, 2 * sp.pi / 3 + angle)  # in (0, 4π/3): sin of the half is positive
    rise = 2 * sp.Add(*(1 / (2 * sp.sin(x / 2)) for x in apart)) - 4 / sp.sqrt(3)
    size2 = (4 * sp.sin(angle / 2)) ** 2
    return rise**2 / (k_tri_squared(TRIANGLE) * size2)


def _literally_turned() -> bool:
    """Whether that is so at a right angle, by the literal definitions."""
    edit = sp.Matrix([[-2, 2], [0, 0], [0, 0]])
    literal = change(TRIANGLE, edit) ** 2 / (k_tri_squared(TRIANGLE) * frobenius_squared(edit))
    return equal(sp.sqrtdenest(sp.simplify(literal - _turned(sp.pi / 2))), 0)


def _small_edits() -> bool:
    angle = sp.Symbol("ω", positive=True)
    return _literally_turned() and sp.limit(_turned(angle), angle, 0, "+") == 0


def _large_edits() -> bool:
    angle = sp.Symbol("ω", positive=True)
    return sp.limit(_turned(2 * sp.pi / 3 - angle), angle, 0, "+") == sp.oo
