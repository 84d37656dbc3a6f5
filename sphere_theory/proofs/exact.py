"""The energy, its gradient and the constants of the bound on exact matrices: literal definitions.

Matrices hold rational, algebraic or symbolic entries; one neuron is one row.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import TypeAlias

import sympy as sp

Number: TypeAlias = sp.Expr | int


def dot(u: sp.Matrix, v: sp.Matrix) -> sp.Expr:
    """Return u·v of two rows."""
    return (u * v.T)[0]


def norm(u: sp.Matrix) -> sp.Expr:
    """Return ‖u‖."""
    return sp.sqrt(dot(u, u))


def frobenius_squared(A: sp.Matrix) -> sp.Expr:
    """Return ‖A‖_F²."""
    return sp.Add(*(entry**2 for entry in A))


def cosine(W: sp.Matrix, i: int, j: int) -> sp.Expr:
    """Return c_ij = û_i·û_j."""
    return dot(W.row(i), W.row(j)) / sp.sqrt(dot(W.row(i), W.row(i)) * dot(W.row(j), W.row(j)))


def chord(W: sp.Matrix, i: int, j: int) -> sp.Expr:
    """Return D_ij = ‖û_i − û_j‖ = √(2 − 2c_ij)."""
    return sp.sqrt(sp.nsimplify(2 - 2 * cosine(W, i, j)))


def pair_energy(D: sp.Expr, s: Number) -> sp.Expr:
    """Return D^(−s) for s > 0, log(1/D) for s = 0."""
    return -sp.log(D) if s == 0 else D ** (-s)


def factor(s: Number) -> sp.Expr:
    """Return what stands before the gradient: 2s for s > 0, 2 for s = 0."""
    return sp.Integer(2) if s == 0 else 2 * s


def energy(W: sp.Matrix, s: Number = 1) -> sp.Expr:
    """Return HE_s(W), a sum over ordered pairs."""
    return sp.Add(*(pair_energy(chord(W, i, j), s) for i, j in permutations(range(W.rows), 2)))


def gradient(W: sp.Matrix, s: Number = 1) -> sp.Matrix:
    """Return ∇HE_s(W) by the formula of claim E2."""
    return sp.Matrix.vstack(*(_gradient_row(W, i, s) for i in range(W.rows)))


def _gradient_row(W: sp.Matrix, i: int, s: Number) -> sp.Matrix:
    u = [W.row(k) / norm(W.row(k)) for k in range(W.rows)]
    pulls = ((u[j] - cosine(W, i, j) * u[i]) * chord(W, i, j) ** (-s - 2) for j in range(W.rows) if j != i)
    return factor(s) / norm(W.row(i)) * sum(pulls, sp.zeros(1, W.cols))


def change(W: sp.Matrix, delta: sp.Matrix, s: Number = 1) -> sp.Expr:
    """Return ΔHE = HE(W + ΔW) − HE(W)."""
    return energy(W + delta, s) - energy(W, s)


def k_grad_squared(W: sp.Matrix, s: Number = 1) -> sp.Expr:
    """Return K_grad² = ‖∇HE_s(W)‖_F²."""
    return sp.simplify(frobenius_squared(gradient(W, s)))


def k_tri_squared(W: sp.Matrix, s: Number = 1) -> sp.Expr:
    """Return K_tri² of claim B4."""
    rows = range(W.rows)
    pulls = (sp.Add(*(pull(chord(W, i, j), s) for j in rows if j != i)) / norm(W.row(i)) for i in rows)
    return sp.simplify(factor(s) ** 2 * sp.Add(*(total**2 for total in pulls)))


def pull(D: sp.Expr, s: Number) -> sp.Expr:
    """Return D^(−s−1) √(1 − D²/4), the length of one pair's part of the gradient up to 2s/‖w_i‖."""
    return D ** (-s - 1) * sp.sqrt(1 - D**2 / 4)


def k_cert_squared(W: sp.Matrix, delta: sp.Matrix, s: Number = 1) -> sp.Expr:
    """Return the formula of K_cert² of claim B5, which certifies only where `certifiable` says so."""
    return sp.Add(*k_cert_rows_squared(W, delta, s))


def k_cert_rows_squared(W: sp.Matrix, delta: sp.Matrix, s: Number = 1) -> list[sp.Expr]:
    """Return its terms, the squares of (2s/m_i) Σ_{j≠i} h(φ_ij)."""
    rows = range(W.rows)

    def row(i: int) -> sp.Expr:
        halves = (half_gap(W, delta, i, j) for j in rows if j != i)
        total = sp.Add(*((2 * sine) ** (-s - 1) * cosine for sine, cosine in halves))
        return factor(s) ** 2 * total**2 / segment_distance_squared(W.row(i), delta.row(i))

    return [row(i) for i in rows]


def certifiable(W: sp.Matrix, delta: sp.Matrix) -> bool:
    """Return whether no row is zero and every φ_ij > 0; φ_ij/2 in (−π, π/2] has the sign of its sine.

    That every m_i > 0 follows for n ≥ 2, as claim B5 shows.
    """
    rows = (A.row(i) for A in (W, W + delta) for i in range(W.rows))
    if any(dot(row, row) == 0 for row in rows):
        return False
    return all(bool(half_gap(W, delta, i, j)[0] > 0) for i, j in combinations(range(W.rows), 2))


