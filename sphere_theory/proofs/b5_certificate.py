"""B5: a finite, certified version of Theorem 1, with no Taylor term."""

from __future__ import annotations

from itertools import combinations

import sympy as sp

from .angles import (
    CHORD,
    EXPONENTS,
    angles_move_slowly,
    pull,
    pull_falls,
    s,
    same,
    spherical_triangle,
)
from .b4_triangle import cauchy_schwarz, pull_of_a_pair
from .cases import draw_case, draw_small
from .exact import (
    certifiable,
    change,
    frobenius_squared,
    gradient,
    half_gap,
    k_cert_rows_squared,
    k_cert_squared,
    segment_distance_squared,
)
from .exact import pull as pull_of_chord
from .formulas import certified
from .intervals import crosscheck
from .proof import Counterexample, Proof, Step, equal, nonnegative
from .vectors import Span

t, m, size, sigma, late = sp.symbols("t m_i ‖ΔW‖ σ t/(1−t)", positive=True)
a = sp.Symbol("‖w_i‖²", positive=True)
b = sp.Symbol("‖Δw_i‖²", nonnegative=True)  # 0 for a row at rest
g = sp.Symbol("w_i·Δw_i", real=True)
MOVING = Span(sp.Matrix([[a, g], [g, b]]))  # of w_i and Δw_i, in any dimension
GRAM = a * b - g**2  # ≥ 0 by Cauchy–Schwarz (B4)
W = sp.ImmutableMatrix([[25, 0], [7, 24]])
DELTA = sp.ImmutableMatrix([[0, 0], [-14, 0]])
OVERTAKEN = sp.ImmutableMatrix([[5, 0], [3, 4]])  # w_1 passes w_2 and stops just before it
OVERTAKING = sp.ImmutableMatrix([[sp.Rational(-19, 4), 5], [-3, 1]])
PAIR = sp.ImmutableMatrix([[1, 0], [sp.Rational(-7, 25), sp.Rational(24, 25)]])
MET = sp.ImmutableMatrix([
    [sp.Rational(4, 5), sp.Rational(3, 5)],
    [sp.Rational(44, 125), sp.Rational(117, 125)],
])
APPROACH = sp.ImmutableMatrix(MET - PAIR)  # both turn by the same angle
CASES = 500


