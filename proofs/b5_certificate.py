"""B5: a finite, certified version of Theorem 1, with no Taylor term."""

from __future__ import annotations

import sympy as sp

from proofs.b4_triangle import cauchy_schwarz
from proofs.e2_gradient import D2, SPACE, c
from proofs.exact import certifiable, change, frobenius_squared, half_gap, k_cert_squared
from proofs.intervals import interval_crosscheck
from proofs.proof import Counterexample, Proof, Step, equal, nonnegative, positive
from proofs.vectors import Span

s, t, m, K, size, sigma = sp.symbols("s t m_i K_cert ‖ΔW‖ σ", positive=True)
a, b = sp.symbols("‖w_i‖² ‖Δw_i‖²", positive=True)
g = sp.Symbol("w_i·Δw_i", real=True)
EXPONENTS = (s, sp.Integer(0))
MOVING = Span(sp.Matrix([[a, g], [g, b]]))  # of w_i and Δw_i, in any dimension
GRAM = a * b - g**2  # ≥ 0 by Cauchy–Schwarz (B4)
W = sp.ImmutableMatrix([[25, 0], [7, 24]])
DELTA = sp.ImmutableMatrix([[0, 0], [-14, 0]])
OVERTAKEN = sp.ImmutableMatrix([[5, 0], [3, 4]])  # w_1 passes w_2 and stops just before it
OVERTAKING = sp.ImmutableMatrix([[sp.Rational(-19, 4), 5], [-3, 1]])
CASES = 1000


