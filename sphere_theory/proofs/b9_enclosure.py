"""B9: ΔHE between two numbers, to second order."""

from __future__ import annotations

import sympy as sp

from .angles import (
    CHORD,
    COSINE,
    EXPONENTS,
    angles_move_slowly,
    bend,
    bend_falls,
    lead,
    on_circle,
    same,
    spherical_triangle,
    theta,
)
from .b5_certificate import OVERTAKEN, OVERTAKING, PAIR
from .b9_narrower import narrower_steps
from .exact import (
    certifiable,
    change,
    energy,
    first_order,
    gradient,
    half_gap,
    pair_energy,
    second_order,
    turn,
)
from .formulas import enclosure, sharp_enclosure, together
from .intervals import crosscheck
from .proof import Counterexample, Proof, Step, equal, positive
from .vectors import Span

t = sp.Symbol("t", real=True)
d_i, d_j = sp.symbols("δ_i δ_j", nonnegative=True)
c, p_ij, p_ji, p = sp.symbols("c τ_i·û_j τ_j·û_i τ_i·τ_j", real=True)
# û_i, û_j and the unit tangents τ_i ⊥ û_i, τ_j ⊥ û_j, in any dimension
TANGENTS = Span(sp.Matrix([[1, c, 0, p_ji], [c, 1, p_ij, 0], [0, p_ij, 1, p], [p_ji, 0, p, 1]]))
W = sp.ImmutableMatrix(sp.eye(2))
SMALL = sp.ImmutableMatrix([[sp.Rational(-1, 25), sp.Rational(7, 25)], [0, 0]])
LARGER = sp.ImmutableMatrix([[sp.Rational(-1, 13), sp.Rational(5, 13)], [0, 0]])
NEARER = sp.ImmutableMatrix([
    [sp.Rational(20, 29), sp.Rational(21, 29)],
    [sp.Rational(364, 725), sp.Rational(627, 725)],
])
APPROACH = sp.ImmutableMatrix(NEARER - PAIR)  # both neurons of PAIR turn by the same angle
CASES = 1000


def prove() -> Proof:
    """Prove |ΔHE − Σ δ_i⟨G_i, τ_i⟩| ≤ ½ Σ q(φ_ij)(δ_i + δ_j)², and a narrower form of it."""
    return Proof(
        id="B9",
        title="An enclosure to second order",
        theorem=(
            "Let n ≥ 2, s ≥ 0, no zero row in W nor Ŵ, every φ_ij = θ_ij − δ_i − δ_j > 0 (as in B5). With "
            "G_i = ‖w_i‖∂HE_s/∂w_i, τ_i the unit tangent at û_i towards ŵ_i, d = 2 sin(φ/2) and q(φ) = s "
            "d^(−s−2)(1 + (s + 2)cos²(φ/2)), the leading s read as 1 at s = 0: |ΔHE_s − Σ_i δ_i⟨G_i, τ_i⟩| "
            "≤ ½ Σ_{i≠j} q(φ_ij)(δ_i + δ_j)². Narrower: with R = ΔHE_s − Σ_i δ_i⟨G_i, τ_i⟩, −½ Σ_{i≠j} "
            "q₋(φ_ij)(δ_i + δ_j)² ≤ R ≤ ½ Σ_{i≠j} q₊(φ_ij)(δ_i + δ_j)², q₋ = s d^(−s−2)cos²(φ/2), q₊ = s "
            "d^(−s−2)(1 + s cos²(φ/2)), q = q₊ + 2q₋."
        ),
        steps=(*_steps(), *narrower_steps(), *_examples()),
        conclusion=(
            "With f_ij(t) the energy of a pair along the great circles, ΔHE_s = Σ_{i≠j} (f_ij(1) − "
            "f_ij(0)), Σ f_ij'(0) is the first-order term, and the rest is at most ½ Σ sup|f_ij''|. The "
            "sign of ΔHE is certified where 0 lies outside the two ends. Enclosures of the pieces of a "
            "segment add up, each with its own φ_ij > 0. Where some φ_ij ≤ 0 it says nothing, and B8 takes "
            "its place. q is not the best: q₊ and q₋ enclose ΔHE in an interval of at most half the width, "
            "for every s, φ."
        ),
        counterexamples=(
            Counterexample(
                refutes="the enclosure without φ_ij > 0",
                W=OVERTAKEN,
                delta=OVERTAKING,
                s=2,
                values=_sides(OVERTAKEN, OVERTAKING, second_order(OVERTAKEN, OVERTAKING, 2)),
            ),
            Counterexample(
                refutes="the enclosure with φ_ij = θ_ij − max(δ_i, δ_j)",
                W=PAIR,
                delta=APPROACH,
                s=2,
                values=_sides(PAIR, APPROACH, _one_turn_bound()),
            ),
        ),
    )


