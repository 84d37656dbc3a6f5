"""B7: how tight a bound K‖ΔW‖ can be on random edits."""

from __future__ import annotations

from itertools import permutations, product

import sympy as sp

from .exact import change, frobenius_squared, gradient, k_grad_squared, k_star_squared, k_tri_squared
from .proof import Counterexample, Proof, Step, equal

N = sp.Symbol("N", positive=True)
e = sp.Symbol("ε", positive=True)
W = sp.ImmutableMatrix([[25, 0], [7, 24]])
TRIANGLE = sp.ImmutableMatrix([[4, 3], [0, 5], [-5, 0]])
STILL = sp.ImmutableMatrix([[25, 0], [0, 0]])


def prove() -> Proof:
    """Prove that no K valid for all small edits is tighter than 1/(nd) on isotropic random ones."""
    return Proof(
        id="B7",
        title="Tightness on random edits",
        theorem=(
            "Let K satisfy |ΔHE_s| ≤ K‖ΔW‖_F for all sufficiently small ΔW at a W without zero rows or "
            "coincident directions, K_grad > 0. Then K ≥ K_grad, and for Z uniform on the sphere ‖Z‖_F = 1 "
            "of n × d matrices E[lim_{ε→0} (HE_s(W + εZ) − HE_s(W))²/(K²‖εZ‖_F²)] = K_grad²/(nd K²) ≤ "
            "1/(nd). Every K > K_grad is such a K."
        ),
        steps=(
            Step(
                "K ≥ K_grad",
                "f(ε) = HE_s(W + ε∇HE_s): f'(0) = ‖∇HE_s‖² = K_grad², so |ΔHE|/‖ΔW‖ → K_grad along it",
                "n = d = 2 at an integer W, s = 0, 1, 2 (in general the next step at Z = ∇HE_s)",
                _slope,
            ),
            Step(
                "Along any direction",
                "(HE_s(W + εZ) − HE_s(W))/ε → ⟨∇HE_s(W), Z⟩",
                "n = d = 2 and n = 3, d = 2 at integer W, every Z, s = 0, 1, 2 (in general the chain rule, "
                "with E2)",
                _any_direction,
            ),
            Step(
                "Averages over signs and places",
                "the sphere's law is invariant under z ↦ (±z_π(1), …, ±z_π(N)), and the mean of ⟨A, gz⟩² "
                "over these g is ‖A‖²‖z‖²/N:  E⟨A, Z⟩² = ‖A‖²/N",
                "every A and z, N ≤ 4; all N by the next step",
                _signs_and_places,
            ),
            Step(
                "One coordinate of the sphere",
                "z_1 has density ∝ (1 − x²)^((N−3)/2), so E z_1² = B(3/2, (N−1)/2)/B(1/2, (N−1)/2) = 1/N; a "
                "rotation takes A to ‖A‖e_1",
                "all N = nd ≥ 2",
                _one_coordinate,
            ),
            Step(
                "A finite average that is exact",
                "the mean of ⟨∇HE_s, ±E_kl⟩² over the matrices with one entry ±1 is K_grad²/(nd), so 1/(nd) "
                "is reached already by edits of one entry",
                "exact, n = d = 2 and n = 3, d = 2, s = 0, 1, 2",
                _entries,
            ),
            Step(
                "K* and K_tri are no smaller",
                "W = (4, 3; 0, 5; −5, 0): K_tri² > K_grad², and K* → K_tri as ΔW → 0, so their limit is "
                "K_grad²/(nd K_tri²) < 1/(nd)",
                "exact, n = 3, d = 2, s = 1",
                _others,
            ),
            Step(
                "An average only",
                "W = (25, 0; 7, 24): ΔW = (25, 0; 0, 0) has ΔHE = 0, and along ∇HE the ratio tends to 1",
                "exact, n = d = 2, s = 1",
                _average_only,
            ),
        ),
        conclusion=(
            "A constant that knows only ‖ΔW‖ has to serve the direction ∇HE, and a random direction has a "
            "share of 1/(nd) of it. At n = 64, d = 32 that is 4.9·10⁻⁴. What is tighter looks at the edit: "
            "the bound by angles (B8), the enclosure (B9). With orthonormal complete inputs ‖ΔV‖ = ‖ΔW‖, "
            "and the same holds for (ΔHE/K)²/‖ΔV‖². It is a mean over directions, and its limit for small "
            "edits: single edits lie anywhere between 0 and 1."
        ),
        counterexamples=(
            Counterexample(
                refutes="every edit is near the average 1/(nd) (a radial one has 0)",
                W=W,
                delta=STILL,
                values=(("ΔHE", change(W, STILL)), ("K_grad²", k_grad_squared(W))),
            ),
        ),
    )


