"""B6: the bound along a sequence of edits."""

from __future__ import annotations

import sympy as sp

from .b8_unconditional import THROUGH
from .exact import certifiable, change, energy, frobenius_squared, k_cert_squared, k_star_squared
from .proof import Counterexample, Proof, Step, equal

W = sp.ImmutableMatrix([[25, 0], [7, 24]])
FORTH = sp.ImmutableMatrix([[0, 0], [-14, 0]])
START = sp.ImmutableMatrix(sp.eye(2))
# w_1 passes through w_2, then both are scaled, then w_2 turns by a right angle
PATH = (
    THROUGH,
    sp.ImmutableMatrix([[sp.Rational(-3, 5), sp.Rational(4, 5)], [0, 1]]),
    sp.ImmutableMatrix([[0, 0], [2, -2]]),
)
y = sp.Symbol("y", positive=True)


def prove() -> Proof:
    """Prove |ΔHE| ≤ Σ_t K*_t‖ΔW_t‖_F for every path, and what it does not say."""
    return Proof(
        id="B6",
        title="Along an edit path",
        theorem=(
            "Let W_t = W_{t−1} + ΔW_t, t = 1, …, T, with no zero row and no coincident directions in any "
            "W_0, …, W_T, and K*_t the constant of B8 for the step from W_{t−1} to W_t. Then |HE_s(W_T) − "
            "HE_s(W_0)| ≤ Σ_t K*_t‖ΔW_t‖_F, for every path and every size of its steps, and with XXᵀ ⪰ σ²I "
            "on every row space, σ|HE_s(W_T) − HE_s(W_0)| ≤ Σ_t K*_t‖ΔV_t‖_F. Where B5 certifies a step, "
            "its K_t may stand for K*_t, and is not smaller."
        ),
        steps=(
            Step(
                "Triangle inequality",
                "HE(W_T) − HE(W_0) = Σ_t ΔHE_t, and (|x| + |y|)² − (x + y)² = 2(|x||y| − xy) ≥ 0: |Σ_t "
                "ΔHE_t| ≤ Σ_t |ΔHE_t|, each term at most K*_t‖ΔW_t‖ by B8",
                "all n, d, s, every T by induction",
                _triangle,
            ),
            Step(
                "On a path",
                "W_0 = I_2, three steps, the first through another neuron, the second along the rows, the "
                "third a turn of w_2 by π/2: each has (ΔHE_t)² ≤ K*_t²‖ΔW_t‖², and |HE(W_3) − HE(W_0)| ≤ "
                "Σ_t K*_t‖ΔW_t‖",
                "exact, n = d = 2, T = 3, s = 0, 1, 2",
                _path,
            ),
            Step(
                "No certificate is needed",
                "the first step of it has φ_12 < 0, so that B5's sum does not exist; where both exist, K*_t "
                "≤ K_t: the two steps of the loop below",
                "exact, n = d = 2, s = 1 (in general by B8)",
                _no_certificate,
            ),
            Step(
                "Points count, not what lies between",
                "W_0 = I_2, w_1 ↦ (y, 1): K*²‖ΔW‖² → ∞ as y → 0, where w_1 ends on w_2; beyond it, at (−1, "
                "1), K*²‖ΔW‖² < 100",
                "exact, n = d = 2, s = 1",
                _points,
            ),
            Step(
                "It bounds a length, not a displacement",
                "there and back, ΔW = (0, 0; −14, 0) and −ΔW: net ΔW = 0 and net ΔHE = 0, while each step "
                "has (ΔHE_t)² = 25/144 ≤ K*_t²‖ΔW_t‖²",
                "exact, n = d = 2, s = 1",
                _loop,
            ),
            Step(
                "Nor is the sum over steps the one over the whole",
                "the loop again: K* of the net edit is taken at ΔW = 0 and bounds 0 by 0, the sum of the "
                "steps by more than 5/6",
                "exact, n = d = 2, s = 1",
                _cumulative,
            ),
        ),
        conclusion=(
            "The constants are those of the steps, each from W_{t−1} and W_t alone, so the bound survives "
            "any number of edits of any size, and a path may be cut anywhere where the neurons are apart. A "
            "neuron that ends on another one, or at the origin, ends it: HE is not finite, or not defined, "
            "there. It bounds from below the total output motion Σ‖ΔV_t‖, not the net change ‖Σ ΔV_t‖, "
            "which may be zero after a long path; for that, apply B8 to W_0 and W_T, the cumulative form."
        ),
        counterexamples=(
            Counterexample(
                refutes="Σ_t K*_t‖ΔW_t‖ > 0 implies a net change (the edit shown, then its reverse)",
                W=W,
                delta=FORTH,
                values=(
                    ("ΔHE of the step", change(W, FORTH)),
                    ("net ΔHE", change(W, FORTH) + change(W + FORTH, -FORTH)),
                ),
            ),
        ),
    )


def _bound_squared(weights: sp.Matrix, delta: sp.Matrix, s: int = 1) -> sp.Expr:
    return k_star_squared(weights, delta, s) * frobenius_squared(delta)


def _triangle() -> bool:
    x, z = sp.symbols("x z", real=True)
    defect = equal((sp.Abs(x) + sp.Abs(z)) ** 2 - (x + z) ** 2, 2 * (sp.Abs(x * z) - x * z))
    same_sign, opposite = (sp.Abs(p * y) - p * y for p in (y, -y))
    return defect and equal(same_sign, 0) and equal(opposite, 2 * y**2)


def _points_of_path() -> list[sp.Matrix]:
    points = [START]
    for delta in PATH:
        points.append(points[-1] + delta)
    return points


def _path() -> bool:
    points = _points_of_path()

    def holds(s: int) -> bool:
        changes = [change(at, delta, s) for at, delta in zip(points, PATH, strict=False)]
        bounds = [_bound_squared(at, delta, s) for at, delta in zip(points, PATH, strict=False)]
        each = all(bool(x**2 <= K2) for x, K2 in zip(changes, bounds, strict=True))
        net = energy(points[-1], s) - energy(points[0], s)
        return each and equal(net, sp.Add(*changes)) and bool(sp.Abs(net) <= sp.Add(*map(sp.sqrt, bounds)))

    return all(map(holds, (0, 1, 2)))


def _no_certificate() -> bool:
    steps = ((W, FORTH), (W + FORTH, -FORTH))
    below = (bool(k_star_squared(V, D) < k_cert_squared(V, D)) for V, D in steps)
    return not certifiable(START, THROUGH) and all(certifiable(V, D) for V, D in steps) and all(below)


def _points() -> bool:
    edit = sp.Matrix([[-1 + y, 1], [0, 0]])
    bound = k_star_squared(START, edit, end=START + edit) * frobenius_squared(edit)
    beyond = _bound_squared(START, sp.Matrix([[-2, 1], [0, 0]]))
    return sp.limit(bound, y, 0, "+") == sp.oo and bool(beyond < 100)


def _loop() -> bool:
    there, back = change(W, FORTH), change(W + FORTH, -FORTH)
    bounds = (_bound_squared(W, FORTH), _bound_squared(W + FORTH, -FORTH))
    return there + back == 0 and there == sp.Rational(-5, 12) and all(bound >= there**2 for bound in bounds)


def _cumulative() -> bool:
    whole = _bound_squared(W, sp.zeros(2))
    steps = sp.sqrt(_bound_squared(W, FORTH)) + sp.sqrt(_bound_squared(W + FORTH, -FORTH))
    return whole == 0 and bool(steps > sp.Rational(5, 6))