def _steps() -> tuple[Step, ...]:
    return (
        Step(
            "Great circles",
            "û_i(t) = cos(tδ_i)û_i + sin(tδ_i)τ_i, 0 ≤ t ≤ 1, from û_i to the direction of ŵ_i: ‖û_i(t)‖ = "
            "1, ‖û_i'‖ = δ_i, û_i·û_i' = 0, û_i'' = −δ_i²û_i",
            "all n, d; δ_i < π, for φ_ij > 0 (where δ_i = 0, any τ_i)",
            _great_circle,
        ),
        Step(
            "Angles stay open",
            "û_i turns by tδ_i ≤ δ_i, so θ_ij(t) ≥ θ_ij − δ_i − δ_j = φ_ij > 0 by the triangle inequality",
            "all n, d, 0 ≤ t ≤ 1 (the two steps of B5)",
            _open,
        ),
        Step(
            "How fast a cosine moves",
            "1 − c² − (τ_i·û_j)² = |û_j − cû_i − (τ_i·û_j)τ_i|² ≥ 0, so c' = δ_i τ_i·û_j + δ_j τ_j·û_i has "
            "c'² ≤ (δ_i + δ_j)²(1 − c²)",
            "all d, every pair, every t (τ the tangent at t)",
            _speed,
        ),
        Step(
            "and how it bends",
            "c'' = −(δ_i² + δ_j²)c + 2δ_iδ_j τ_i·τ_j;  (δ_i + δ_j)² ∓ c'' = (δ_i² + δ_j²)(1 ± c) + "
            "2δ_iδ_j(1 ∓ τ_i·τ_j) ≥ 0",
            "all d, every pair, every t",
            _bending,
        ),
        Step(
            "Second derivative of a pair's energy",
            "F(c) = (2 − 2c)^(−s/2), f = F(c(t)): f'' = F''c'² + F'c'', F' = s D^(−s−2) > 0, F'' = "
            "s(s + 2)D^(−s−4) > 0, and F''(1 − c²) + F' = q(θ):  |f''| ≤ q(θ)(δ_i + δ_j)²",
            "all s > 0, and s = 0 with 1 for the leading s and F = −½ log(2 − 2c)",
            _second_derivative,
        ),
        Step(
            "q falls",
            "q'(θ) < 0, so q(θ_ij(t)) ≤ q(φ_ij)",
            "all s > 0 and s = 0, 0 < θ < π",
            bend_falls,
        ),
        Step(
            "Taylor with remainder",
            "d/dt (f(t) + (1 − t)f'(t)) = (1 − t)f''(t) and ∫₀¹ (1 − t) dt = ½:  |f(1) − f(0) − f'(0)| ≤ "
            "½ sup|f''|",
            "every f with two continuous derivatives",
            _taylor,
        ),
        Step(
            "The first-order term",
            "d/dt HE_s(W(t)) at t = 0 is Σ_i δ_i⟨G_i, τ_i⟩",
            "n = d = 3, rational directions and tangents of three lengths, all δ_i, s = 0, 1, 2 (in general "
            "by E2 and the chain rule)",
            _first_order,
        ),
    )


def _examples() -> tuple[Step, ...]:
    return (
        Step(
            "A certified sign",
            "W = I_2, ŵ_1 = (24/25, 7/25): ΔHE = 5/3 − √2, and the lower end with q is positive",
            "exact, n = d = 2, s = 1",
            _sign,
        ),
        Step(
            "Where only q₋ certifies it",
            "W = I_2, ŵ_1 = (12/13, 5/13): the lower end is negative with q, positive with q₋",
            "exact, n = d = 2, s = 1",
            _narrower_sign,
        ),
        Step(
            "The best factor",
            "two opposite neurons, both turned by δ: |ΔHE|/(½ Σ q(φ)(δ_i + δ_j)²) → 1 as δ → 0, the "
            "first-order term being 0. So neither ½ nor (δ_i + δ_j)² can be smaller; δ_i² + δ_j² would be "
            "half of it",
            "all d; s = 0, 1, 2, 7/2",
            _best_factor,
        ),
        Step(
            "φ_ij > 0 is needed",
            "W = (5, 0; 3, 4), ΔW = (−19/4, 5; −3, 1), s = 2: ΔHE > 798, and both ends lie below 30",
            "exact, n = d = 2, s = 2",
            _hypothesis,
        ),
        Step(
            "Both turns count",
            "W = (1, 0; −7/25, 24/25), Ŵ = (20/29, 21/29; 364/725, 627/725), s = 2: ΔHE lies above the upper "
            "end with φ = θ − max(δ_i, δ_j), below it with φ = θ − δ_i − δ_j",
            "exact, n = d = 2, s = 2",
            _both_turns,
        ),
        Step(
            "Interval cross-check",
            f"both enclosures, wherever φ_ij > 0 is certain among {CASES} random rational cases",
            "n = 2, 3, 4, d = 2, 3, 4, s = 0, ½, 1, 2, 3½, 6; the cases of B8; rigorous interval arithmetic",
            _crosscheck,
        ),
    )


