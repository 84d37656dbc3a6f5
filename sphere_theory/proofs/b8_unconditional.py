"""B8: Theorem 1 without conditions, for edits of every size."""

from __future__ import annotations

import sympy as sp

from . import b5_certificate as b5
from .angles import (
    COSINE,
    EXPONENTS,
    SINE,
    angles_move_slowly,
    energy_falls,
    lead,
    on_circle,
    pull,
    pull_falls,
    same,
    spherical_triangle,
    steepness,
    theta,
)
from .b4_triangle import cauchy_schwarz
from .b5_certificate import OVERTAKEN, OVERTAKING, outputs
from .exact import (
    angular_bound,
    certifiable,
    change,
    frobenius_squared,
    k_cert_squared,
    k_star_squared,
    pair_energy,
    turn,
)
from .formulas import angular, below_certified, shorter_arcs, together, unconditional
from .intervals import crosscheck
from .proof import Counterexample, Proof, Step, equal, nonnegative, positive
from .vectors import Span

a, b, y, z = sp.symbols("a b y z", positive=True)
r, L = sp.symbols("r L", positive=True)  # shorter over longer of ‖w_i‖ and ‖ŵ_i‖, and the longer
W = sp.ImmutableMatrix(sp.eye(2))
THROUGH = sp.ImmutableMatrix([[sp.Rational(-8, 5), sp.Rational(4, 5)], [0, 0]])  # w_1 passes through w_2
QUARTER = sp.ImmutableMatrix([[-1, 1], [-1, -1]])  # both neurons of I_2 turn by π/2
CERTIFIED = ((b5.W, b5.DELTA), (b5.PAIR, b5.APPROACH))
CASES = 1000


def prove() -> Proof:
    """Prove |ΔHE| ≤ Σ 2s δ_i Σ h(θ*_ij) and |ΔHE| ≤ K*‖ΔW‖_F for every edit."""
    return Proof(
        id="B8",
        title="The bound without conditions",
        theorem=(
            "Let n ≥ 2, s ≥ 0, Ŵ = W + ΔW, no zero row and no coincident directions in W nor in Ŵ. Let δ_i "
            "be the angle between w_i and ŵ_i, θ_ij and θ̂_ij the angles between neurons before and after, "
            "h(θ) = D^(−s−1) cos(θ/2) with D = 2 sin(θ/2); 2s reads 2 at s = 0. Then −Σ_i 2s δ_i Σ_{j≠i} "
            "h(θ_ij) ≤ ΔHE_s ≤ Σ_i 2s δ_i Σ_{j≠i} h(θ̂_ij). With θ* the angles at whichever of W, Ŵ has the "
            "larger energy: |ΔHE_s| ≤ Σ_i 2s δ_i Σ_{j≠i} h(θ*_ij), where 1 − e^(−δ_i) may stand for δ_i, "
            "and |ΔHE_s| ≤ K*‖ΔW‖_F, K*² = Σ_i [(2s/max(‖w_i‖, ‖ŵ_i‖)) Σ_{j≠i} h(θ*_ij)]². If XXᵀ ⪰ σ²I on "
            "the row space of ΔW, K*²‖ΔW X‖_F² ≥ σ²(ΔHE_s)². Nothing is asked of the size of ΔW."
        ),
        steps=(*_angular_steps(), *_length_steps(), *_examples()),
        conclusion=(
            "Where the energy rises, the tangent at the angles after the edit bounds the rise; where it "
            "falls, exchange W and Ŵ. Convexity alone does it: no path is followed, so neurons may pass "
            "through each other on the way, and no angle has to stay positive. What is left of the "
            "hypotheses is what HE needs to be finite. The quotient form ‖ΔV‖² ≥ σ²(ΔHE/K*)² needs K* > 0, "
            "that is not all neurons opposite (n = 2, θ* = π); the product form has no exception. Neither "
            "the bound by δ_i nor the one by lengths is below the other in every case. B5 is implied."
        ),
        counterexamples=(
            Counterexample(
                refutes="|ΔHE| ≤ K‖ΔW‖_F with the pulls of the end that has the smaller energy",
                W=OVERTAKEN,
                delta=OVERTAKING,
                values=(
                    ("ΔHE", change(OVERTAKEN, OVERTAKING)),
                    ("K²‖ΔW‖_F² at W", _bound_squared(OVERTAKEN, OVERTAKING, OVERTAKEN)),
                ),
            ),
        ),
    )