def larger_end(W: sp.Matrix, delta: sp.Matrix, s: Number = 1) -> sp.Matrix:
    """Return whichever of W and W + ΔW has the larger energy; W where they are equal."""
    return W + delta if change(W, delta, s).is_positive else W


def k_star_squared(W: sp.Matrix, delta: sp.Matrix, s: Number = 1, *, end: sp.Matrix | None = None) -> sp.Expr:
    """Return K*² of claim B8, with the pulls at the larger end, or at `end` where one is given."""
    at = larger_end(W, delta, s) if end is None else end
    rows = range(W.rows)

    def row(i: int) -> sp.Expr:
        total = sp.Add(*(pull(chord(at, i, j), s) for j in rows if j != i))
        longer = sp.Max(*(dot(A.row(i), A.row(i)) for A in (W, W + delta)))
        return total**2 / longer

    return factor(s) ** 2 * sp.Add(*map(row, rows))


def angular_bound(W: sp.Matrix, delta: sp.Matrix, s: Number = 1, *, end: sp.Matrix) -> sp.Expr:
    """Return Σ_i 2s δ_i Σ_{j≠i} h(θ_ij) of claim B8, with the angles of `end`."""
    rows = range(W.rows)
    pulls = (sp.Add(*(pull(chord(end, i, j), s) for j in rows if j != i)) for i in rows)
    return factor(s) * sp.Add(*(turn(W, delta, i) * total for i, total in enumerate(pulls)))


def turn(W: sp.Matrix, delta: sp.Matrix, i: int) -> sp.Expr:
    """Return δ_i, the angle between w_i and w_i + Δw_i."""
    w, moved = W.row(i), W.row(i) + delta.row(i)
    return sp.acos(dot(w, moved) / sp.sqrt(dot(w, w) * dot(moved, moved)))


def angle(W: sp.Matrix, i: int, j: int) -> sp.Expr:
    """Return θ_ij."""
    return sp.acos(cosine(W, i, j))


def first_order(W: sp.Matrix, delta: sp.Matrix, s: Number = 1) -> sp.Expr:
    """Return Σ_i δ_i⟨G_i, τ_i⟩ of claim B9, G_i = ‖w_i‖∂HE_s/∂w_i, τ_i the direction in which û_i turns."""
    slopes = gradient(W, s)

    def row(i: int) -> sp.Expr:
        w, z = W.row(i), delta.row(i)
        across = z - dot(w, z) / dot(w, w) * w
        if dot(across, across) == 0:
            return sp.Integer(0)
        return turn(W, delta, i) * norm(w) * dot(slopes.row(i), across) / norm(across)

    return sp.Add(*map(row, range(W.rows)))


def second_order(
    W: sp.Matrix, delta: sp.Matrix, s: Number = 1, *, constant: Number = 1, quadratic: Number | None = None
) -> sp.Expr:
    """Return ½ Σ_{i≠j} q(φ_ij)(δ_i + δ_j)² of claim B9, q = s d^(−s−2)(constant + quadratic cos²(φ/2)).

    The claim's own q has 1 and s + 2; each unordered pair stands twice in the sum.
    """
    weight = s + 2 if quadratic is None else quadratic

    def pair(i: int, j: int) -> sp.Expr:
        sine, cosine = half_gap(W, delta, i, j)
        q = sp.sympify(factor(s)) / 2 * (2 * sine) ** (-s - 2) * (constant + weight * cosine**2)
        return q * (turn(W, delta, i) + turn(W, delta, j)) ** 2

    return sp.Add(*(pair(i, j) for i, j in combinations(range(W.rows), 2)))


def half_angle(u: sp.Matrix, v: sp.Matrix) -> tuple[sp.Expr, sp.Expr]:
    """Return (sin, cos) of half the angle between two rows."""
    c = dot(u, v) / sp.sqrt(dot(u, u) * dot(v, v))
    return sp.sqrt((1 - c) / 2), sp.sqrt((1 + c) / 2)


def half_gap(W: sp.Matrix, delta: sp.Matrix, i: int, j: int) -> tuple[sp.Expr, sp.Expr]:
    """Return (sin, cos) of φ_ij/2 = (θ_ij − δ_i − δ_j)/2, by the addition theorems."""
    sine, cosine = half_angle(W.row(i), W.row(j))
    for k in (i, j):
        back, along = half_angle(W.row(k), W.row(k) + delta.row(k))
        sine, cosine = sine * along - cosine * back, cosine * along + sine * back
    return sp.simplify(sine), sp.simplify(cosine)


def segment_distance_squared(w: sp.Matrix, d: sp.Matrix) -> sp.Expr:
    """Return m² = min over t in [0, 1] of ‖w + t d‖²."""
    length2 = dot(d, d)
    t = sp.Integer(0) if length2 == 0 else sp.Max(0, sp.Min(1, -dot(w, d) / length2))
    return dot(w + t * d, w + t * d)
