"""B9, narrower: what f'' can be at all, where B9 bounds its two terms one by one."""

from __future__ import annotations

import sympy as sp

from .angles import CHORD, COSINE, EXPONENTS, bend, falls, lead, same
from .proof import Step, equal
from .vectors import Span

c = sp.Symbol("c", real=True)


def narrower_steps() -> tuple[Step, ...]:
    """Return the steps to −q₋(φ)(δ_i + δ_j)² ≤ f'' ≤ q₊(φ)(δ_i + δ_j)²."""
    return (
        Step(
            "f'' in its parts",
            "δ_iτ_i = a_i e_i + b_i, e_i the tangent at û_i towards û_j, b_i ⊥ û_i, û_j:  f'' = F'((1 + s "
            "cos²(θ/2))(a_i + a_j)² + 2b_i·b_j − c(‖b_i‖² + ‖b_j‖²))",
            "all d, s > 0 and s = 0, 0 < θ < π",
            _parts,
        ),
        Step(
            "Across the plane",
            "with x = ‖b_i‖, y = ‖b_j‖:  (x + y)² − (2xy − c(x² + y²)) = (1 + c)(x² + y²) ≥ 0, and −2xy − "
            "c(x² + y²) + cos²(θ/2)(x + y)² = ½(1 − c)(x − y)² ≥ 0",
            "all b_i, b_j, every pair",
            _across,
        ),
        Step(
            "Together",
            "(δ_iδ_j)² − (a_ia_j + xy)² = (a_iy − a_jx)² ≥ 0, so (a_i + a_j)² + (x + y)² ≤ (δ_i + δ_j)²:  "
            "−q₋(θ)(δ_i + δ_j)² ≤ f'' ≤ q₊(θ)(δ_i + δ_j)²; q₋ and q₊ fall, q − q₊ − 2q₋ = 0",
            "all s > 0 and s = 0, 0 < θ < π",
            _together,
        ),
    )


def _parts() -> bool:
    a_i, a_j, across = sp.symbols("a_i a_j b_i·b_j", real=True)
    b_i, b_j = sp.symbols("‖b_i‖² ‖b_j‖²", nonnegative=True)
    cosine, sine = sp.symbols("cos sin", real=True)  # of θ; sin² = 1 − cos² is put in at the end
    gram = sp.Matrix([[1, cosine, 0, 0], [cosine, 1, 0, 0], [0, 0, b_i, across], [0, 0, across, b_j]])
    space = Span(gram)
    u_i, u_j, out_i, out_j = space.generators()
    v_i = a_i * (u_j - cosine * u_i) / sine + out_i
    v_j = a_j * (u_i - cosine * u_j) / sine + out_j
    speed = space.dot(v_i, u_j) + space.dot(u_i, v_j)
    bending = 2 * space.dot(v_i, v_j) - cosine * (space.square(v_i) + space.square(v_j))

    def holds(k: sp.Expr) -> bool:
        half2 = (1 + cosine) / 2  # cos²(θ/2); F''/F' = (k + 2)/D², D² = 2 − 2c
        literal = (k + 2) / (2 - 2 * cosine) * speed**2 + bending
        formula = (1 + k * half2) * (a_i + a_j) ** 2 + 2 * across - cosine * (b_i + b_j)
        difference = sp.expand(literal - formula).subs(sine, sp.sqrt(1 - cosine**2))
        return equal(difference, 0)

    return all(map(holds, EXPONENTS))


def _across() -> bool:
    x, y = sp.symbols("x y", nonnegative=True)
    squares = x**2 + y**2
    above = equal((x + y) ** 2 - (2 * x * y - c * squares), (1 + c) * squares)
    below = -2 * x * y - c * squares + (1 + c) / 2 * (x + y) ** 2
    return above and equal(below, (1 - c) * (x - y) ** 2 / 2)


def _q_minus(k: sp.Expr) -> sp.Expr:
    return lead(k) * CHORD ** (-k - 2) * COSINE**2


def _q_plus(k: sp.Expr) -> sp.Expr:
    return lead(k) * CHORD ** (-k - 2) * (1 + k * COSINE**2)


def _together() -> bool:
    a_i, a_j, x, y = sp.symbols("a_i a_j x y", real=True)
    turns2 = (a_i**2 + x**2) * (a_j**2 + y**2)  # δ_i²δ_j²
    planar = equal(turns2 - (a_i * a_j + x * y) ** 2, (a_i * y - a_j * x) ** 2)
    fall = all(falls(q(k)) for k in EXPONENTS for q in (_q_minus, _q_plus))
    return planar and fall and all(same(bend(k), _q_plus(k) + 2 * _q_minus(k)) for k in EXPONENTS)