def _angular_steps() -> tuple[Step, ...]:
    return (
        Step(
            "Spherical triangle inequality",
            "a = cos α·b + sin α·p, c = cos β·b + sin β·q with p, q ⊥ b of length 1:  a·c − cos(α + β) = "
            "sin α sin β ‖p + q‖²/2 ≥ 0, so angle(a, c) ≤ α + β",
            "all d, all α, β in [0, π] (as in B5)",
            spherical_triangle,
        ),
        Step(
            "An angle moves by no more than its neurons turn",
            "|θ̂_ij − θ_ij| ≤ δ_i + δ_j, two triangle inequalities for either side",
            "all n, d, every pair, every edit",
            angles_move_slowly,
        ),
        Step(
            "A pair's energy falls with its angle",
            "e(θ) = D^(−s):  e'(θ) = −s h(θ) < 0; e = −log D: e' = −h < 0",
            "all s > 0 and s = 0, 0 < θ < π",
            energy_falls,
        ),
        Step(
            "and is convex",
            "e''(θ) = −s h'(θ) = s D^(−s−2)(1 + s cos²(θ/2)) > 0, with 1 for the leading s at s = 0",
            "all s > 0 and s = 0, 0 < θ < π (e and h are continuous at π)",
            _convex,
        ),
        Step(
            "Tangent at the end",
            "T(θ) = e(θ) − e(θ̂) + s h(θ̂)(θ − θ̂) has T(θ̂) = T'(θ̂) = 0 and T'' = e'' > 0, so "
            "e(θ̂) − e(θ) ≤ s h(θ̂)(θ − θ̂) ≤ s h(θ̂)(δ_i + δ_j), since h ≥ 0",
            "all s > 0 and s = 0, every pair of angles in (0, π]",
            _tangent,
        ),
        Step(
            "Sum over pairs",
            "Σ_{i≠j} s h(θ̂_ij)(δ_i + δ_j) = Σ_i 2s δ_i Σ_{j≠i} h(θ̂_ij)",
            "all s, d; n ≤ 6 (h_ij = h_ji: each δ_i stands twice beside each of its pairs, for every n)",
            _sum,
        ),
    )