def _great_circle() -> bool:
    u, _, tangent, _ = TANGENTS.generators()
    at = sp.cos(t * d_i) * u + sp.sin(t * d_i) * tangent
    velocity = sp.diff(at, t)
    unit = equal(TANGENTS.square(at), 1) and equal(TANGENTS.square(velocity), d_i**2)
    return unit and equal(TANGENTS.dot(at, velocity), 0) and equal(sp.diff(at, t, 2), -(d_i**2) * at)


def _open() -> bool:
    u, _, tangent, _ = TANGENTS.generators()
    at = sp.cos(t * d_i) * u + sp.sin(t * d_i) * tangent
    return equal(TANGENTS.dot(u, at), sp.cos(t * d_i)) and spherical_triangle() and angles_move_slowly()


def _slopes() -> tuple[sp.Expr, sp.Expr]:
    """c' and c'' at t = 0 of û_i(t)·û_j(t), by differentiation."""
    u_i, u_j, tangent_i, tangent_j = TANGENTS.generators()
    left = sp.cos(t * d_i) * u_i + sp.sin(t * d_i) * tangent_i
    right = sp.cos(t * d_j) * u_j + sp.sin(t * d_j) * tangent_j
    cosine = TANGENTS.dot(left, right)
    return sp.diff(cosine, t).subs(t, 0), sp.diff(cosine, t, 2).subs(t, 0)


def _speed() -> bool:
    u_i, u_j, tangent, _ = TANGENTS.generators()
    rest = equal(1 - c**2 - p_ij**2, TANGENTS.square(u_j - c * u_i - p_ij * tangent))
    return rest and equal(_slopes()[0], d_i * p_ij + d_j * p_ji)


def _bending() -> bool:
    _, second = _slopes()
    formula = equal(second, -(d_i**2 + d_j**2) * c + 2 * d_i * d_j * p)
    total = (d_i + d_j) ** 2
    margins = (
        (total - second, (d_i**2 + d_j**2) * (1 + c) + 2 * d_i * d_j * (1 - p)),
        (total + second, (d_i**2 + d_j**2) * (1 - c) + 2 * d_i * d_j * (1 + p)),
    )
    return formula and all(equal(margin, parts) for margin, parts in margins)


def _of_cosine(k: sp.Expr) -> sp.Expr:
    return pair_energy(sp.sqrt(2 - 2 * c), k)


def _second_derivative() -> bool:
    at = sp.Function("c")(t)

    def holds(k: sp.Expr) -> bool:
        F = _of_cosine(k)
        first, second = (sp.diff(F, c, order).subs(c, sp.cos(theta)) for order in (1, 2))
        named = {sp.cos(theta): 1 - CHORD**2 / 2}  # cos θ = 1 − D²/2
        first, second = first.subs(named), second.subs(named)
        slopes = same(first, lead(k) * CHORD ** (-k - 2)) and same(
            second, lead(k) * (k + 2) * CHORD ** (-k - 4)
        )
        sine2 = CHORD**2 * COSINE**2  # 1 − c²
        chained = sp.diff(F.subs(c, at), t, 2)
        parts = (sp.diff(F, c, order).subs(c, at) * rate for order, rate in _rates(at))
        positives = positive(on_circle(first)) and positive(on_circle(second))
        return (
            slopes and positives and equal(chained, sp.Add(*parts)) and same(second * sine2 + first, bend(k))
        )

    return same(1 - (1 - CHORD**2 / 2) ** 2, CHORD**2 * COSINE**2) and all(map(holds, EXPONENTS))


def _rates(at: sp.Expr) -> tuple[tuple[int, sp.Expr], ...]:
    return (2, sp.diff(at, t) ** 2), (1, sp.diff(at, t, 2))


def _taylor() -> bool:
    f = sp.Function("f")(t)
    slope = sp.diff(f + (1 - t) * sp.diff(f, t), t)
    return equal(slope, (1 - t) * sp.diff(f, t, 2)) and sp.integrate(1 - t, (t, 0, 1)) == sp.Rational(1, 2)


