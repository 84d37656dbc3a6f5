"""O3: when SPHERE's operator never enlarges an edit."""

from __future__ import annotations

import sympy as sp

from .exact import frobenius_squared
from .noncommutative import with_transpose
from .o1_spectrum import ORTHONORMAL, P, U, Ut, a
from .proof import Counterexample, Proof, Step

delta, delta_t = with_transpose("ΔW")
B, Bt = with_transpose("B")


def prove() -> Proof:
    """Prove ‖ΔW P‖_F ≤ ‖ΔW‖_F for every ΔW iff 0 ≤ α ≤ 2, with its equality case."""
    return Proof(
        id="O3",
        title="P is a contraction exactly for 0 ≤ α ≤ 2",
        theorem="Let UᵀU = I_r with r ≥ 1, and n ≥ 1. ‖ΔW P‖_F ≤ ‖ΔW‖_F for every ΔW iff 0 ≤ α ≤ 2. "
        "For 0 < α < 2 equality holds iff ΔW U = 0; for α ∈ {0, 2} it always holds.",
        steps=(
            Step(
                "What the projection removes",
                "ΔWΔWᵀ − (ΔW P)(ΔW P)ᵀ = α(2 − α)(ΔW U)(ΔW U)ᵀ; the trace is "
                "‖ΔW‖² − ‖ΔW P‖² = α(2 − α)‖ΔW U‖²",
                "all n, d, r, α",
                _removed,
            ),
            Step("Sign of the factor", "α(2 − α) ≥ 0  ⇔  0 ≤ α ≤ 2", "all real α", _sign),
            Step("Strict inside", "α(2 − α) > 0  ⇔  0 < α < 2", "all real α", _strict),
            Step(
                "The condition is necessary",
                "ΔW = B Uᵀ ≠ 0:  ‖ΔW P‖² = (1 − α)²‖B‖² and ‖ΔW‖² = ‖B‖²",
                "all n ≥ 1, d, r ≥ 1, α",
                _necessary,
            ),
            Step("Its factor", "(1 − α)² ≤ 1  ⇔  0 ≤ α ≤ 2", "all real α", _necessary_factor),
            Step(
                "Outside, exactly",
                "n = d = r = 1, ΔW = U = 1:  ‖ΔW P‖ = 3/2 > 1 = ‖ΔW‖ at α = 5/2 and at α = −1/2",
                "n = d = r = 1",
                _outside,
            ),
        ),
        conclusion=(
            "Sufficient: the removed energy is α(2 − α)‖ΔW U‖² ≥ 0; for 0 < α < 2 it vanishes iff ΔW U = 0. "
            "Necessary: an edit inside span(U), which exists as soon as n ≥ 1 and r ≥ 1, is enlarged by "
            "|1 − α| > 1 outside [0, 2]. The equality case excludes α = 2, where P is a reflection and keeps "
            "every norm."
        ),
        counterexamples=tuple(map(_counterexample, (sp.Rational(5, 2), sp.Rational(-1, 2)))),
    )


def _removed() -> bool:
    left = ORTHONORMAL.gram(delta) - ORTHONORMAL.gram(delta * P)
    return ORTHONORMAL.equal(left, a * (2 - a) * ORTHONORMAL.gram(delta * U))


def _sign() -> bool:
    return sp.solveset(a * (2 - a) >= 0, a, sp.S.Reals) == sp.Interval(0, 2)


def _strict() -> bool:
    return sp.solveset(a * (2 - a) > 0, a, sp.S.Reals) == sp.Interval.open(0, 2)


def _necessary() -> bool:
    inside = B * Ut
    kept = ORTHONORMAL.equal(ORTHONORMAL.gram(inside * P), (1 - a) ** 2 * B * Bt)
    return kept and ORTHONORMAL.equal(ORTHONORMAL.gram(inside), B * Bt)


def _necessary_factor() -> bool:
    return sp.solveset((1 - a) ** 2 <= 1, a, sp.S.Reals) == sp.Interval(0, 2)


def _counterexample(alpha: sp.Rational) -> Counterexample:
    one = sp.ImmutableMatrix([[1]])
    return Counterexample(
        refutes=f"‖ΔW P‖_F ≤ ‖ΔW‖_F at α = {alpha}",
        W=one,
        delta=one,
        values=(("α", alpha), ("‖ΔW P‖²", frobenius_squared(one * (1 - alpha))), ("‖ΔW‖²", sp.Integer(1))),
    )


def _outside() -> bool:
    cases = (dict(_counterexample(alpha).values) for alpha in (sp.Rational(5, 2), sp.Rational(-1, 2)))
    return all(case["‖ΔW P‖²"] == sp.Rational(9, 4) and case["‖ΔW P‖²"] > case["‖ΔW‖²"] for case in cases)
