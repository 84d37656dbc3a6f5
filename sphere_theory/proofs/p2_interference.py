"""P2: for which principal spaces P spares the preserved keys, and what it does to an edit fitted to them."""

from __future__ import annotations

import sympy as sp

from .exact import frobenius_squared
from .noncommutative import Algebra, letter, with_transpose
from .o1_spectrum import P, U, Ut, a
from .o6_energy_not_protected import W
from .proof import Counterexample, Proof, Step, equal, positive

C = letter("C₀")
S = letter("S")
T, Tt = with_transpose("T")
delta, delta_t = with_transpose("ΔW")
D, Dt = with_transpose("Δ")  # an edit with Δ C0 U = 0
UNIT = ((Ut, U), sp.Integer(1))
ANY = Algebra(rules=(UNIT,), symmetric=frozenset({C, S}))
INVARIANT = Algebra(
    rules=(UNIT, ((C, U), U * S), ((Ut, C), S * Ut), ((S,), T * Tt)), symmetric=frozenset({C, S})
)
FITTED = Algebra(
    rules=(UNIT, ((D, C, U), sp.Integer(0)), ((Ut, C, Dt), sp.Integer(0)), ((Ut, C, U), T * Tt)),
    symmetric=frozenset({C}),
)

ALPHAEDIT = sp.ImmutableMatrix([[1, -1], [0, 0]])
SEEN = sp.ImmutableMatrix([1, 1])
MOMENT = sp.ImmutableMatrix([[2, 1], [1, 2]])
PRESERVED = sp.ImmutableMatrix([[1, 0, 1], [0, 1, 1]])  # K0 K0ᵀ = MOMENT
KEY = sp.ImmutableMatrix([0, 1])
RESIDUAL = sp.ImmutableMatrix([5, 0])
MEMIT = sp.ImmutableMatrix([[-1, 2], [0, 0]])
HARD = sp.diag(0, 1)  # I − UUᵀ with U = e_1


def prove() -> Proof:
    """Prove when P never adds interference, and refute that it never does."""
    return Proof(
        id="P2",
        title="P spares the preserved keys exactly when span(U) is invariant under C0",
        theorem=(
            "Let UᵀU = I_r, r ≥ 1, C0 = K0K0ᵀ and 0 < α ≤ 2. ‖ΔW P K0‖_F ≤ ‖ΔW K0‖_F for every ΔW iff C0 U "
            "= U S for some S, that is, iff the principal space of the weights is an invariant subspace of "
            "the preserved keys' second moment. A MEMIT edit whose keys are orthogonal to U interferes more "
            "after P for every α > 0, unless K0ᵀU UᵀΔWᵀ = 0."
        ),
        steps=(
            Step(
                "What P changes",
                "C0 − P C0 P = α(UUᵀC0 + C0UUᵀ) − α²UUᵀC0UUᵀ",
                "all d, r, α, every symmetric C0",
                _difference,
            ),
            Step(
                "Invariance suffices",
                "C0 U = U S, S = TTᵀ  ⇒  ΔW(C0 − P C0 P)ΔWᵀ = α(2 − α)(ΔW U T)(ΔW U T)ᵀ; the trace is "
                "‖ΔW K0‖² − ‖ΔW P K0‖² = α(2 − α)‖ΔW U T‖² ≥ 0",
                "all n, d, r, 0 ≤ α ≤ 2",
                _sufficient,
            ),
            Step(
                "And it is needed",
                "u ∈ span(U) and v ⟂ span(U) with b = uᵀC0 v ≠ 0, c = uᵀC0 u: the edit z = v − (b/2c)u has "
                "‖zP K0‖² − ‖z K0‖² = α(2 + α)b²/(4c) > 0",
                "all d, r, α > 0, every C0 ⪰ 0 (c > 0 since b ≠ 0); all that enters is C0 on span(u, v)",
                _necessary,
            ),
            Step(
                "A fitted edit has nothing left to give",
                "ΔW C0 U = 0  ⇒  ‖ΔW P K0‖² = ‖ΔW K0‖² + α²‖ΔW U T‖², UᵀC0U = TTᵀ",
                "all n, d, r, α",
                _fitted,
            ),
            Step(
                "MEMIT is fitted",
                "ΔW(λC0 + KKᵀ) = R Kᵀ and KᵀU = 0  ⇒  λΔW C0 U = (R − ΔW K)KᵀU = 0",
                "all n, d, r, b, λ > 0",
                _memit_is_fitted,
            ),
            Step(
                "AlphaEdit, exactly",
                "W = (12, 9; 12, −9), U = e_1 (see O6), K0 = (1, 1)ᵀ, ΔW = (1, −1; 0, 0): ‖ΔW K0‖² = 0, "
                "‖ΔW P K0‖² = α²",
                "exact, n = d = 2, every α",
                _alphaedit,
            ),
            Step(
                "MEMIT, exactly",
                "the same W, K0 = (1, 0, 1; 0, 1, 1), λ = 1, K = (0, 1)ᵀ, R = (5, 0)ᵀ: ΔW = (−1, 2; 0, 0), "
                "‖ΔW K0‖² = 6, ‖ΔW P K0‖² = 6 + 2α², and ΔW P K = ΔW K",
                "exact, n = d = 2, every α",
                _memit,
            ),
        ),
        conclusion=(
            "U comes from the weights and interference from the keys, and nothing ties the two: where C0 "
            "mixes span(U) with its complement, some edit interferes more after P. MEMIT and AlphaEdit have "
            "fitted the edit to C0 and to its null space, and P takes a part of that fit away. With U from "
            "C0, as AlphaEdit takes its null space, the hypothesis holds by construction."
        ),
        counterexamples=(
            _data(ALPHAEDIT, SEEN, "‖ΔW P K0‖ ≤ ‖ΔW K0‖ for an AlphaEdit edit, X = K0, α = 1, U = e_1"),
            _data(MEMIT, PRESERVED, "‖ΔW P K0‖ ≤ ‖ΔW K0‖ for a MEMIT edit, X = K0, α = 1, U = e_1"),
        ),
    )