def prove() -> Proof:
    """Prove |ΔHE| ≤ K_cert‖ΔW‖_F for finite edits, and what follows for outputs."""
    return Proof(
        id="B5",
        title="The certified bound",
        theorem=(
            "Let n ≥ 2, s ≥ 0, no zero row in W nor in W + ΔW, θ_ij the angle between w_i and w_j, δ_i the "
            "angle between w_i and w_i + Δw_i, m_i the distance from the origin to the segment [w_i, w_i + "
            "Δw_i], φ_ij = θ_ij − δ_i − δ_j. If every φ_ij > 0, then every m_i > 0, and with d_ij = "
            "2 sin(φ_ij/2) and K_cert² = Σ_i [(2s/m_i) Σ_{j≠i} d_ij^(−s−1) √(1 − d_ij²/4)]² (2 for 2s at s = "
            "0), |HE_s(W + ΔW) − HE_s(W)| ≤ K_cert‖ΔW‖_F. If moreover XXᵀ ⪰ σ²I on the row space of ΔW, "
            "K_cert²‖ΔW X‖_F² ≥ σ²(ΔHE)²."
        ),
        steps=(
            Step(
                "No row meets the origin",
                "w_i + tΔw_i = 0 with 0 < t < 1  ⇒  w_i + Δw_i = −((1 − t)/t)w_i: δ_i = π ≥ θ_ij, so φ_ij ≤ "
                "0. Hence every m_i > 0 where every φ_ij > 0: it is no hypothesis of its own",
                "all n ≥ 2, d (at t = 0 and t = 1 a row would be zero)",
                _off_origin,
            ),
            Step(
                "Path",
                "w_i(t) = w_i + tΔw_i:  ‖Δw_i‖²‖w_i(t)‖² = (‖Δw_i‖²t + w_i·Δw_i)² + (‖w_i‖²‖Δw_i‖² − "
                "(w_i·Δw_i)²), least at t* = −w_i·Δw_i/‖Δw_i‖² clamped to [0, 1]: ‖w_i(t)‖ ≥ m_i > 0",
                "all n, d, 0 ≤ t ≤ 1 (a row at rest has ‖w_i(t)‖ = m_i = ‖w_i‖)",
                _distance,
            ),
            Step(
                "Angle along a segment",
                "ψ_i(t) = angle between w_i and w_i(t):  d/dt cos ψ_i = "
                "−t (‖w_i‖²‖Δw_i‖² − (w_i·Δw_i)²)/(‖w_i‖‖w_i(t)‖³) ≤ 0",
                "all n, d, t ≥ 0, rows at rest included",
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
                spherical_triangle,
            ),
            Step(
                "Angles stay open",
                "θ_ij ≤ ψ_i(t) + angle(w_i(t), w_j) and angle(w_i(t), w_j) ≤ θ_ij(t) + ψ_j(t) add up to "
                "θ_ij(t) ≥ θ_ij − ψ_i(t) − ψ_j(t) ≥ θ_ij − δ_i − δ_j = φ_ij > 0",
                "all n, d, 0 ≤ t ≤ 1",
                angles_move_slowly,
            ),
            Step(
                "A pair's pull as a function of the angle",
                "|û_j − c_ij û_i| D_ij^(−s−2) = D_ij^(−s−1) √(1 − D_ij²/4) (B4) = (2 sin(θ/2))^(−s−1) "
                "cos(θ/2) =: h(θ_ij), the length of a row of the gradient of two neurons up to 2s/‖w_i‖",
                "all s ≥ 0, 0 < θ < π, every pair (two neurons span a plane)",
                _pull,
            ),
            Step(
                "h decreases",
                "h'(θ) = −(2 sin(θ/2))^(−s−2) (1 + s cos²(θ/2)) < 0",
                "all s ≥ 0, 0 < θ < π (h is continuous at π)",
                pull_falls,
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
                "and K_cert² = Σ_i K_i²: ‖∇HE_s(W(t))‖_F ≤ K_cert. On the exact example below: at t = 0, ¼, "
                "½, 1",
                "all n, d, 0 ≤ t ≤ 1 by the steps before; the values at n = d = 2, s = 0, 1, 2",
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
                "ΔHE = ⟨∇HE_s(W(t)), ΔW⟩ for some t, and ‖A‖²‖B‖² − ⟨A, B⟩² = Σ_{k<l} (A_k B_l − A_l B_k)² "
                "≥ 0 over the entries:  |ΔHE| ≤ K_cert‖ΔW‖_F",
                "all n, d, s ≥ 0 (Lagrange's identity, here for up to 6 entries)",
                _lagrange,
            ),
            Step(
                "Outputs",
                "‖ΔV‖_F ≥ σ‖ΔW‖_F (B2):  K_cert²‖ΔV‖_F² − σ²(ΔHE)² ≥ σ²(K_cert²‖ΔW‖_F² − (ΔHE)²) ≥ 0",
                "all n, d, m, σ",
                outputs,
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
                "Both turns count",
                "φ_ij = θ_ij − max(δ_i, δ_j) is too large: W = (1, 0; −7/25, 24/25) and Ŵ = (4/5, 3/5; "
                "44/125, 117/125), each neuron turned towards the other. ΔHE = 65/28, and the formula gives "
                "K‖ΔW‖_F = 130/81 < 65/28",
                "exact, n = d = 2, s = 1",
                _both_turns,
            ),
            Step(
                "Interval cross-check",
                f"|ΔHE| ≤ K_cert‖ΔW‖_F wherever it is certifiable among {CASES} random rational cases of "
                f"moderate size and {CASES} extreme ones (B8)",
                "n = 2, …, 5, d = 2, 3, 4, s from 0 to 6; rigorous interval arithmetic",
                _crosscheck,
            ),
        ),
        conclusion=(
            "All hypotheses are checkable from W and ΔW. Where some φ_ij ≤ 0 the certificate is not "
            "applicable: the theorem says nothing, and B8, which is never above K_cert, takes its place. "
            "The quotient form ‖ΔV‖² ≥ σ²(ΔHE/K_cert)² needs K_cert > 0, which fails only for two exactly "
            "opposite neurons with a radial edit (every φ_ij = π); the product form above has no exception."
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
            Counterexample(
                refutes="K_cert‖ΔW‖_F ≥ |ΔHE| with φ_ij = θ_ij − max(δ_i, δ_j)",
                W=PAIR,
                delta=APPROACH,
                values=(("ΔHE", change(PAIR, APPROACH)), ("K²‖ΔW‖_F²", _one_turn_bound_squared())),
            ),
        ),
    )


def _at(time: sp.Expr) -> sp.Matrix:
    w, delta = MOVING.generators()
    return w + time * delta