def _first_order() -> bool:
    third, fifth = sp.Rational(1, 3), sp.Rational(1, 5)
    units = sp.Matrix([[1, 2, 2], [2, -2, 1], [0, 0, 3]]) * third
    tangents = sp.Matrix([
        [-2 * third, -third, 2 * third],
        [2 * third, third, -2 * third],
        [3 * fifth, 4 * fifth, 0],
    ])
    weights = sp.diag(3, 6, 2) * units
    turns = sp.symbols("δ:3", positive=True)
    rows = [sp.cos(t * x) * units.row(i) + sp.sin(t * x) * tangents.row(i) for i, x in enumerate(turns)]

    def holds(k: int) -> bool:
        slope = sp.diff(energy(sp.Matrix.vstack(*rows), k), t).subs(t, 0)
        G = sp.diag(3, 6, 2) * gradient(weights, k)
        return equal(slope, sp.Add(*(x * G.row(i).dot(tangents.row(i)) for i, x in enumerate(turns))))

    orthonormal = all(
        units.row(i).dot(tangents.row(i)) == 0 and tangents.row(i).dot(tangents.row(i)) == 1 for i in range(3)
    )
    return orthonormal and all(map(holds, (0, 1, 2)))


def _sides(weights: sp.Matrix, delta: sp.Matrix, bound: sp.Expr) -> tuple[tuple[str, sp.Expr], ...]:
    return (
        ("ΔHE", change(weights, delta, 2)),
        ("Σ δ_i⟨G_i, τ_i⟩", first_order(weights, delta, 2)),
        ("½ Σ q(φ_ij)(δ_i + δ_j)²", bound),
    )


def _lower(delta: sp.Matrix, constant: int, quadratic: int) -> sp.Expr:
    return first_order(W, delta) - second_order(W, delta, constant=constant, quadratic=quadratic)


def _sign() -> bool:
    rise = change(W, SMALL)
    low, high = _lower(SMALL, 1, 3), first_order(W, SMALL) + second_order(W, SMALL)
    return (
        equal(rise, sp.Rational(5, 3) - sp.sqrt(2))
        and bool(low > 0)
        and bool(low < rise)
        and bool(rise < high)
    )


def _narrower_sign() -> bool:
    rise = change(W, LARGER)
    return (
        bool(_lower(LARGER, 1, 3) < 0)
        and bool(_lower(LARGER, 0, 1) > 0)
        and bool(_lower(LARGER, 0, 1) < rise)
    )


def opposite_ratio(k: sp.Expr) -> sp.Expr:
    """Return the limit of ΔHE/(½ Σ q(φ)(δ_i + δ_j)²) for two opposite neurons, both turned by δ → 0."""
    turned = sp.Symbol("δ", positive=True)
    after = 2 * sp.cos(turned)  # the chord afterwards; φ = π − 2δ
    rise = 2 * (pair_energy(after, k) - pair_energy(sp.Integer(2), k))
    q = bend(k).subs({sp.sin(theta / 2): sp.cos(turned), sp.cos(theta / 2): sp.sin(turned)})
    return sp.limit(rise / (q * (2 * turned) ** 2), turned, 0, "+")


def _best_factor() -> bool:
    still = first_order(sp.Matrix([[1, 0], [-1, 0]]), sp.Matrix([[-1, 1], [1, 0]])) == 0
    return still and all(opposite_ratio(sp.sympify(k)) == 1 for k in (0, 1, 2, sp.Rational(7, 2)))


def _hypothesis() -> bool:
    rise, centre = change(OVERTAKEN, OVERTAKING, 2), first_order(OVERTAKEN, OVERTAKING, 2)
    high = centre + second_order(OVERTAKEN, OVERTAKING, 2)
    return not certifiable(OVERTAKEN, OVERTAKING) and bool(rise > 798) and bool(high < 30)


def _one_turn_bound() -> sp.Expr:
    """½ Σ q(φ)(δ_i + δ_j)² of the approaching pair at s = 2 with φ = θ − δ; both turn by δ."""
    first_only = sp.ImmutableMatrix([list(APPROACH.row(0)), [0, 0]])
    sine, cosine = half_gap(PAIR, first_only, 0, 1)
    return 2 * (2 * sine) ** (-4) * (1 + 4 * cosine**2) * (2 * turn(PAIR, APPROACH, 0)) ** 2


def _both_turns() -> bool:
    rise, centre = change(PAIR, APPROACH, 2), first_order(PAIR, APPROACH, 2)
    honest = second_order(PAIR, APPROACH, 2)
    same_turn = equal(turn(PAIR, APPROACH, 0), turn(PAIR, APPROACH, 1))
    refuted = bool(centre + _one_turn_bound() < rise) and bool(rise < centre + honest)
    return certifiable(PAIR, APPROACH) and same_turn and refuted


def _crosscheck() -> bool:
    tally = crosscheck(together(enclosure, sharp_enclosure), CASES)
    return tally.violated == tally.undecided == 0 and tally.holds > CASES // 2