def prove() -> Proof:
    """Prove |ΔHE| ≤ K_cert‖ΔW‖_F for finite edits, and what follows for outputs."""
    return Proof(
        id="B5",
        title="The certified bound",
        theorem=(
            "Let n ≥ 2, s ≥ 0, θ_ij the angle between w_i and w_j, δ_i the angle between w_i and w_i + Δw_i, "
            "m_i the distance from the origin to the segment [w_i, w_i + Δw_i], φ_ij = θ_ij − δ_i − δ_j. If "
            "every m_i > 0 and φ_ij > 0, then with d_ij = 2 sin(φ_ij/2) and K_cert² = Σ_i [(2s/m_i) Σ_{j≠i} "
            "d_ij^(−s−1) √(1 − d_ij²/4)]² (2 for 2s at s = 0), |HE_s(W + ΔW) − HE_s(W)| ≤ K_cert‖ΔW‖_F. If "
            "moreover XXᵀ ⪰ σ²I on the row space of ΔW, K_cert²‖ΔW X‖_F² ≥ σ²(ΔHE)²."
        ),
        steps=(
            Step(
                "Path",
                "w_i(t) = w_i + tΔw_i, 0 ≤ t ≤ 1:  ‖w_i(t)‖² = ‖Δw_i‖²(t − t*)² + ‖w_i(t*)‖², t* = "
                "−w_i·Δw_i/‖Δw_i‖², so ‖w_i(t)‖ ≥ m_i > 0, attained at t* clamped to [0, 1]",
                "all n, d",
                _distance,
            ),
            Step(
                "Angle along a segment",
                "ψ_i(t) = angle between w_i and w_i(t):  d/dt cos ψ_i = "
                "−t (‖w_i‖²‖Δw_i‖² − (w_i·Δw_i)²)/(‖w_i‖‖w_i(t)‖³) ≤ 0",
                "all n, d, t ≥ 0",
                _monotone,
            ),
            Step(
                "Cauchy–Schwarz",
                "‖a‖²‖b‖² − (a·b)² = | ‖a‖²b − (a·b)a |²/‖a‖² ≥ 0: ψ_i increases from 0 to δ_i, so ψ_i(t) ≤ "
                "δ_i",
                "all d",
                cauchy_schwarz,
            ),
            Step(
                "Spherical triangle inequality",
                "a = cos α·b + sin α·p, c = cos β·b + sin β·q with p, q ⊥ b of length 1:  "
                "a·c − cos(α + β) = sin α sin β ‖p + q‖²/2 ≥ 0, so angle(a, c) ≤ α + β",
                "all d, all α, β in [0, π] (trivial where α + β > π; d = 1 lies in d = 2)",
                _triangle,
            ),
            Step(
                "Angles stay open",
                "θ_ij ≤ ψ_i(t) + angle(w_i(t), w_j) and angle(w_i(t), w_j) ≤ θ_ij(t) + ψ_j(t) add up to "
                "θ_ij(t) ≥ θ_ij − ψ_i(t) − ψ_j(t) ≥ θ_ij − δ_i − δ_j = φ_ij > 0",
                "all n, d, 0 ≤ t ≤ 1",
                _angles,
            ),
            Step(
                "A pair's pull as a function of the angle",
                "D = 2 sin(θ/2):  D^(−s−1) √(1 − D²/4) = (2 sin(θ/2))^(−s−1) cos(θ/2) =: h(θ)",
                "all s ≥ 0, 0 < θ ≤ π",
                _pull,
            ),
            Step(
                "h decreases",
                "h'(θ) = −(2 sin(θ/2))^(−s−2) (1 + s cos²(θ/2)) < 0",
                "all s ≥ 0, 0 < θ < π (h is continuous at π)",
                _decreasing,
            ),
            Step(
                "Along the path",
                "(2s/‖w_i(t)‖) h(θ_ij(t)) ≤ (2s/m_i) h(φ_ij), and with 2 for 2s at s = 0",
                "all n, d, every pair, 0 ≤ t ≤ 1",
                _along,
            ),
            Step(
                "Row of the gradient",
                "|∂HE_s/∂w_i (W(t))| ≤ (2s/m_i) Σ_{j≠i} h(φ_ij) =: K_i by the triangle inequality of B4, "
                "and K_cert² = Σ_i K_i²: ‖∇HE_s(W(t))‖_F ≤ K_cert. One row's pull: |û_j − c_ij û_i| "
                "D_ij^(−s−2) = h(θ_ij)",
                "all n, d, 0 ≤ t ≤ 1",
                _row,
            ),
            Step(
                "Derivative of the energy",
                "a pair with both ends moving: d/dt e(D_ij(t)) = ⟨∂e/∂w_i, Δw_i⟩ + ⟨∂e/∂w_j, Δw_j⟩, summed: "
                "d/dt HE_s(W(t)) = ⟨∇HE_s(W(t)), ΔW⟩",
                "all n, d, s > 0 and s = 0; no pair meets on the path, so HE_s(W(t)) is C¹",
                _derivative,
            ),
            Step(
                "Mean value",
                "|⟨∇HE_s(W(t)), ΔW⟩| ≤ K_cert‖ΔW‖_F, and |ΔHE| = |∫₀¹ d/dt HE_s dt| ≤ ∫₀¹ K_cert‖ΔW‖_F dt = "
                "K_cert‖ΔW‖_F",
                "all n, d, s ≥ 0 (Cauchy–Schwarz as above, for matrices)",
                _mean_value,
            ),
            Step(
                "Outputs",
                "‖ΔV‖_F ≥ σ‖ΔW‖_F (B2):  K_cert²‖ΔV‖_F² − σ²(ΔHE)² ≥ σ²(K_cert²‖ΔW‖_F² − (ΔHE)²) ≥ 0",
                "all n, d, m, σ",
                _outputs,
            ),
            Step(
                "Sharper, without lengths",
                "‖dû_i/dt‖ = dψ_i/dt, whose integral is δ_i, and dψ_i/dt ≤ ‖Δw_i‖/‖w_i(t)‖:  |ΔHE| ≤ Σ_i 2s "
                "δ_i Σ_{j≠i} h(φ_ij) ≤ Σ_i K_i‖Δw_i‖ ≤ K_cert‖ΔW‖_F",
                "all n, d, s > 0; 2 for 2s at s = 0",
                _sharper,
            ),
            Step(
                "Exact example",
                "W = (25, 0; 7, 24), ΔW = (0, 0; −14, 0): sin(φ/2) = 44/125, every hypothesis holds, "
                "(ΔHE)² = 25/144 ≤ K_cert²‖ΔW‖_F², a rational number below 10",
                "exact, n = d = 2, s = 1",
                _example,
            ),
            Step(
                "φ_ij > 0 is needed",
                "W = (5, 0; 3, 4), ΔW = (−19/4, 5; −3, 1): sin(φ/2) < 0, ΔHE > 37, and the formula gives "
                "K_cert²‖ΔW‖_F² < 37²",
                "exact, n = d = 2, s = 1",
                _hypothesis,
            ),
            Step(
                "Interval cross-check",
                f"|ΔHE| ≤ K_cert‖ΔW‖_F wherever it is certifiable among {CASES} random rational cases",
                "n = 2, …, 5, d = 2, 3, 4, s = 0, …, 3; rigorous interval arithmetic",
                _crosscheck,
            ),
        ),
        conclusion=(
            "All hypotheses are checkable from W and ΔW. Where some φ_ij ≤ 0 or m_i = 0 the certificate is "
            "not applicable: the theorem says nothing. The quotient form ‖ΔV‖² ≥ σ²(ΔHE/K_cert)² needs "
            "K_cert > 0, which fails only for two exactly opposite neurons with a radial edit (every φ_ij = "
            "π); the product form above has no exception. The step without lengths is a smaller bound than "
            "K_cert‖ΔW‖_F in every case."
        ),
        counterexamples=(
            Counterexample(
                refutes="K_cert‖ΔW‖_F ≥ |ΔHE| without φ_ij > 0",
                W=OVERTAKEN,
                delta=OVERTAKING,
                values=(
                    ("sin(φ/2)", half_gap(OVERTAKEN, OVERTAKING, 0, 1)[0]),
                    ("ΔHE", change(OVERTAKEN, OVERTAKING)),
                    ("K_cert²‖ΔW‖_F²", _bound_squared(OVERTAKEN, OVERTAKING)),
                ),
            ),
        ),
    )


