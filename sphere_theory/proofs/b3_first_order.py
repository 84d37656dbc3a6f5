"""B3: with the paper's K read as ‖∇HE(W)‖_F, Theorem 1 fails for arbitrarily small edits."""

from __future__ import annotations

import sympy as sp

from .exact import change, energy, frobenius_squared, gradient, k_grad_squared
from .proof import Counterexample, Proof, Step, equal, positive
from .vectors import Span

s, D, rho_1, rho_2, w = sp.symbols("s D ‖w_1‖ ‖w_2‖ 1−D²/4", positive=True)
x, y = sp.symbols("x y", positive=True)
t = sp.Symbol("t", real=True)
c = 1 - D**2 / 2
PAIR = Span(sp.Matrix([[1, c], [c, 1]]))
SPREAD = 1 / rho_1**2 + 1 / rho_2**2
W = sp.ImmutableMatrix(sp.eye(2))
X = sp.ImmutableMatrix(sp.eye(2))
NEAR_SQUARE = sp.ImmutableMatrix([[24, 0, 7], [-24, 0, 7], [0, 24, -7], [0, -24, -7]])


def prove() -> Proof:
    """Refute ‖ΔV‖² ≥ (ΔHE/K_grad)² along ΔW = ε∇HE(W)."""
    return Proof(
        id="B3",
        title="K_grad bounds to first order only",
        theorem=(
            "Read the paper's K as K_grad = ‖∇HE_s(W)‖_F. For n = 2, any d, s ≥ 0 and any W with 0 < D < 2: "
            "along ΔW = ε∇HE_s(W) with X = I, ‖ΔV‖_F² < (ΔHE/K_grad)² for all sufficiently small ε > 0, not "
            "for every ε. For n > 2 the same holds wherever the second derivative of HE along its gradient "
            "is positive, which is not everywhere. At a regular simplex K_grad = 0 and the inequality says "
            "nothing."
        ),
        steps=(
            Step(
                "Slope along the gradient, two neurons",
                "f(ε) = HE_s(W + ε∇HE_s):  f'(0) = (2s)² D^(−2s−2)(1 − D²/4)(‖w_1‖^(−2) + ‖w_2‖^(−2)) = "
                "K_grad²",
                "n = 2; all d, s > 0, and s = 0 with 2 for 2s",
                _slope,
            ),
            Step(
                "Curvature along the gradient, two neurons",
                "f''(0) = 2s D^(−s−2)(1 + s(1 − D²/4)) (2s)² D^(−2s−2)(1 − D²/4)(‖w_1‖^(−2) + ‖w_2‖^(−2))²; "
                "at s = 0: 8 D^(−4)(1 − D²/4)(‖w_1‖^(−2) + ‖w_2‖^(−2))²",
                "n = 2; all d, s > 0 and s = 0",
                _curvature,
            ),
            Step("It is positive", "0 < D < 2  ⇒  f''(0) > 0", "n = 2; all d, s ≥ 0", _convex),
            Step(
                "Hence a violation",
                "with f'(0) = K_grad² and ‖ΔW‖ = εK_grad:  (ΔHE/K_grad)² − ‖ΔW‖² = f''(0)ε³ + O(ε⁴), "
                "positive for all sufficiently small ε > 0",
                "every f with three derivatives, f'(0) > 0; so n = 2, all d, s ≥ 0",
                _violation,
            ),
            Step(
                "Exact family",
                "W = I_2, ε = √2 x: f = √2 √(1 + x²)/(1 − x), K_grad = 1",
                "n = d = 2, s = 1, every ε in (0, √2)",
                _family,
            ),
            Step(
                "violates for every ε in (0, √2)",
                "f² > (f(0) + ε)² = 2(1 + x)²  ⇔  (1 + x²) − (1 − x²)² = x²(3 − x²) > 0 on 0 < x < 1",
                "n = d = 2, s = 1, every ε in (0, √2)",
                _every_step,
            ),
            Step(
                "One rational member",
                "W = I_2, ΔW = (0, 1/7; 1/7, 0): ‖ΔV‖² = 2/49 and (ΔHE/K)² = (5/3 − √2)² > 2/49",
                "exact, n = d = 2, s = 1",
                _member,
            ),
            Step(
                "Not at every ε",
                "the same direction from W = I_2 with ε = 3√2, ΔW = (0, 3; 3, 0): ΔHE = √5 − √2, "
                "‖ΔV‖² = 18 > (ΔHE/K_grad)²: the inequality holds",
                "exact, n = d = 2, s = 1",
                _large_step,
            ),
            Step(
                "Not at every W",
                "W = (±24, 0, 7; 0, ±24, −7): f'(0) > 0 and f''(0) < 0, so small ε satisfy the inequality",
                "exact, n = 4, d = 3, s = 1",
                _concave,
            ),
            Step(
                "Void at the simplex",
                "c_ij = −1/(n−1): ‖Σ_{j≠i}(û_j − c_ij û_i)‖² = 0, so K_grad = 0 (all D_ij are equal, a row "
                "of the gradient is a multiple of this sum); two opposite neurons and three at 120° by the "
                "definition",
                "n = 2, …, 7 from the Gram matrix, all s ≥ 0; exact for n = 2, 3, s = 0, 1, 2",
                _simplex,
            ),
        ),
        conclusion=(
            "K_grad‖ΔW‖ is the first Taylor term of ΔHE and no bound of it: convexity along the gradient "
            "puts ΔHE above, however small the edit. Two corrections: for n = 2 it is so at every W and not "
            "only at random ones, while for n = 4, d = 3 there are W whose energy is concave along its own "
            "gradient (near a square). K_grad is one reading of the paper's K; its source implies K_tri as "
            "well (B4). For n = 2 the two are equal and K_tri is refuted with K_grad. For n > 2 with K_tri "
            "> K_grad every sufficiently small edit satisfies the inequality with K_tri, so nothing here "
            "speaks against it."
        ),
        counterexamples=(
            Counterexample(
                refutes="‖ΔV‖_F² ≥ (ΔHE/K_grad)² for small edits",
                W=W,
                delta=_edit(sp.Rational(1, 7)),
                X=X,
                values=(
                    ("ΔHE", change(W, _edit(sp.Rational(1, 7)))),
                    ("K_grad²", k_grad_squared(W)),
                    ("‖ΔV‖_F²", frobenius_squared(_edit(sp.Rational(1, 7)) * X)),
                ),
            ),
        ),
    )


