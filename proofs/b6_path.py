"""B6: the certificate along a sequence of edits."""

from __future__ import annotations

import sympy as sp

from proofs.exact import change, frobenius_squared, k_cert_squared
from proofs.proof import Counterexample, Proof, Step, equal, nonnegative

FORTH = sp.ImmutableMatrix([[0, 0], [-14, 0]])
W = sp.ImmutableMatrix([[25, 0], [7, 24]])


def prove() -> Proof:
    """Prove |ΔHE| ≤ Σ_t K_t‖ΔW_t‖_F, and what it does not say."""
    return Proof(
        id="B6",
        title="Along an edit path",
        theorem=(
            "Let W_t = W_{t−1} + ΔW_t with every step certified by K_t in the sense of B5. Then "
            "|HE_s(W_T) − HE_s(W_0)| ≤ Σ_t K_t‖ΔW_t‖_F, and with XXᵀ ⪰ σ²I on every row space, "
            "σ|HE_s(W_T) − HE_s(W_0)| ≤ Σ_t K_t‖ΔV_t‖_F."
        ),
        steps=(
            Step(
                "Telescope",
                "HE(W_T) − HE(W_0) = Σ_t (HE(W_t) − HE(W_{t−1}))",
                "all n, d, s; T ≤ 6 (induction over T is the same line)",
                _telescope,
            ),
            Step(
                "Induction step",
                "|HE(W_T) − HE(W_0)| ≤ B and |ΔHE_{T+1}| ≤ K‖ΔW‖  ⇒  |HE(W_{T+1}) − HE(W_0)| ≤ B + K‖ΔW‖",
                "all n, d, s, every T",
                _induction,
            ),
            Step(
                "Outputs",
                "‖ΔV_t‖ ≥ σ‖ΔW_t‖ (B2):  Σ K_t‖ΔV_t‖ − σ Σ K_t‖ΔW_t‖ ≥ 0",
                "all n, d, s, every step",
                _outputs,
            ),
            Step(
                "It bounds a length, not a displacement",
                "there and back, ΔW = (0, 0; −14, 0) and −ΔW: net ΔW = 0 and net ΔHE = 0, while each step "
                "has (ΔHE_t)² = 25/144 ≤ K_t²‖ΔW_t‖², both certified",
                "exact, n = d = 2, s = 1",
                _loop,
            ),
        ),
        conclusion=(
            "The constants are those of the steps, so the bound survives any number of edits as long as each "
            "is certified at its own W_{t−1}; one uncertified step leaves the sum open. It bounds below the "
            "total output motion Σ‖ΔV_t‖, not the net change ‖Σ ΔV_t‖, which may be zero after a long path."
        ),
        counterexamples=(
            Counterexample(
                refutes="Σ_t K_t‖ΔW_t‖ > 0 implies a net change (the edit shown, then its reverse)",
                W=W,
                delta=FORTH,
                values=(
                    ("ΔHE of the step", change(W, FORTH)),
                    ("net ΔHE", change(W, FORTH) + change(W + FORTH, -FORTH)),
                ),
            ),
        ),
    )


def _telescope() -> bool:
    energies = sp.symbols("HE_0:8", real=True)
    return all(
        equal(sp.Add(*(energies[t + 1] - energies[t] for t in range(T))), energies[T] - energies[0])
        for T in range(1, 7)
    )


def _induction() -> bool:
    x, y = sp.symbols("x y", real=True)  # the change so far, and the next one
    room, slack = sp.symbols("room slack", nonnegative=True)
    bound, step = sp.Abs(x) + room, sp.Abs(y) + slack
    # |x + y| ≤ |x| + |y|, from (|x| + |y|)² − (x + y)² = 2(|x||y| − xy), both signs of xy
    triangle = equal(sp.expand((sp.Abs(x) + sp.Abs(y)) ** 2 - (x + y) ** 2), 2 * (sp.Abs(x * y) - x * y))
    return triangle and nonnegative(bound + step - sp.Abs(x) - sp.Abs(y))


def _outputs() -> bool:
    K, sigma, size, more = sp.symbols("K σ ‖ΔW‖ more", nonnegative=True)
    return nonnegative(sp.expand(K * (sigma * size + more) - sigma * K * size))


def _loop() -> bool:
    there, back = change(W, FORTH), change(W + FORTH, -FORTH)
    certified = (k_cert_squared(V, D) * frobenius_squared(D) for V, D in ((W, FORTH), (W + FORTH, -FORTH)))
    return (
        there + back == 0 and there == sp.Rational(-5, 12) and all(bound >= there**2 for bound in certified)
    )
