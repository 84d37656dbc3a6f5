"""M1: with all past keys in the inverse, sequential editing equals one-time editing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import sympy as sp

from .noncommutative import Algebra, letter, with_transpose
from .proof import Counterexample, Proof, Step, equal, positive

D, S, A, A_inv = letter("Δ_t"), letter("S_t"), letter("A_{t+1}"), letter("A_{t+1}⁻¹")
N, R, G = letter("N"), letter("R"), letter("A_t")
K, Kt = with_transpose("K")
W0, V1, V2 = letter("W_0"), letter("V_1"), letter("V_2")
K1, K1t = with_transpose("K_1")
K2, K2t = with_transpose("K_2")

Batch: TypeAlias = Callable[[sp.Matrix], tuple[sp.Matrix, sp.Matrix]]  # (keys, values) at given weights


def prove() -> Proof:
    """Prove the equality for MEMIT and AlphaEdit, and refute it without the past keys."""
    return Proof(
        id="M1",
        title="Sequential editing equals one-time editing",
        theorem=(
            "Let the keys K_i and the values V_i be fixed in advance, both. MEMIT, ΔW = R Kᵀ(λC0 + K_pK_pᵀ "
            "+ KKᵀ)⁻¹ with R = V − W_t K, applied batch by batch ends at the W that one edit with all "
            "batches gives; so does AlphaEdit, ΔW = R KᵀN(K_pK_pᵀN + KKᵀN + λI)⁻¹, for any matrix N for "
            "which the inverse exists."
        ),
        steps=(
            Step(
                "One edit with all batches",
                "[V_1 − W_0K_1, V_2 − W_0K_2][K_1, K_2]ᵀ = (V_1 − W_0K_1)K_1ᵀ + (V_2 − W_0K_2)K_2ᵀ: S_t = "
                "Σ_i (V_i − W_0K_i)K_iᵀ, and the one-time edit is S_t A_t⁻¹ with A_t = λC0 + Σ_i K_iK_iᵀ",
                "shapes 2 × 2 with two batches of one key; block products in general",
                _one_time,
            ),
            Step(
                "MEMIT, induction step",
                "Δ_t A_t = S_t, A_{t+1} = A_t + KKᵀ, Δ_{t+1} = Δ_t + (R − Δ_t K)KᵀA_{t+1}⁻¹ with R = V − "
                "W_0K  ⇒  Δ_{t+1}A_{t+1} = S_t + R Kᵀ = S_{t+1}",
                "all n, d, batch sizes; every number of batches by induction from Δ_0 = S_0 = 0",
                _memit,
            ),
            Step(
                "AlphaEdit, induction step",
                "the same with KᵀN for Kᵀ throughout: S_t = Σ_i (V_i − W_0K_i)K_iᵀN, Δ_{t+1}A_{t+1} = S_t + "
                "R KᵀN",
                "all n, d, batch sizes, every N; every number of batches",
                _alphaedit,
            ),
            Step(
                "The inverse exists",
                "N = NᵀN = N²: KKᵀN has the nonzero eigenvalues of (NK)ᵀ(NK) ⪰ 0, so KKᵀN + λI is invertible "
                "for λ > 0: det(λI + k kᵀN) = λ^(d−1)(λ + ‖N k‖²)",
                "one key, d = 2, every N = uuᵀ, every λ > 0 (in general by det(I + AB) = det(I + BA))",
                _invertible,
            ),
            Step(
                "With a null space, exactly",
                "K₀ = (1, 1, 0)ᵀ, N = I − K₀K₀ᵀ/2, keys (1, 0, 0)ᵀ, (0, 1, 1)ᵀ, values 1 and −1, W_0 = (1, "
                "2, 3), λ = 1: two AlphaEdit steps end where one ends, each has ΔW K₀ = 0, and N ≠ I "
                "changes the edit",
                "exact, n = 1, d = 3, two batches of one key",
                _with_null_space,
            ),
            Step(
                "Without past keys it fails",
                "n = d = 1, λC0 = 1, K_1 = K_2 = 1, V_1 = 1, V_2 = 0, W_0 = 0: sequential 1/4, one-time "
                "1/3; with them 1/3 both",
                "exact, n = d = 1",
                _without_past,
            ),
            Step(
                "With values found anew it fails",
                "the same with V_t = W_{t−1}K_t + 1, found at the current weights: sequential 5/6 with all "
                "past keys, one-time 2/3 from W_0",
                "exact, n = d = 1",
                _values_anew,
            ),
            Step(
                "With keys found anew it fails",
                "V_1 = 1, V_2 = 0 fixed, K_1 = 1 and K_t = 1 + W_{t−1}: sequential 4/17, one-time 1/3 from "
                "W_0",
                "exact, n = d = 1 (as where an earlier layer was edited)",
                _keys_anew,
            ),
        ),
        conclusion=(
            "Δ_t = S_t A_t⁻¹ after every batch: the edits so far are always the one-time solution of the "
            "batches so far. The residual must be taken at the current weights, and neither keys nor values "
            "may depend on them: a search that starts from the edited model changes V, an edit of an "
            "earlier layer changes K, and with it the problem. λ > 0 with invertible C0 for MEMIT; N need "
            "not be a projection for the identity, only for the inverse to exist."
        ),
        counterexamples=(
            Counterexample(
                refutes="sequential MEMIT equals one-time editing without past keys in the inverse",
                W=sp.ImmutableMatrix([[0]]),
                delta=sp.ImmutableMatrix([[sp.Rational(1, 4)]]),
                X=sp.ImmutableMatrix([[1]]),
                values=(("sequential", sp.Rational(1, 4)), ("one-time", sp.Rational(1, 3))),
            ),
            Counterexample(
                refutes="sequential MEMIT equals one-time editing with values found at the current weights",
                W=sp.ImmutableMatrix([[0]]),
                delta=sp.ImmutableMatrix([[sp.Rational(5, 6)]]),
                X=sp.ImmutableMatrix([[1]]),
                values=(("sequential", sp.Rational(5, 6)), ("one-time", sp.Rational(2, 3))),
            ),
        ),
    )


def _induction(right: sp.Expr) -> bool:
    """Establish Δ_{t+1}A_{t+1} = S_t + R·right, where A_{t+1} = A_t + K·right."""
    inverse = Algebra(rules=(((A_inv, A), sp.Integer(1)),))
    cancelled = inverse.normal((D + (R - D * K) * right * A_inv) * A)
    split = Algebra(rules=(((D, A), D * G + D * K * right), ((D, G), S)))
    return split.equal(cancelled, S + R * right)


def _memit() -> bool:
    return _induction(Kt)


def _alphaedit() -> bool:
    return _induction(Kt * N)


def _one_time() -> bool:
    V = sp.Matrix(2, 2, sp.symbols("v:4"))
    W = sp.Matrix(2, 2, sp.symbols("w:4"))
    keys = sp.Matrix(2, 2, sp.symbols("k:4"))
    residual = V - W * keys
    batches = sum((residual.col(i) * keys.col(i).T for i in range(2)), sp.zeros(2))
    gram = sum((keys.col(i) * keys.col(i).T for i in range(2)), sp.zeros(2))
    return equal(residual * keys.T, batches) and equal(keys * keys.T, gram)


def _invertible() -> bool:
    x, y, angle = sp.symbols("x y angle", real=True)
    penalty = sp.Symbol("λ", positive=True)
    k, u = sp.Matrix([x, y]), sp.Matrix([sp.cos(angle), sp.sin(angle)])
    null = u * u.T
    determinant = (penalty * sp.eye(2) + k * k.T * null).det()
    length = (null * k).dot(null * k)
    square = sp.Symbol("‖Nk‖²", nonnegative=True)
    return equal(determinant, penalty * (penalty + length)) and positive(penalty * (penalty + square))


def _solve(
    weights: sp.Matrix, keys: sp.Matrix, values: sp.Matrix, past: sp.Matrix, null: sp.Matrix | None = None
) -> sp.Matrix:
    """Return the weights after one edit with λC0 = I (MEMIT), or with a null space and λ = 1 (AlphaEdit)."""
    N = sp.eye(keys.rows) if null is None else null
    right = keys.T * N
    return weights + (values - weights * keys) * right * (past * N + keys * right + sp.eye(keys.rows)).inv()


def _sequence(
    batches: Sequence[Batch],
    weights: sp.Matrix,
    *,
    remember: bool = True,
    null: sp.Matrix | None = None,
) -> sp.Matrix:
    """Return the weights after all batches, each given its (keys, values) at the current weights."""
    past = sp.zeros(weights.cols)
    for batch in batches:
        keys, values = batch(weights)
        weights = _solve(weights, keys, values, past, null)
        past += keys * keys.T * int(remember)
    return weights


def _fixed(keys: sp.Matrix, values: sp.Matrix) -> Batch:
    """Return a batch whose keys and values do not depend on the weights."""
    return lambda _: (keys, values)


def _one(x: sp.Expr | int) -> sp.Matrix:
    return sp.Matrix([[x]])


def _with_null_space() -> bool:
    keys = sp.Matrix([[1, 0], [0, 1], [0, 1]])
    values, start, preserved = sp.Matrix([[1, -1]]), sp.Matrix([[1, 2, 3]]), sp.Matrix([1, 1, 0])
    null = sp.eye(3) - preserved * preserved.T / 2
    batches = [_fixed(keys.col(i), values.col(i)) for i in range(2)]
    ends = [
        (_sequence(batches, start, null=N), _solve(start, keys, values, sp.zeros(3), N))
        for N in (null, sp.eye(3))
    ]
    agree = all(stepwise == at_once for stepwise, at_once in ends)
    first = _solve(start, keys.col(0), values.col(0), sp.zeros(3), null)
    still = all(end * preserved == start * preserved for end in (first, ends[0][0]))
    return agree and still and null * preserved == sp.zeros(3, 1) and ends[0][0] != ends[1][0] != start


def _without_past() -> bool:
    batches = [_fixed(_one(1), _one(v)) for v in (1, 0)]
    forgetful = _sequence(batches, _one(0), remember=False)[0]
    honest = _sequence(batches, _one(0))[0]
    at_once = _solve(_one(0), sp.Matrix([[1, 1]]), sp.Matrix([[1, 0]]), _one(0))[0]
    return (forgetful, honest, at_once) == (sp.Rational(1, 4), sp.Rational(1, 3), sp.Rational(1, 3))


def _values_anew() -> bool:
    stepwise = _sequence([lambda W: (_one(1), W + _one(1))] * 2, _one(0))[0]
    at_once = _solve(_one(0), sp.Matrix([[1, 1]]), sp.Matrix([[1, 1]]), _one(0))[0]
    return (stepwise, at_once) == (sp.Rational(5, 6), sp.Rational(2, 3))


def _keys_anew() -> bool:
    first, second = (lambda W: (_one(1) + W, _one(1))), (lambda W: (_one(1) + W, _one(0)))
    stepwise = _sequence([first, second], _one(0))[0]
    at_once = _solve(_one(0), sp.Matrix([[1, 1]]), sp.Matrix([[1, 0]]), _one(0))[0]
    return (stepwise, at_once) == (sp.Rational(4, 17), sp.Rational(1, 3))