def _edit(size: sp.Expr) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix([[0, size], [size, 0]])


def _along(k: sp.Expr) -> sp.Expr:
    """Return HE_k(W + t∇HE_k(W)) of two neurons, from inner products alone."""
    u_1, u_2 = PAIR.generators()
    scale = (2 if k == 0 else 2 * k) * D ** (-k - 2)
    moved_1 = rho_1 * u_1 + t * scale / rho_1 * (u_2 - c * u_1)
    moved_2 = rho_2 * u_2 + t * scale / rho_2 * (u_1 - c * u_2)
    cosine = PAIR.dot(moved_1, moved_2) / sp.sqrt(PAIR.square(moved_1) * PAIR.square(moved_2))
    return -sp.log(2 - 2 * cosine) if k == 0 else 2 * (2 - 2 * cosine) ** (-k / 2)


def _agrees(order: int, formulas: dict[sp.Expr, sp.Expr]) -> bool:
    derivatives = {k: sp.diff(_along(k), t, order).subs(t, 0) for k in formulas}
    return all(equal(derivatives[k], formula) for k, formula in formulas.items())


def _slopes() -> dict[sp.Expr, sp.Expr]:
    cap = 1 - D**2 / 4
    return {s: 4 * s**2 * D ** (-2 * s - 2) * cap * SPREAD, sp.Integer(0): 4 / D**2 * cap * SPREAD}


def _curvatures() -> dict[sp.Expr, sp.Expr]:
    cap = 1 - D**2 / 4
    general = 2 * s * D ** (-s - 2) * (1 + s * cap) * 4 * s**2 * D ** (-2 * s - 2) * cap * SPREAD**2
    return {s: general, sp.Integer(0): 8 / D**4 * cap * SPREAD**2}


def _slope() -> bool:
    return _agrees(1, _slopes())


def _curvature() -> bool:
    return _agrees(2, _curvatures())


def _convex() -> bool:
    inside = 2 / sp.sqrt(1 + y)  # runs over (0, 2)
    return all(positive(sp.simplify(formula.subs(D, inside))) for formula in _curvatures().values())


def _violation() -> bool:
    f = sp.Function("f")
    slope, bend = (sp.diff(f(t), t, order).subs(t, 0) for order in (1, 2))
    excess = (f(t) - f(0)) ** 2 / slope - t**2 * slope
    orders = [sp.diff(excess, t, order).subs(t, 0).doit() / sp.factorial(order) for order in range(4)]
    return all(equal(value, 0) for value in orders[:3]) and equal(orders[3], bend)


def _family() -> bool:
    f = energy(W + sp.sqrt(2) * x * gradient(W))
    closed = 2 * (1 + x**2) / (1 - x) ** 2
    return equal(f**2, closed) and equal(k_grad_squared(W), 1) and equal(closed.subs(x, 0), 2)


def _every_step() -> bool:
    margin = sp.expand(2 * (1 + x**2) - 2 * (1 + x) ** 2 * (1 - x) ** 2)
    return equal(margin, 2 * x**2 * (3 - x**2)) and positive(sp.factor(margin.subs(x, 1 / (1 + y))))


def _member() -> bool:
    seventh = sp.Rational(1, 7)
    direction = equal(gradient(W) * sp.sqrt(2) * seventh, _edit(seventh))
    lower = sp.Rational(5, 3) - sp.Rational(14143, 10000)  # √2 < 1.4143
    below = sp.Rational(14143, 10000) ** 2 > 2
    value = equal(change(W, _edit(seventh)), sp.Rational(5, 3) - sp.sqrt(2))
    return direction and value and bool(below) and bool(lower**2 > 2 * seventh**2)


def _large_step() -> bool:
    edit = _edit(sp.Integer(3))
    rise = change(W, edit)
    direction = equal(gradient(W) * 3 * sp.sqrt(2), edit)
    value = equal(rise, sp.sqrt(5) - sp.sqrt(2)) and frobenius_squared(edit * X) == 18
    return direction and value and equal(k_grad_squared(W), 1) and bool(rise**2 < 18)


def _concave() -> bool:
    f = energy(NEAR_SQUARE + t * gradient(NEAR_SQUARE))
    slope, bend = (sp.simplify(sp.diff(f, t, order).subs(t, 0)) for order in (1, 2))
    return slope.is_positive is True and bend.is_negative is True


def _simplex() -> bool:
    def vanishes(n: int) -> bool:
        cosine = sp.Rational(-1, n - 1)
        space = Span(sp.Matrix(n, n, lambda i, j: 1 if i == j else cosine))
        first, *others = space.generators()
        return space.square(sum((u - cosine * first for u in others), sp.zeros(n, 1))) == 0

    regular = (sp.Matrix([[1, 0], [-2, 0]]), sp.Matrix([[2, 0], [-1, sp.sqrt(3)], [-1, -sp.sqrt(3)]]))
    literal = all(equal(k_grad_squared(weights, k), 0) for weights in regular for k in (0, 1, 2))
    return literal and all(map(vanishes, range(2, 8)))