def _length_steps() -> tuple[Step, ...]:
    return (
        Step(
            "The pull falls at least exponentially",
            "−h'/h = (1 + s cos²(θ/2))/sin θ, and d/dθ (e^θ h(θ)) = −e^θ h(θ) "
            "((sin(θ/2) − cos(θ/2))² + s cos²(θ/2))/sin θ ≤ 0: h(θ + u) ≤ e^(−u) h(θ)",
            "all s ≥ 0, 0 < θ ≤ θ + u < π",
            _exponential,
        ),
        Step(
            "A finite fall",
            "e(θ) − e(θ + a) = ∫₀ᵃ s h(θ + u) du ≤ s h(θ) ∫₀ᵃ e^(−u) du = s h(θ)(1 − e^(−a))",
            "all s > 0 and s = 0, 0 < θ < θ + a ≤ π",
            _finite_fall,
        ),
        Step(
            "It splits between the two neurons",
            "(1 − e^(−a)) + (1 − e^(−b)) − (1 − e^(−a−b)) = (1 − e^(−a))(1 − e^(−b)) ≥ 0:  |ΔHE| ≤ "
            "Σ_i 2s (1 − e^(−δ_i)) Σ_{j≠i} h(θ*_ij)",
            "all a, b ≥ 0; the sum as in the step on pairs",
            _split,
        ),
        Step(
            "Chord and turn",
            "with r ≤ 1 the shorter of ‖w_i‖, ‖ŵ_i‖ over the longer:  ‖Δw_i‖²/max² = 1 + r² − 2r cos δ_i = "
            "(r − cos δ_i)² + sin²δ_i ≥ sin²δ_i, and ≥ 1 where cos δ_i ≤ 0",
            "all d, every w_i, ŵ_i ≠ 0",
            _chord,
        ),
        Step(
            "The arc lemma",
            "g(δ) = e^δ(1 − sin δ): g(0) = 1, g' = e^δ(1 − sin δ − cos δ) ≤ 0 as (sin δ + cos δ)² = 1 + sin "
            "2δ, so 1 − e^(−δ) ≤ sin δ:  1 − e^(−δ_i) ≤ ‖Δw_i‖/max(‖w_i‖, ‖ŵ_i‖)",
            "0 ≤ δ ≤ π/2; beyond it 1 − e^(−δ) < 1 ≤ ‖Δw_i‖/max",
            _arc,
        ),
        Step(
            "Cauchy–Schwarz",
            "‖a‖²‖b‖² − (a·b)² = | ‖a‖²b − (a·b)a |²/‖a‖² ≥ 0:  Σ_i K*_i‖Δw_i‖ ≤ K*‖ΔW‖_F",
            "all n",
            cauchy_schwarz,
        ),
        Step(
            "Outputs",
            "‖ΔV‖_F ≥ σ‖ΔW‖_F (B2):  K*²‖ΔV‖_F² − σ²(ΔHE)² ≥ σ²(K*²‖ΔW‖_F² − (ΔHE)²) ≥ 0",
            "all n, d, m, σ",
            outputs,
        ),
        Step(
            "Never above the certificate",
            "B5 applies ⇒ K* ≤ K_cert: m_i ≤ max(‖w_i‖, ‖ŵ_i‖), for both ends lie on the segment, φ_ij ≤ "
            "θ_ij and φ_ij ≤ θ̂_ij by the second step, and h falls",
            "the two exact edits of B5 here, n = d = 2, s = 1; and the cross-check below",
            _below_certified,
        ),
    )


def _examples() -> tuple[Step, ...]:
    return (
        Step(
            "Through another neuron",
            "W = I_2, ΔW = (−8/5, 4/5; 0, 0): w_1 passes through the direction of w_2, B5 does not apply, "
            "ΔHE = √10 − √2 and K*²‖ΔW‖_F² = 144",
            "exact, n = d = 2, s = 1",
            _through,
        ),
        Step(
            "The best factor",
            "along W = I_2, ΔW = (0, x; x, 0) of B3: (ΔHE)²/(K*²‖ΔW‖_F²) → 1 as x → 0",
            "exact, n = d = 2, s = 1",
            _best_factor,
        ),
        Step(
            "The larger end is needed",
            "W = (5, 0; 3, 4), ΔW = (−19/4, 5; −3, 1): ΔHE > 37, and K²‖ΔW‖_F² < 37² with the pulls of W, "
            "whose energy is the smaller one",
            "exact, n = d = 2, s = 1",
            _smaller_end,
        ),
        Step(
            "The exponential is needed",
            "‖Δw‖/max ≥ δ is false: a turn of π/2 at equal lengths has √2 < π/2. So the bound by angles can "
            "be the larger, W = I_2, ΔW = (−1, 1; −1, −1): π/√2 > 2 = K*‖ΔW‖_F, or the smaller, 0 for ΔW = W",
            "exact, n = d = 2, s = 1",
            _arc_is_not_chord,
        ),
        Step(
            "Not 1 − cos a either",
            "e(π/3) − e(π/2) = 1 − 1/√2 > h(π/3)(1 − cos(π/6))",
            "exact, one pair, s = 1",
            _not_cosine,
        ),
        Step(
            "Interval cross-check",
            "the two-sided bound, the one with 1 − e^(−δ_i), the one by lengths, and K* ≤ K_cert where B5 "
            f"applies, in {CASES} random rational cases each",
            "n = 2, 3, 4, d = 2, 3, 4, s = 0, ½, 1, 2, 3½, 6; edits from 10⁻⁶ to 10⁶ of W, norms in ratios "
            "up to 10¹², near-coincident and near-opposite neurons; rigorous interval arithmetic",
            _crosscheck,
        ),
    )


