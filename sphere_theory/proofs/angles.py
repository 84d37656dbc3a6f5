"""A pair of neurons as functions of the angle between them: what B5, B8, B9 and B10 share.

θ lies in (0, π), D = 2 sin(θ/2) is the chord, e(θ) = D^(−s) (−log D at s = 0) the energy of an ordered
pair, h(θ) = D^(−s−1) cos(θ/2) its pull: e' = −s h (−h at s = 0). Every fact below is established from
these definitions by whoever calls it.
"""

from __future__ import annotations

from typing import TypeAlias

import sympy as sp

from .exact import pair_energy
from .proof import equal, nonnegative, positive
from .vectors import Span

Exponent: TypeAlias = sp.Expr | int

s, theta = sp.symbols("s θ", positive=True)
EXPONENTS = (s, sp.Integer(0))
SINE, COSINE = sp.sin(theta / 2), sp.cos(theta / 2)
CHORD = 2 * SINE
TAU = sp.Symbol("cot(θ/2)", positive=True)  # runs over (0, ∞) as θ runs over (0, π)


def lead(k: Exponent) -> sp.Expr:
    """Return what stands before h in −e': s for s > 0, 1 for s = 0."""
    return sp.Integer(1) if k == 0 else sp.sympify(k)


def pull(k: Exponent) -> sp.Expr:
    """Return h(θ) = D^(−s−1) cos(θ/2)."""
    return CHORD ** (-k - 1) * COSINE


def steepness(k: Exponent) -> sp.Expr:
    """Return −h'(θ) = D^(−s−2) (1 + s cos²(θ/2))."""
    return CHORD ** (-k - 2) * (1 + k * COSINE**2)


def bend(k: Exponent) -> sp.Expr:
    """Return q(θ) = s D^(−s−2) (1 + (s + 2) cos²(θ/2)) of claim B9, with 1 for the leading s at s = 0."""
    return lead(k) * CHORD ** (-k - 2) * (1 + (k + 2) * COSINE**2)


def on_circle(expr: sp.Expr) -> sp.Expr:
    """Return `expr` with sin(θ/2) and cos(θ/2) as functions of cot(θ/2) > 0: θ in (0, π), nothing else."""
    sine = 1 / sp.sqrt(1 + TAU**2)
    return sp.simplify(expr.subs({SINE: sine, COSINE: TAU * sine}))


def same(left: sp.Expr, right: sp.Expr) -> bool:
    """Whether two functions of θ agree on (0, π)."""
    return equal(on_circle(left / right), 1)


def energy_falls() -> bool:
    """Establish e'(θ) = −s h(θ) < 0 on (0, π), with 1 for s at s = 0."""
    return all(
        same(sp.diff(pair_energy(CHORD, k), theta), -lead(k) * pull(k))
        and positive(on_circle(lead(k) * pull(k)))
        for k in EXPONENTS
    )


def pull_falls() -> bool:
    """Establish h'(θ) = −D^(−s−2) (1 + s cos²(θ/2)) < 0 on (0, π)."""
    return all(
        same(sp.diff(pull(k), theta), -steepness(k)) and positive(on_circle(steepness(k))) for k in EXPONENTS
    )


def spherical_triangle() -> bool:
    """Establish angle(a, c) ≤ α + β for a at angle α and c at angle β from b.

    With a = cos α·b + sin α·p and c = cos β·b + sin β·q, p, q ⊥ b of length 1, a·c − cos(α + β) is
    sin α sin β ‖p + q‖²/2 ≥ 0. Where α + β > π there is nothing to show.
    """
    alpha, beta, pq = sp.symbols("α β p·q", real=True)
    space = Span(sp.Matrix([[1, 0, 0], [0, 1, pq], [0, pq, 1]]))
    middle, p, q = space.generators()
    left = sp.cos(alpha) * middle + sp.sin(alpha) * p
    right = sp.cos(beta) * middle + sp.sin(beta) * q
    excess = space.dot(left, right) - sp.cos(alpha + beta)
    return equal(excess, sp.sin(alpha) * sp.sin(beta) * space.square(p + q) / 2)


def angles_move_slowly() -> bool:
    """Establish θ − ψ_i − ψ_j ≤ θ' ≤ θ + ψ_i + ψ_j for a pair whose neurons turn by ψ_i and ψ_j.

    Each side is the sum of two triangle inequalities, by way of the angle between the moved w_i and the
    unmoved w_j, which cancels.
    """
    before, after, between, psi_i, psi_j = sp.symbols("θ θ' between ψ_i ψ_j", real=True)

    def gap(far: sp.Expr, near: sp.Expr, turn: sp.Expr) -> sp.Expr:
        return near + turn - far  # ≥ 0: the triangle inequality with the moved and the unmoved neuron

    falls = gap(before, between, psi_i) + gap(between, after, psi_j)
    rises = gap(after, between, psi_j) + gap(between, before, psi_i)
    return equal(after - (before - psi_i - psi_j), falls) and equal(before + psi_i + psi_j - after, rises)


def falls(of_angle: sp.Expr) -> bool:
    """Whether a function of θ falls on (0, π), term by term of its derivative."""
    return nonnegative(sp.expand(on_circle(-sp.diff(of_angle, theta))))


def bend_falls() -> bool:
    """Establish q'(θ) < 0 on (0, π)."""
    return all(falls(bend(k)) for k in EXPONENTS)
