"""E6: the energy and its gradient are unbounded, so that no constant K serves every W."""

from __future__ import annotations

import sympy as sp

from .proof import Proof, Step, equal, positive

s, D, rho, delta, e = sp.symbols("s D ‖w_i‖ δ ε", positive=True)
n = sp.Symbol("n", integer=True, positive=True)


def prove() -> Proof:
    """Prove that HE_s and its gradient diverge as two neurons meet."""
    return Proof(
        id="E6",
        title="No global K",
        theorem=(
            "For every s ≥ 0, HE_s(W) → ∞ as two directions meet. If ‖w_i‖ stays bounded and the other "
            "directions stay at distance ≥ δ from û_i, ‖∂HE_s/∂w_i‖ → ∞ too. Hence no K bounds ‖∇HE_s‖ on "
            "all W, nor on the W with unit rows."
        ),
        steps=(
            Step("A pair's energy", "D^(−s) → ∞ and log(1/D) → ∞ as D → 0", "all s > 0; s = 0", _energy),
            Step(
                "The rest cannot compensate",
                "D^(−s) > 0 for s > 0; log(1/D) ≥ −log 2 because D ≤ 2. So HE_s ≥ 2e(D_ij) for s > 0 and "
                "HE_0 ≥ 2 log(1/D_ij) − (n(n−1) − 2) log 2",
                "all n, d",
                _rest,
            ),
            Step(
                "A pair's gradient",
                "(2s/‖w_i‖) D^(−s−1) √(1 − D²/4) → ∞ as D → 0, and with 2 for 2s at s = 0",
                "all d, s ≥ 0, ‖w_i‖ fixed",
                _gradient,
            ),
            Step(
                "The other pairs",
                "‖∂HE_s/∂w_i‖ ≥ (2s/‖w_i‖)(D^(−s−1)√(1 − D²/4) − (n−2)δ^(−s−1)) → ∞",
                "all n ≥ 2, d, s ≥ 0, δ > 0 (triangle inequality, each other pull ≤ δ^(−s−1))",
                _others,
            ),
            Step(
                "The norm must stay bounded",
                "‖w_i‖ = ‖w_j‖ = D^(−s−2):  (2s/‖w_i‖) D^(−s−1) √(1 − D²/4) → 0 while D^(−s) → ∞",
                "all d, s ≥ 0, n = 2",
                _norm,
            ),
        ),
        conclusion=(
            "A constant K is local: it belongs to W and to how far an edit goes. The claim that the gradient "
            "diverges with the energy needs bounded rows: long enough neurons can meet with a gradient that "
            "vanishes, as the last step shows."
        ),
    )


def _pull(exponent: sp.Expr) -> sp.Expr:
    """Return 2s h(D)/‖w_i‖, with 2 for 2s at s = 0."""
    scale = 2 if exponent == 0 else 2 * exponent
    return scale / rho * D ** (-exponent - 1) * sp.sqrt(1 - D**2 / 4)


def _diverges(expr: sp.Expr) -> bool:
    return sp.limit(expr, D, 0, "+") == sp.oo


def _energy() -> bool:
    return _diverges(D ** (-s)) and _diverges(-sp.log(D))


def _rest() -> bool:
    shrink = sp.Symbol("y", positive=True)  # D = 2/(1 + y) runs over (0, 2)
    below_two = sp.expand_log(-sp.log(2 / (1 + shrink)) + sp.log(2))
    return positive(D ** (-s)) and equal(below_two, sp.log(1 + shrink)) and positive(sp.log(1 + shrink))


def _gradient() -> bool:
    return _diverges(_pull(s)) and _diverges(_pull(sp.Integer(0)))


def _others() -> bool:
    others = (n - 2) * delta ** (-s - 1)
    positive_s = _diverges(_pull(s) - 2 * s / rho * others)
    return positive_s and _diverges(_pull(sp.Integer(0)) - 2 / rho * (n - 2) / delta)


def _norm() -> bool:
    long = (_pull(k).subs(rho, D ** (-k - 2)) for k in (s, sp.Integer(0)))
    return all(sp.limit(sp.powsimp(pull), D, 0, "+") == 0 for pull in long)