def _at(time: sp.Expr) -> sp.Matrix:
    w, delta = MOVING.generators()
    return w + time * delta


def _distance() -> bool:
    nearest = -g / b
    return equal(MOVING.square(_at(t)), b * (t - nearest) ** 2 + MOVING.square(_at(nearest)))


def _cosine() -> sp.Expr:
    w, _ = MOVING.generators()
    return MOVING.dot(w, _at(t)) / sp.sqrt(a * MOVING.square(_at(t)))


def _monotone() -> bool:
    length = sp.sqrt(MOVING.square(_at(t)))
    return equal(sp.diff(_cosine(), t), -t * GRAM / (sp.sqrt(a) * length**3))


def _triangle() -> bool:
    alpha, beta, pq = sp.symbols("α β p·q", real=True)
    space = Span(sp.Matrix([[1, 0, 0], [0, 1, pq], [0, pq, 1]]))
    middle, p, q = space.generators()
    left = sp.cos(alpha) * middle + sp.sin(alpha) * p
    right = sp.cos(beta) * middle + sp.sin(beta) * q
    excess = space.dot(left, right) - sp.cos(alpha + beta)
    return equal(excess, sp.sin(alpha) * sp.sin(beta) * space.square(p + q) / 2)


def _angles() -> bool:
    theta, theta_t, between, psi_i, psi_j = sp.symbols("θ θ(t) angle ψ_i ψ_j", real=True)
    more_i, more_j = sp.symbols("δ_i−ψ_i δ_j−ψ_j", nonnegative=True)
    first = psi_i + between - theta  # ≥ 0
    second = theta_t + psi_j - between  # ≥ 0
    phi = theta - (psi_i + more_i) - (psi_j + more_j)
    return equal(theta_t - phi, first + second + more_i + more_j)


def _h(exponent: sp.Expr, sine: sp.Expr, cosine: sp.Expr) -> sp.Expr:
    return (2 * sine) ** (-exponent - 1) * cosine


def _pull() -> bool:
    sine, cosine = sp.symbols("S C", nonnegative=True)
    root = sp.sqrt(sp.simplify(1 - (2 * sine) ** 2 / 4).subs(sine**2, 1 - cosine**2))
    return equal(root, cosine) and all(
        equal((2 * sine) ** (-k - 1) * root, _h(k, sine, cosine)) for k in EXPONENTS
    )


def _decreasing() -> bool:
    theta = sp.Symbol("θ", positive=True)
    sine = sp.Symbol("S", positive=True)  # sin(θ/2) on (0, π)
    cosine = sp.Symbol("C", real=True)

    def holds(k: sp.Expr) -> bool:
        slope = sp.diff(_h(k, sp.sin(theta / 2), sp.cos(theta / 2)), theta)
        formula = -((2 * sine) ** (-k - 2)) * (1 + k * cosine**2)
        named = slope.subs({sp.sin(theta / 2): sine, sp.cos(theta / 2): cosine})
        on_circle = sp.simplify((named / formula).subs(cosine, sp.sqrt(1 - sine**2)))
        return equal(on_circle, 1) and positive(-formula)

    return all(map(holds, EXPONENTS))


def _along() -> bool:
    longer, opener = sp.symbols("‖w_i(t)‖−m_i h(φ)−h(θ(t))", nonnegative=True)
    pull = sp.Symbol("h(θ(t))", nonnegative=True)
    gap = (pull + opener) / m - pull / (m + longer)
    return all(nonnegative(sp.factor(scale * gap)) for scale in (2 * s, sp.Integer(2)))


