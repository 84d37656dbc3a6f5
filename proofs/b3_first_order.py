"""B3: with K = ‖∇HE(W)‖_F, Theorem 1 fails for arbitrarily small edits."""

from __future__ import annotations

import sympy as sp

from proofs.exact import change, energy, frobenius_squared, gradient, k_grad_squared
from proofs.proof import Counterexample, Proof, Step, equal, positive
from proofs.vectors import Span

s, D, rho_1, rho_2, w = sp.symbols("s D ‖w_1‖ ‖w_2‖ 1−D²/4", positive=True)
e, x, y = sp.symbols("ε x y", positive=True)
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
            "For n = 2, any d, s ≥ 0 and any W with 0 < D < 2: along ΔW = ε∇HE_s(W) with X = I, "
            "‖ΔV‖_F² < (ΔHE/K_grad)² for every small ε > 0. For n > 2 the same holds wherever the second "
            "derivative of HE along its gradient is positive, which is not everywhere. At a regular simplex "
            "K_grad = 0 and the inequality says nothing."
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
                "f(ε) − f(0) > ε f'(0) = K_grad‖ΔW‖ for small ε: with f'(0) = g², ‖ΔW‖ = εg and excess q > "
                "0, ((ε g² + q)/g)² − (ε g)² > 0",
                "n = 2; all d, s ≥ 0",
                _violation,
            ),
            Step(
                "Exact family",
                "W = I_2, ε = √2 x: f = √2 √(1 + x²)/(1 − x), K_grad = 1",
                "n = d = 2, s = 1, every ε in (0, √2)",
                _family,
            ),
            Step(
                "violates at every ε",
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
                "Not at every W",
                "W = (±24, 0, 7; 0, ±24, −7): f'(0) > 0 and f''(0) < 0, so small ε satisfy the inequality",
                "exact, n = 4, d = 3, s = 1",
                _concave,
            ),
            Step(
                "Void at the simplex",
                "c_ij = −1/(n−1) and Σû_j = 0  ⇒  Σ_{j≠i}(û_j − c_ij û_i) = −û_i + û_i = 0: K_grad = 0",
                "all n ≥ 2, d, s ≥ 0 (all D_ij are equal, the gradient is a multiple of this sum)",
                _simplex,
            ),
        ),
        conclusion=(
            "K_grad‖ΔW‖ is the first Taylor term of ΔHE and no bound of it: convexity along the gradient "
            "puts ΔHE above, however small the edit. Two corrections: 'at random W' holds for every W when n "
            "= 2, but for n = 4, d = 3 there are W whose energy is concave along its own gradient (near a "
            "square); and K_tri = K_grad for n = 2 (B4), so K_tri is refuted with it."
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
    g, q = sp.symbols("g q", positive=True)
    return positive(sp.expand(((e * g**2 + q) / g) ** 2 - (e * g) ** 2))


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


def _concave() -> bool:
    f = energy(NEAR_SQUARE + t * gradient(NEAR_SQUARE))
    slope, bend = (sp.simplify(sp.diff(f, t, order).subs(t, 0)) for order in (1, 2))
    return slope.is_positive is True and bend.is_negative is True


def _simplex() -> bool:
    n = sp.Symbol("n", positive=True)
    cosine = -1 / (n - 1)
    others = -1  # Σ_{j≠i} û_j = −û_i, in units of û_i
    return equal(others - (n - 1) * cosine, 0)