def _convex() -> bool:
    return pull_falls() and all(
        same(sp.diff(pair_energy(2 * SINE, k), theta, 2), lead(k) * steepness(k)) for k in EXPONENTS
    )


def _tangent() -> bool:
    end = sp.Symbol("θ̂", positive=True)

    def holds(k: sp.Expr) -> bool:
        e = pair_energy(2 * SINE, k)
        gap = e - e.subs(theta, end) + lead(k) * pull(k).subs(theta, end) * (theta - end)
        touches = equal(gap.subs(theta, end), 0) and equal(sp.diff(gap, theta).subs(theta, end), 0)
        return touches and positive(on_circle(sp.diff(gap, theta, 2)))

    return all(map(holds, EXPONENTS))


def _sum() -> bool:
    def holds(n: int) -> bool:
        turns = sp.symbols(f"δ:{n}")
        pulls = sp.Matrix(n, n, lambda i, j: sp.Symbol(f"h_{min(i, j)}{max(i, j)}"))
        others = [[j for j in range(n) if j != i] for i in range(n)]
        pairs = sp.Add(*(pulls[i, j] * (turns[i] + turns[j]) for i in range(n) for j in others[i]))
        rows = sp.Add(*(2 * turns[i] * sp.Add(*(pulls[i, j] for j in others[i])) for i in range(n)))
        return sp.expand(pairs - rows) == 0

    return all(map(holds, range(2, 7)))


def _exponential() -> bool:
    def holds(k: sp.Expr) -> bool:
        terms = (SINE - COSINE) ** 2, k * COSINE**2
        sin_theta = 2 * SINE * COSINE
        rate = sp.Add(*terms) / sin_theta  # by how much −h'/h exceeds 1
        falls = same(sp.diff(sp.exp(theta) * pull(k), theta), -sp.exp(theta) * pull(k) * rate)
        logarithmic = same(-sp.diff(pull(k), theta) / pull(k), (1 + k * COSINE**2) / sin_theta)
        return falls and logarithmic and all(nonnegative(on_circle(term / sin_theta)) for term in terms)

    return all(map(holds, EXPONENTS))


def _finite_fall() -> bool:
    integral = equal(sp.integrate(sp.exp(-z), (z, 0, a)), 1 - sp.exp(-a))

    def slope(k: sp.Expr) -> bool:
        fallen = pair_energy(2 * SINE, k) - pair_energy(2 * SINE, k).subs(theta, theta + a)
        return equal(sp.diff(fallen, a), lead(k) * pull(k).subs(theta, theta + a)) and fallen.subs(a, 0) == 0

    return integral and all(map(slope, EXPONENTS))


def _split() -> bool:
    x, w = 1 - sp.exp(-a), 1 - sp.exp(-b)
    growing = positive(sp.diff(x, a)) and x.subs(a, 0) == 0  # so 1 − e^(−a) ≥ 0
    return growing and equal(x + w - (1 - sp.exp(-a - b)), x * w)


def _chord() -> bool:
    turn = sp.Symbol("δ", real=True)
    wide = sp.Symbol("−cos δ", nonnegative=True)
    cosine = sp.cos(turn)
    space = Span(sp.Matrix([[L**2, L * r * L * cosine], [L * r * L * cosine, (r * L) ** 2]]))
    longer, shorter = space.generators()
    ratio2 = space.square(longer - shorter) / L**2
    narrow = equal(ratio2, (r - cosine) ** 2 + sp.sin(turn) ** 2)
    return narrow and positive(sp.expand(ratio2.subs(cosine, -wide)) - 1)