def _row() -> bool:
    u_i, u_j, _ = SPACE.generators()
    pull = SPACE.square(u_j - c * u_i)
    half = sp.Symbol("θ/2", real=True)
    angle = {c: sp.cos(2 * half)}
    sine, cosine = sp.symbols("S C", positive=True)

    def holds(k: sp.Expr) -> bool:
        square = (pull * D2 ** (-k - 2)).subs(angle)
        named = square.subs(sp.cos(2 * half), 1 - 2 * sine**2)
        expected = _h(k, sine, cosine) ** 2
        ratio = (named / expected).subs(cosine, sp.sqrt(1 - sine**2))
        return equal(sp.simplify(ratio), 1)

    return all(map(holds, EXPONENTS))


def _derivative() -> bool:
    g_ij, x, y, z, v = sp.symbols("w_i·w_j w_i·Δw_i w_i·Δw_j w_j·Δw_i w_j·Δw_j", real=True)
    a_i, a_j, b_i, b_j, b_ij = sp.symbols("a_i a_j b_i b_j b_ij", positive=True)
    space = Span(sp.Matrix([[a_i, g_ij, x, y], [g_ij, a_j, z, v], [x, z, b_i, b_ij], [y, v, b_ij, b_j]]))
    w_i, w_j, d_i, d_j = space.generators()

    def chord_squared(left: sp.Expr, right: sp.Expr) -> sp.Expr:
        p, q = w_i + left * d_i, w_j + right * d_j
        return 2 - 2 * space.dot(p, q) / sp.sqrt(space.square(p) * space.square(q))

    def slope(left: sp.Expr, right: sp.Expr, k: sp.Expr) -> sp.Expr:
        D2 = chord_squared(left, right)
        return sp.diff(-sp.log(D2) / 2 if k == 0 else D2 ** (-k / 2), t).subs(t, 0)

    return all(equal(slope(t, t, k), slope(t, 0, k) + slope(0, t, k)) for k in EXPONENTS)


def _mean_value() -> bool:
    slack = sp.Symbol("K_cert − ‖∇HE‖", nonnegative=True)
    bound = sp.integrate(K * size, (t, 0, 1))
    return equal(bound, K * size) and nonnegative(K * size - (K - slack) * size) and cauchy_schwarz()


def _outputs() -> bool:
    change_, more, slack = sp.symbols("ΔHE more slack", nonnegative=True)
    output2 = sigma**2 * size**2 + more  # ‖ΔV‖² by B2
    K2 = (change_**2 + slack) / size**2  # (ΔHE)² ≤ K²‖ΔW‖² by the step before
    return nonnegative(sp.factor(K2 * output2 - sigma**2 * change_**2))


def _sharper() -> bool:
    square = MOVING.square(_at(t))
    velocity = sp.diff(_at(t) / sp.sqrt(square), t)
    turning = equal(MOVING.square(velocity), GRAM / square**2)
    sine2 = t**2 * GRAM / (a * square)  # 1 − cos²ψ
    angle = equal(1 - _cosine() ** 2, sine2) and equal(sp.diff(_cosine(), t) ** 2 / sine2, GRAM / square**2)
    _, delta = MOVING.generators()
    return turning and angle and equal(square * b - GRAM, MOVING.dot(_at(t), delta) ** 2)


def _bound_squared(weights: sp.Matrix, delta: sp.Matrix) -> sp.Expr:
    return k_cert_squared(weights, delta) * frobenius_squared(delta)


def _example() -> bool:
    bound = _bound_squared(W, DELTA)
    gap = half_gap(W, DELTA, 0, 1) == (sp.Rational(44, 125), sp.Rational(117, 125))
    rational = bound.is_rational is True and change(W, DELTA) ** 2 == sp.Rational(25, 144)
    return (
        certifiable(W, DELTA)
        and gap
        and rational
        and bool(sp.Rational(25, 144) <= bound)
        and bool(bound < 10)
    )


def _hypothesis() -> bool:
    sine, _ = half_gap(OVERTAKEN, OVERTAKING, 0, 1)
    bound = _bound_squared(OVERTAKEN, OVERTAKING)
    beyond = (change(OVERTAKEN, OVERTAKING) - 37).is_positive is True
    return sine.is_negative is True and beyond and (bound - 37**2).is_negative is True


def _crosscheck() -> bool:
    tally = interval_crosscheck(CASES)
    return tally.violated == 0 and tally.undecided == 0 and tally.holds > CASES // 2
