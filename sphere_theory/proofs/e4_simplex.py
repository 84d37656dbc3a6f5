"""E4: the least energy, and the regular simplex that attains it."""

from __future__ import annotations

import sympy as sp

from .exact import energy
from .noncommutative import Algebra, letter
from .proof import Proof, Step, equal, nonnegative, positive
from .vectors import Span

s, x, m, z2 = sp.symbols("s x m ‖Σû‖²", positive=True)
n = m + 1  # n ≥ 2
PAIRS = n * (n - 1)
SIMPLEX = 2 * n / (n - 1)  # D² of the regular simplex
c = sp.Symbol("c", real=True)
ENERGIES = (x ** (-s / 2), -sp.log(x) / 2)  # of a pair, as a function of x = D²: s > 0 and s = 0


def prove() -> Proof:
    """Prove the simplex bound and when it is attained."""
    return Proof(
        id="E4",
        title="The simplex bound",
        theorem=(
            "Let n ≥ 2. For s > 0, HE_s(W) ≥ n(n−1)(2n/(n−1))^(−s/2); for s = 0, "
            "HE_0(W) ≥ −½ n(n−1) log(2n/(n−1)). Equality iff the directions û_i are the vertices of a "
            "regular simplex centred at the origin, which exists iff n ≤ d + 1."
        ),
        steps=(
            Step(
                "Sum of squared chords",
                "Σ_{i≠j} D_ij² = Σ_{i,j} (2 − 2c_ij) = 2n² − 2 Σ_{i,j} c_ij",
                "all n, d (c_ii = 1: the diagonal adds nothing)",
                _chords,
            ),
            Step(
                "Sum of directions",
                "Σ_{i,j} c_ij = ‖Σ_i û_i‖²",
                "all d; n ≤ 5 (bilinear for every n)",
                _bilinear,
            ),
            Step(
                "A pair's energy is strictly convex in x = D²",
                "φ(x) = x^(−s/2): φ'' > 0, and φ(x) = −½ log x: φ'' > 0",
                "all x > 0; s > 0 and s = 0",
                _convex,
            ),
            Step("and decreasing", "φ' < 0", "all x > 0; s > 0 and s = 0", _decreasing),
            Step(
                "Jensen, as a tangent at x₀ = 2n/(n−1)",
                "T(x) = φ(x) − φ(x₀) − φ'(x₀)(x − x₀) has T(x₀) = T'(x₀) = 0 and T'' > 0, so T ≥ 0 with "
                "equality only at x₀",
                "all x > 0, n ≥ 2; s > 0 and s = 0",
                _tangent,
            ),
            Step(
                "Sum over pairs",
                "Σ φ(D_ij²) ≥ n(n−1)φ(x₀) + φ'(x₀)(Σ D_ij² − n(n−1)x₀) = n(n−1)φ(x₀) − 2φ'(x₀)‖Σû_i‖² "
                "≥ n(n−1)φ(x₀)",
                "all n ≥ 2, d; s > 0 and s = 0",
                _sum,
            ),
            Step(
                "Equality case",
                "D_ij² = x₀ for all i ≠ j  ⇔  c_ij = −1/(n−1), and then ‖Σû_i‖² = n + n(n−1)c_ij = 0",
                "all n ≥ 2",
                _equality,
            ),
            Step(
                "Its Gram matrix",
                "G = (n/(n−1))(I − J/n) with J = 11ᵀ, J² = nJ: I − J/n is a projection of trace n − 1, so "
                "G ⪰ 0 has rank n − 1",
                "a projection for all n ≥ 2; trace and rank of G itself for n ≤ 7 (tr J = n for every n)",
                _rank,
            ),
            Step(
                "Attained",
                "two opposite neurons and three at 120°: HE_s equals the bound",
                "exact, n = 2 and n = 3, d = 2, s = 0, 1, 2",
                _attained,
            ),
        ),
        conclusion=(
            "Both ≥ are equalities iff every D_ij² = x₀. Vectors with Gram matrix G exist in dimension d iff "
            "d ≥ rank G = n − 1. Two corrections: the formula of the claim is for s > 0 only (at s = 0 "
            "it would read n(n−1); the logarithmic bound is the one above), and it is the directions, not "
            "the neurons, that form the simplex: row lengths are free."
        ),
    )