def _off_origin() -> bool:
    w = Span(sp.Matrix([[a]])).generators()[0]
    space, time = Span(sp.Matrix([[a]])), late / (1 + late)  # runs over (0, 1)
    delta = -w / time  # the only edit with w + tΔw = 0
    moved = w + delta
    cosine = space.dot(w, moved) / sp.sqrt(space.square(w) * space.square(moved))
    return equal(space.square(w + time * delta), 0) and equal(cosine, -1)


def _distance() -> bool:
    return equal(b * MOVING.square(_at(t)), (b * t + g) ** 2 + GRAM)


def _cosine() -> sp.Expr:
    w, _ = MOVING.generators()
    return MOVING.dot(w, _at(t)) / sp.sqrt(a * MOVING.square(_at(t)))


def _monotone() -> bool:
    length = sp.sqrt(MOVING.square(_at(t)))
    return equal(sp.diff(_cosine(), t), -t * GRAM / (sp.sqrt(a) * length**3))


def _pull() -> bool:
    return pull_of_a_pair() and all(same(pull_of_chord(CHORD, k), pull(k)) for k in EXPONENTS)


def _along() -> bool:
    longer, opener = sp.symbols("‖w_i(t)‖−m_i h(φ)−h(θ(t))", nonnegative=True)
    now = sp.Symbol("h(θ(t))", nonnegative=True)
    gap = (now + opener) / m - now / (m + longer)
    return all(nonnegative(sp.factor(scale * gap)) for scale in (2 * s, sp.Integer(2)))


def _row() -> bool:
    """Compare every row of the gradient along the exact example with its part of K_cert."""
    times = (sp.Integer(0), sp.Rational(1, 4), sp.Rational(1, 2), sp.Integer(1))

    def holds(k: int) -> bool:
        bounds = k_cert_rows_squared(W, DELTA, k)
        slopes = (gradient(W + time * DELTA, k) for time in times)
        return all(frobenius_squared(A.row(i)) <= bounds[i] for A in slopes for i in range(W.rows))

    return all(map(holds, (0, 1, 2)))


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


def _lagrange() -> bool:
    def holds(count: int) -> bool:
        left, right = sp.symbols(f"A:{count}", real=True), sp.symbols(f"B:{count}", real=True)
        product = sp.Add(*(x * y for x, y in zip(left, right, strict=True)))
        squares = sp.Add(*(x**2 for x in left)) * sp.Add(*(y**2 for y in right))
        terms = ((left[k] * right[l] - left[l] * right[k]) ** 2 for k, l in combinations(range(count), 2))
        return sp.expand(squares - product**2 - sp.Add(*terms)) == 0

    return all(map(holds, range(1, 7)))


def outputs() -> bool:
    """Establish K²‖ΔV‖² ≥ σ²(ΔHE)² from ‖ΔV‖ ≥ σ‖ΔW‖ (B2) and (ΔHE)² ≤ K²‖ΔW‖²."""
    change_, more, slack = sp.symbols("ΔHE more slack", nonnegative=True)
    output2 = sigma**2 * size**2 + more  # ‖ΔV‖² by B2
    K2 = (change_**2 + slack) / size**2  # (ΔHE)² ≤ K²‖ΔW‖² by the step before
    return nonnegative(sp.factor(K2 * output2 - sigma**2 * change_**2))


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


def _one_turn_bound_squared() -> sp.Expr:
    """K²‖ΔW‖_F² of the pair with φ = θ − δ; every row has length 1, and δ_1 = δ_2."""
    first_only = sp.ImmutableMatrix([list(APPROACH.row(0)), [0, 0]])
    sine, cosine = half_gap(PAIR, first_only, 0, 1)
    reach2 = segment_distance_squared(PAIR.row(0), APPROACH.row(0))
    row2 = (2 * (2 * sine) ** (-2) * cosine) ** 2 / reach2
    return sp.simplify(2 * row2 * frobenius_squared(APPROACH))


def _both_turns() -> bool:
    rise = change(PAIR, APPROACH)
    honest = _bound_squared(PAIR, APPROACH)
    wrong = _one_turn_bound_squared()
    return certifiable(PAIR, APPROACH) and rise == sp.Rational(65, 28) and bool(wrong < rise**2 <= honest)


def _crosscheck() -> bool:
    tallies = (crosscheck(certified, CASES, draw=draw) for draw in (draw_small, draw_case))
    return all(t.violated == t.undecided == 0 and t.holds > CASES // 2 for t in tallies)
