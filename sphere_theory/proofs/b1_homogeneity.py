"""B1: scale, and which power of |ΔV| Theorem 1 can mean."""

from __future__ import annotations

import sympy as sp

from .e1_invariance import chord_squared
from .e2_gradient import moved_chord_squared, rho, s, t
from .exact import change, frobenius_squared, k_grad_squared
from .proof import Counterexample, Proof, Step, equal

a, b, k, v, e = sp.symbols("‖w_i‖² ‖w_j‖² c ‖ΔV‖ |ΔHE|/K", positive=True)
g = sp.Symbol("w_i·w_j", real=True)
W = sp.ImmutableMatrix([[25, 0], [7, 24]])
DELTA = sp.ImmutableMatrix([[0, 0], [-14, 0]])
X = sp.ImmutableMatrix(sp.eye(2))


def prove() -> Proof:
    """Prove that (ΔHE/K)² has degree 2, and refute the reading |ΔV| = ‖ΔV‖_F."""
    return Proof(
        id="B1",
        title="Scale: |ΔV| in Theorem 1 can only be ‖ΔV‖_F²",
        theorem=(
            "Under (W, ΔW) ↦ (cW, cΔW), c > 0: ΔHE is unchanged, K = ‖∇HE(W)‖_F becomes K/c, ‖ΔV‖_F becomes "
            "c‖ΔV‖_F. Hence ‖ΔV‖_F ≥ (ΔHE/K)² fails for every edit with ΔHE ≠ 0 once it is scaled up enough, "
            "whatever constant of degree −1 stands for K."
        ),
        steps=(
            Step(
                "ΔHE has degree 0",
                "HE_s(cW + cΔW) − HE_s(cW) = HE_s(W + ΔW) − HE_s(W)",
                "all n, d, s",
                _degree_0,
            ),
            Step(
                "The gradient has degree −1",
                "d/dt D(c w_i + th, w_j)^(−s) = (1/c) d/dt D(w_i + th, w_j)^(−s) at t = 0, for every h",
                "all d, s, every pair, hence all n",
                _degree_minus_1,
            ),
            Step(
                "Both sides, from the definitions",
                "W = (25, 0; 7, 24), ΔW = (0, 0; −y, 0), X = I: HE_s(cW + cΔW) − HE_s(cW), c²K²(cW) and "
                "‖(cΔW)X‖²/c² do not depend on c > 0",
                "exact, n = d = 2, every c > 0 and y > 0, s = 0, 1, 2",
                _both_sides,
            ),
            Step(
                "The unsquared reading breaks",
                "c > ‖ΔV‖/(ΔHE/K)²  ⇒  c²(ΔHE/K)² − c‖ΔV‖ > 0",
                "all n, d, s, every edit with ΔHE ≠ 0",
                _breaks,
            ),
            Step(
                "The squared reading is scale-free",
                "the same data with y = 14: ‖cΔV‖²/(ΔHE/K)² is 196·128/5625 at every c, while ‖cΔV‖/(ΔHE/K)² "
                "is 14·128/(5625 c), below 1 for c > 0.32",
                "exact, n = d = 2, s = 1, every c > 0",
                _squared,
            ),
            Step(
                "Exact counterexample",
                "W = (25, 0; 7, 24), ΔW = (0, 0; −14, 0), X = I: ΔHE = −5/12, K² = 8/2025, "
                "(ΔHE/K)² = 5625/128 > 14 = ‖ΔV‖_F",
                "exact, n = d = 2, s = 1",
                _counterexample_holds,
            ),
            Step(
                "Not small by accident",
                "the same data: ‖ΔV‖_F² = 196 ≥ 5625/128",
                "exact, n = d = 2, s = 1",
                _square_holds,
            ),
        ),
        conclusion=(
            "Only the squared norm has the degree of the right-hand side. n = d = 2 is the smallest size: "
            "one neuron has no pair, and in d = 1 directions do not move. The inputs are orthonormal "
            "and complete, so nothing but the missing square is to blame."
        ),
        counterexamples=(
            Counterexample(
                refutes="‖ΔV‖_F ≥ (ΔHE/K)²",
                W=W,
                delta=DELTA,
                X=X,
                values=(
                    ("ΔHE", change(W, DELTA)),
                    ("K²", k_grad_squared(W)),
                    ("(ΔHE/K)²", _bound()),
                    ("‖ΔV‖_F²", frobenius_squared(DELTA * X)),
                ),
            ),
        ),
    )


def _degree_0() -> bool:
    return equal(chord_squared(k**2 * a, k**2 * b, k**2 * g), chord_squared(a, b, g))


def _degree_minus_1() -> bool:
    slope = sp.diff(moved_chord_squared() ** (-s / 2), t).subs(t, 0)
    return equal(slope.subs(rho, k * rho), slope / k)


def _both_sides() -> bool:
    size = sp.Symbol("y", positive=True)
    edit = sp.Matrix([[0, 0], [-size, 0]])

    def constant(of_c: sp.Expr) -> bool:
        return equal(of_c, of_c.subs(k, 1))

    return all(
        constant(change(k * W, k * edit, q))
        and constant(k_grad_squared(k * W, q) * k**2)
        and constant(frobenius_squared(k * edit * X) / k**2)
        for q in (0, 1, 2)
    )


def _breaks() -> bool:
    x = sp.Symbol("x", positive=True)  # how far c lies beyond the threshold
    beyond = v / e**2 + x
    return sp.factor(beyond**2 * e**2 - beyond * v).is_positive is True


def _squared() -> bool:
    bound = change(k * W, k * DELTA) ** 2 / k_grad_squared(k * W)
    output2 = frobenius_squared(k * DELTA * X)
    level = sp.Rational(128, 5625)
    unsquared = equal(sp.sqrt(output2) / bound, 14 * level / k) and bool(14 * level < sp.Rational(32, 100))
    return unsquared and equal(output2 / bound, 196 * level)


def _bound() -> sp.Expr:
    return change(W, DELTA) ** 2 / k_grad_squared(W)


def _counterexample_holds() -> bool:
    values = change(W, DELTA) == sp.Rational(-5, 12) and k_grad_squared(W) == sp.Rational(8, 2025)
    return values and _bound() == sp.Rational(5625, 128) and frobenius_squared(DELTA * X) < _bound() ** 2


def _square_holds() -> bool:
    return frobenius_squared(DELTA * X) == 196 and frobenius_squared(DELTA * X) >= _bound()
