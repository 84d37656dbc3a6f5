"""E2: the gradient of the energy, for every s ≥ 0."""

from __future__ import annotations

from itertools import permutations

import sympy as sp

from .exact import energy, gradient
from .proof import Proof, Step, equal
from .vectors import Span

s, rho = sp.symbols("s ‖w_i‖", positive=True)
c = sp.Symbol("c_ij", real=True)
p, q, h2 = sp.symbols("û_i·h û_j·h ‖h‖²", real=True)
t = sp.Symbol("t", real=True)

# û_i, û_j of length one at cosine c, and a direction h about which nothing is known
SPACE = Span(sp.Matrix([[1, c, p], [c, 1, q], [p, q, h2]]))
D2 = 2 - 2 * c


def prove() -> Proof:
    """Prove the formula for ∂HE_s/∂w_i, and that it is tangent."""
    return Proof(
        id="E2",
        title="Gradient of the energy",
        theorem=(
            "For pairwise different directions, ∂HE_s/∂w_i = (2s/‖w_i‖) Σ_{j≠i} (û_j − c_ij û_i) D_ij^(−s−2) "
            "for s > 0, with 2 in place of 2s for s = 0. It is tangent: w_i·∂HE_s/∂w_i = 0."
        ),
        steps=(
            Step("Chord and cosine", "D_ij² = ‖û_i − û_j‖² = 2 − 2c_ij", "all d, every pair", _chord),
            Step(
                "One pair, s > 0",
                "d/dt D(w_i + th, w_j)^(−s) at t = 0 equals "
                "⟨(s/‖w_i‖)(û_j − c_ij û_i) D_ij^(−s−2), h⟩ for every h",
                "all d, s > 0, every pair and h (only inner products of û_i, û_j, h are used)",
                _pair_positive,
            ),
            Step(
                "One pair, s = 0",
                "d/dt log(1/D(w_i + th, w_j)) at t = 0 equals ⟨(1/‖w_i‖)(û_j − c_ij û_i) D_ij^(−2), h⟩ "
                "for every h",
                "all d, every pair and h",
                _pair_zero,
            ),
            Step(
                "Ordered pairs count twice",
                "d/dt Σ_{i≠j} e(c_ij) = 2 Σ_{j≠k} d/dt e(c_kj) when only w_k moves",
                "any e, every k; n ≤ 5 (each unordered pair stands twice in the sum for every n)",
                _twice,
            ),
            Step("Why 2 at s = 0", "(D^(−s) − 1)/s → log(1/D) as s → 0, and 2s/s = 2", "all D > 0", _limit),
            Step("Tangent", "⟨û_j − c_ij û_i, û_i⟩ = 0, so w_i·∂HE_s/∂w_i = 0", "all n, d, s", _tangent),
            Step(
                "Literal check",
                "the formula equals the partial derivatives of HE_s taken in coordinates",
                "n = 3, d = 2 at an integer W, s = 0, 1, 2",
                _literal,
            ),
        ),
        conclusion=(
            "HE_s is a sum over ordered pairs, and a derivative is linear: the rows of the gradient are "
            "twice the sum of the pair gradients."
        ),
    )


def _chord() -> bool:
    u_i, u_j, _ = SPACE.generators()
    return equal(SPACE.square(u_i - u_j), D2)


def moved_chord_squared() -> sp.Expr:
    """Return D² between w_i + th and w_j, with w_i = ‖w_i‖û_i."""
    u_i, u_j, h = SPACE.generators()
    moved = rho * u_i + t * h
    return 2 - 2 * SPACE.dot(moved, u_j) / sp.sqrt(SPACE.square(moved))


def _pair(e: sp.Expr, scale: sp.Expr) -> bool:
    u_i, u_j, h = SPACE.generators()
    formula = SPACE.dot(scale / rho * (u_j - c * u_i), h)
    return equal(sp.diff(e, t).subs(t, 0), formula)


def _pair_positive() -> bool:
    return _pair(moved_chord_squared() ** (-s / 2), s * D2 ** (-s / 2 - 1))


def _pair_zero() -> bool:
    return _pair(-sp.log(moved_chord_squared()) / 2, 1 / D2)


def _twice() -> bool:
    e = sp.Function("e")

    def cosine(i: int, j: int, k: int) -> sp.Expr:
        name = f"c_{min(i, j)}{max(i, j)}"  # c_ij = c_ji
        return sp.Function(name)(t) if k in (i, j) else sp.Symbol(name)

    def doubled(n: int, k: int) -> bool:
        total = sp.Add(*(e(cosine(i, j, k)) for i, j in permutations(range(n), 2)))
        once = sp.Add(*(e(cosine(k, j, k)) for j in range(n) if j != k))
        return sp.expand(sp.diff(total, t) - 2 * sp.diff(once, t)) == 0

    return all(doubled(n, k) for n in range(2, 6) for k in range(n))


def _limit() -> bool:
    D = sp.Symbol("D", positive=True)
    return equal(sp.limit((D ** (-s) - 1) / s, s, 0), -sp.log(D))


def _tangent() -> bool:
    u_i, u_j, _ = SPACE.generators()
    return SPACE.dot(u_j - c * u_i, u_i) == 0


def _literal() -> bool:
    W = sp.Matrix([[1, 2], [-1, 3], [2, -2]])
    X = sp.Matrix(3, 2, sp.symbols("x:6", real=True))
    here = dict(zip(X, W, strict=True))

    def agrees(s: int) -> bool:
        slope = energy(X, s).diff(X).subs(here)
        return all(sp.radsimp(entry).equals(0) for entry in slope - gradient(W, s))

    return all(map(agrees, (0, 1, 2)))