def _slope() -> bool:
    def holds(k: int) -> bool:
        slope = sp.diff(change(W, e * gradient(W, k), k), e).subs(e, 0)
        return equal(slope, k_grad_squared(W, k))

    return all(map(holds, (0, 1, 2)))


def _any_direction() -> bool:
    def holds(weights: sp.Matrix, k: int) -> bool:
        Z = sp.Matrix(weights.rows, weights.cols, sp.symbols(f"z:{weights.rows * weights.cols}", real=True))
        slope = sp.diff(change(weights, e * Z, k), e).subs(e, 0)
        along = sp.Add(*(g * z for g, z in zip(gradient(weights, k), Z, strict=True)))
        return equal(slope, along)

    return all(holds(weights, k) for weights in (W, TRIANGLE) for k in (0, 1, 2))


def _signs_and_places() -> bool:
    def holds(count: int) -> bool:
        A, z = sp.symbols(f"A:{count}"), sp.symbols(f"z:{count}")
        moves = list(product(permutations(range(count)), product((1, -1), repeat=count)))
        squares = (
            sp.Add(*(A[i] * signs[i] * z[place[i]] for i in range(count))) ** 2 for place, signs in moves
        )
        mean = sp.expand(sp.Add(*map(sp.expand, squares))) / len(moves)
        expected = sp.Add(*(x**2 for x in A)) * sp.Add(*(x**2 for x in z)) / count
        return sp.expand(mean - expected) == 0

    return all(map(holds, (2, 3, 4)))


def _one_coordinate() -> bool:
    def moment(power: int) -> sp.Expr:
        """Return ∫ |x|^power (1 − x²)^((N−3)/2) dx as a beta function of y = x²."""
        return sp.beta(sp.Rational(power + 1, 2), (N - 1) / 2).rewrite(sp.gamma)

    ratio = sp.gammasimp(moment(2) / moment(0))
    x = sp.Symbol("x", real=True)
    literal = all(
        equal(sp.integrate(x**2 * law, (x, -1, 1)) / sp.integrate(law, (x, -1, 1)), ratio.subs(N, 2 * k + 3))
        for k, law in enumerate((sp.Integer(1), 1 - x**2, (1 - x**2) ** 2))
    )
    return literal and equal(ratio, 1 / N)


def _entries() -> bool:
    def holds(weights: sp.Matrix, k: int) -> bool:
        entries = list(gradient(weights, k))
        mean = sp.Add(*(2 * x**2 for x in entries)) / (2 * len(entries))
        return equal(mean, k_grad_squared(weights, k) / (weights.rows * weights.cols))

    return all(holds(weights, k) for weights in (W, TRIANGLE) for k in (0, 1, 2))


def _others() -> bool:
    at_rest = k_star_squared(TRIANGLE, sp.zeros(3, 2))
    return equal(at_rest, k_tri_squared(TRIANGLE)) and bool(
        k_tri_squared(TRIANGLE) > k_grad_squared(TRIANGLE)
    )


def _average_only() -> bool:
    edit = e * gradient(W)
    ratio = change(W, edit) ** 2 / (k_grad_squared(W) * frobenius_squared(edit))
    return equal(change(W, STILL), 0) and sp.limit(sp.simplify(ratio), e, 0, "+") == 1