def _data(edit: sp.ImmutableMatrix, keys: sp.ImmutableMatrix, refutes: str) -> Counterexample:
    values = (
        ("‖ΔV‖_F²", frobenius_squared(edit * keys)),
        ("‖ΔW P K0‖_F²", frobenius_squared(edit * HARD * keys)),
    )
    projected = sp.ImmutableMatrix(edit * HARD)
    return Counterexample(refutes=refutes, W=W, delta=edit, X=keys, values=values, projected=projected)


def _difference() -> bool:
    inside = U * Ut
    return ANY.equal(C - P * C * P, a * (inside * C + C * inside) - a**2 * inside * C * inside)


def _sufficient() -> bool:
    removed = delta * (C - P * C * P) * delta_t
    return INVARIANT.equal(removed, a * (2 - a) * INVARIANT.gram(delta * U * T))


def _necessary() -> bool:
    b, e = sp.symbols("b e", real=True)
    c, x = sp.symbols("c α", positive=True)
    moment = sp.Matrix([[c, b], [b, e]])
    z = sp.Matrix([[-b / (2 * c), 1]])
    after = z * sp.diag(1 - x, 1)
    excess = sp.expand((after * moment * after.T)[0] - (z * moment * z.T)[0])
    return equal(excess, x * (2 + x) * b**2 / (4 * c)) and positive(x * (2 + x) / (4 * c))


def _fitted() -> bool:
    gained = D * P * C * P * Dt - D * C * Dt
    return FITTED.equal(gained, a**2 * FITTED.gram(D * U * T))


def _memit_is_fitted() -> bool:
    penalty = sp.Symbol("λ", positive=True)
    K, Kt = with_transpose("K")
    R = letter("R")
    solved = (delta, C), (R * Kt - delta * K * Kt) / penalty
    algebra = Algebra(rules=(solved, ((Kt, U), sp.Integer(0))))
    normal = algebra.equal(delta * (penalty * C + K * Kt), R * Kt)
    return normal and algebra.equal(delta * C * U, sp.Integer(0))


def _after(edit: sp.ImmutableMatrix, keys: sp.ImmutableMatrix) -> sp.Expr:
    return frobenius_squared(edit * sp.diag(1 - a, 1) * keys)


def _alphaedit() -> bool:
    return (
        equal(ALPHAEDIT * SEEN, sp.zeros(2, 1))
        and (W.T * W).is_diagonal()
        and equal(_after(ALPHAEDIT, SEEN), a**2)
    )


def _memit() -> bool:
    solved = RESIDUAL * KEY.T * (MOMENT + KEY * KEY.T).inv()
    kept = equal(MEMIT * sp.diag(1 - a, 1) * KEY, MEMIT * KEY)
    moment = PRESERVED * PRESERVED.T == MOMENT
    before = frobenius_squared(MEMIT * PRESERVED)
    return (
        moment
        and kept
        and equal(solved, MEMIT)
        and before == 6
        and equal(_after(MEMIT, PRESERVED), 6 + 2 * a**2)
    )