def _chords() -> bool:
    i, j = sp.symbols("i j", integer=True)
    size = sp.Symbol("n", integer=True, positive=True)
    cosine = sp.IndexedBase("c")
    everywhere = (i, 1, size), (j, 1, size)
    left = sp.Sum(2 - 2 * cosine[i, j], *everywhere).expand()
    return equal(left.doit(), 2 * size**2 - 2 * sp.Sum(cosine[i, j], *everywhere).doit())


def _bilinear() -> bool:
    def holds(size: int) -> bool:
        gram = sp.Matrix(size, size, lambda i, j: 1 if i == j else sp.Symbol(f"c_{min(i, j)}{max(i, j)}"))
        space = Span(gram)
        return equal(space.square(sum(space.generators(), sp.zeros(size, 1))), sp.Add(*gram))

    return all(map(holds, range(2, 6)))


def _convex() -> bool:
    return all(positive(sp.diff(phi, x, 2)) for phi in ENERGIES)


def _decreasing() -> bool:
    return all(positive(-sp.diff(phi, x)) for phi in ENERGIES)


def _tangent() -> bool:
    def holds(phi: sp.Expr) -> bool:
        slope = sp.diff(phi, x).subs(x, SIMPLEX)
        gap = phi - phi.subs(x, SIMPLEX) - slope * (x - SIMPLEX)
        touches = equal(gap.subs(x, SIMPLEX), 0) and equal(sp.diff(gap, x).subs(x, SIMPLEX), 0)
        return touches and positive(sp.diff(gap, x, 2))

    return all(map(holds, ENERGIES))


def _sum() -> bool:
    def holds(phi: sp.Expr) -> bool:
        slope = sp.diff(phi, x).subs(x, SIMPLEX)
        chords = 2 * n**2 - 2 * z2
        return equal(slope * (chords - PAIRS * SIMPLEX), -2 * slope * z2) and nonnegative(-2 * slope * z2)

    return all(map(holds, ENERGIES))


def _equality() -> bool:
    (cosine,) = sp.solve(sp.Eq(2 - 2 * c, SIMPLEX), c)
    return equal(cosine, -1 / (n - 1)) and equal(n + PAIRS * cosine, 0)


def _rank() -> bool:
    J = letter("J")
    ones = Algebra(rules=(((J, J), n * J),))
    cosine = -1 / (n - 1)
    projection = 1 - J / n
    gram = ones.equal((1 - cosine) + cosine * J, n / (n - 1) * projection)
    idempotent = ones.equal(projection * projection, projection)

    def literal(size: int) -> bool:
        """Whether the matrix of cosines itself is n/(n−1) times a projection, of trace and rank n − 1."""
        G = sp.Matrix(size, size, lambda i, j: 1 if i == j else sp.Rational(-1, size - 1))
        scaled = G * sp.Rational(size - 1, size)
        return scaled**2 == scaled and scaled.trace() == size - 1 == G.rank()

    return gram and idempotent and all(map(literal, range(2, 8)))


def _attained() -> bool:
    opposite = sp.Matrix([[1, 0], [-2, 0]])
    triangle = sp.Matrix([[2, 0], [-1, sp.sqrt(3)], [-1, -sp.sqrt(3)]])
    return all(
        equal(energy(W, k), (PAIRS * ENERGIES[k == 0]).subs({x: SIMPLEX, s: k}).subs(m, W.rows - 1))
        for W in (opposite, triangle)
        for k in (0, 1, 2)
    )