def _arc() -> bool:
    turn = sp.Symbol("δ", real=True)
    g = sp.exp(turn) * (1 - sp.sin(turn))
    slope = equal(sp.diff(g, turn), sp.exp(turn) * (1 - sp.sin(turn) - sp.cos(turn)))
    sine, cosine = sp.symbols("sin cos", nonnegative=True)  # on [0, π/2]
    beyond = sp.expand((sine + cosine) ** 2 - (sine**2 + cosine**2))
    doubled = equal((sp.sin(turn) + sp.cos(turn)) ** 2, 1 + sp.sin(2 * turn))
    return slope and g.subs(turn, 0) == 1 and nonnegative(beyond) and doubled


def _bound_squared(weights: sp.Matrix, delta: sp.Matrix, end: sp.Matrix | None = None) -> sp.Expr:
    return sp.simplify(k_star_squared(weights, delta, end=end) * frobenius_squared(delta))


def _below_certified() -> bool:
    def holds(weights: sp.Matrix, delta: sp.Matrix) -> bool:
        gap = k_cert_squared(weights, delta) - k_star_squared(weights, delta)
        return certifiable(weights, delta) and bool(gap > 0)

    return all(holds(*edit) for edit in CERTIFIED)


def _through() -> bool:
    values = equal(change(W, THROUGH), sp.sqrt(10) - sp.sqrt(2)) and equal(_bound_squared(W, THROUGH), 144)
    meets = sp.Rational(5, 8)  # of the way: w_1 is (0, 1/2), in the direction of w_2
    on_the_way = (W.row(0) + meets * THROUGH.row(0)) == sp.ImmutableMatrix([[0, sp.Rational(1, 2)]])
    return values and on_the_way and not certifiable(W, THROUGH) and bool(change(W, THROUGH) ** 2 < 144)


def _best_factor() -> bool:
    x = sp.Symbol("x", positive=True)
    edit = sp.Matrix([[0, x], [x, 0]])
    bound = k_star_squared(W, edit, end=W + edit).subs(sp.Max(1, 1 + x**2), 1 + x**2) * 2 * x**2
    return sp.limit(change(W, edit) ** 2 / bound, x, 0, "+") == 1


def _smaller_end() -> bool:
    rise, honest = change(OVERTAKEN, OVERTAKING), _bound_squared(OVERTAKEN, OVERTAKING)
    wrong = _bound_squared(OVERTAKEN, OVERTAKING, OVERTAKEN)
    below = (wrong - 37**2).is_negative is True and (rise - 37).is_positive is True
    return below and (honest - rise**2).is_positive is True


def _arc_is_not_chord() -> bool:
    by_angles = angular_bound(W, QUARTER, end=W)
    larger = equal(by_angles, sp.pi / sp.sqrt(2)) and equal(_bound_squared(W, QUARTER), 4)
    longer_arc = (turn(W, QUARTER, 0) ** 2 - frobenius_squared(QUARTER.row(0))).is_positive is True
    radial = angular_bound(W, W, end=W) == 0 and _bound_squared(W, W).is_positive is True
    return larger and longer_arc and radial and (by_angles**2 - 4).is_positive is True


def _not_cosine() -> bool:
    third, step = sp.pi / 3, sp.pi / 6
    e, h = pair_energy(2 * SINE, 1), pull(1)
    fall = e.subs(theta, third) - e.subs(theta, third + step)
    values = equal(fall, 1 - 1 / sp.sqrt(2)) and equal(third + step, sp.pi / 2)
    return values and (fall - h.subs(theta, third) * (1 - sp.cos(step))).is_positive is True


def _crosscheck() -> bool:
    tally = crosscheck(together(angular, shorter_arcs, unconditional, below_certified), CASES)
    return tally.violated == tally.undecided == 0 and tally.holds > CASES * 9 // 10
