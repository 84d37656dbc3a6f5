"""The energy, its gradient and the constants of the bound on exact matrices: literal definitions.

Matrices hold rational, algebraic or symbolic entries; one neuron is one row.
"""

from __future__ import annotations

from itertools import permutations
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
    rows = range(W.rows)

    def row(i: int) -> sp.Expr:
        halves = (half_gap(W, delta, i, j) for j in rows if j != i)
        total = sp.Add(*((2 * sine) ** (-s - 1) * cosine for sine, cosine in halves))
        return total**2 / segment_distance_squared(W.row(i), delta.row(i))

    return factor(s) ** 2 * sp.Add(*map(row, rows))


def certifiable(W: sp.Matrix, delta: sp.Matrix) -> bool:
    """Return whether every m_i > 0 and every φ_ij > 0; φ_ij/2 in (−π, π/2] has the sign of its sine."""
    apart = all(half_gap(W, delta, i, j)[0].is_positive for i, j in permutations(range(W.rows), 2))
    return apart and all(segment_distance_squared(W.row(i), delta.row(i)) > 0 for i in range(W.rows))


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
