"""O6: the projected edit can move the energy more than the edit itself."""

from __future__ import annotations

import sympy as sp

from .exact import change, energy, frobenius_squared
from .proof import Counterexample, Proof, Step, equal, positive

a = sp.Symbol("α", real=True)
slope, y = sp.symbols("τ y", positive=True)
W = sp.ImmutableMatrix([[12, 9], [12, -9]])
DELTA = sp.ImmutableMatrix([[sp.Rational(24, 5), 7], [sp.Rational(24, 5), -7]])
RADIAL = sp.ImmutableMatrix(W * sp.Rational(7, 9))
HARD = sp.diag(0, 1)  # I − UUᵀ with U = e_1


def prove() -> Proof:
    """Refute |ΔHE(ΔW P)| ≤ |ΔHE(ΔW)|."""
    return Proof(
        id="O6",
        title="P does not guarantee a smaller |ΔHE|",
        theorem=(
            "There are W, ΔW with |ΔHE(ΔW P)| > |ΔHE(ΔW)| for every α in (0, 1], U the principal direction "
            "of W at η = ½, although ‖ΔW P‖ < ‖ΔW‖. The ratio is unbounded: an edit with ΔHE = 0 can become "
            "one with ΔHE ≠ 0."
        ),
        steps=(
            Step(
                "Principal direction",
                "W = (12, 9; 12, −9): WᵀW = diag(288, 162), share of e_1 = 16/25 > ½, so U = e_1, r = 1 by "
                "either rank rule, with raw or unit rows",
                "exact, n = d = 2, η = ½",
                _principal,
            ),
            Step(
                "Counterexample",
                "ΔW = (24/5, 7; 24/5, −7), α = 1: ΔHE(ΔW) = −13/60, ΔHE(ΔW P) = −5/12",
                "exact, n = d = 2, s = 1",
                _counterexample,
            ),
            Step("Its norm is smaller", "‖ΔW P‖² = 98 < ‖ΔW‖² = 3602/25", "exact, n = d = 2", _norms),
            Step(
                "Every α",
                "HE = √(1 + τ²)/τ with τ = 16/(12 + (1 − α)24/5): decreasing in τ, and τ increasing in α; "
                "both lie below HE(W) = 5/3, so |ΔHE(ΔW P)| increases with α",
                "n = d = 2, s = 1, every α in [0, 1]",
                _every_alpha,
            ),
            Step(
                "From nothing to something",
                "ΔW = (7/9)W is radial: ΔHE(ΔW) = 0, and ΔHE(ΔW P) = −5/12 at α = 1",
                "exact, n = d = 2, s = 1",
                _radial,
            ),
        ),
        conclusion=(
            "P shortens an edit, and HE does not measure length: taking the principal part away from a "
            "nearly radial edit leaves one that turns the neurons. n = d = 2 is the smallest size in which "
            "HE varies."
        ),
        counterexamples=(
            _data(DELTA, "|ΔHE(ΔW P)| ≤ |ΔHE(ΔW)| at α = 1, U = e_1"),
            _data(RADIAL, "ΔHE(ΔW) = 0 implies ΔHE(ΔW P) = 0 at α = 1, U = e_1"),
        ),
    )


def _data(delta: sp.ImmutableMatrix, refutes: str) -> Counterexample:
    projected = sp.ImmutableMatrix(delta * HARD)
    values = (("ΔHE(ΔW)", change(W, delta)), ("ΔHE(ΔW P)", change(W, projected)))
    return Counterexample(refutes=refutes, W=W, delta=delta, values=values, projected=projected)


def _principal() -> bool:
    gram = W.T * W
    same_lengths = equal((W * W.T)[0, 0], (W * W.T)[1, 1])  # so unit rows have the same shares
    share = sp.Rational(gram[0, 0], gram.trace())
    return gram == sp.diag(288, 162) and same_lengths and share == sp.Rational(16, 25)


def _counterexample() -> bool:
    return change(W, DELTA) == sp.Rational(-13, 60) and change(W, DELTA * HARD) == sp.Rational(-5, 12)


def _norms() -> bool:
    before, after = frobenius_squared(DELTA), frobenius_squared(DELTA * HARD)
    return (before, after) == (sp.Rational(3602, 25), 98) and bool(after < before)


def _every_alpha() -> bool:
    of_slope = sp.sqrt(1 + slope**2) / slope
    reached = 16 / (12 + (1 - a) * sp.Rational(24, 5))
    literal = equal(
        (energy(W + DELTA * (sp.eye(2) - a * sp.diag(1, 0))) ** 2), of_slope.subs(slope, reached) ** 2
    )
    falls = positive(-sp.simplify(sp.diff(of_slope, slope)))
    rises = positive(sp.simplify(sp.diff(reached, a).subs(a, 1 - y)))  # α < 1, and α = 1 as its limit
    start = reached.subs(a, 0) > sp.Rational(3, 4)  # τ of W itself
    return literal and falls and rises and bool(start)


def _radial() -> bool:
    return equal(change(W, RADIAL), 0) and change(W, RADIAL * HARD) == sp.Rational(-5, 12)
