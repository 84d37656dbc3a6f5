"""E5: the energy of independent uniform directions."""

from __future__ import annotations

import sympy as sp

from .proof import Proof, Step, equal

a, b, x, e = sp.symbols("a b x ε", positive=True)
t = sp.Symbol("t", real=True)
d = sp.Symbol("d", positive=True)
s = sp.Symbol("s", real=True)
HALF = (d - 1) / 2


def prove() -> Proof:
    """Prove the closed form of E[D^(−s)], and of E[log(1/D)]."""
    return Proof(
        id="E5",
        title="Uniform directions",
        theorem=(
            "For independent uniform directions in dimension d ≥ 2 and s < d − 1, "
            "E[D^(−s)] = 2^(d−2−s) Γ(d/2) Γ((d−1−s)/2) / (√π Γ(d−1−s/2)); for s ≥ d − 1 it is infinite. "
            "E[log(1/D)] = ½(ψ(d−1) − ψ((d−1)/2)) − log 2. E[HE_s] is n(n−1) times these."
        ),
        steps=(
            Step(
                "Law of the cosine",
                "the slice at angle ψ has area ∝ sin^(d−2)ψ dψ; with t = cos ψ: ∝ (1 − t²)^((d−3)/2) dt",
                "all d ≥ 2",
                _slice,
            ),
            Step(
                "Law of x = D²/4",
                "t = 1 − 2x: (1 − t²)^((d−3)/2) ∝ (x(1 − x))^((d−1)/2 − 1), and D^(−s) = 2^(−s) x^(−s/2)",
                "all d, s",
                _chord,
            ),
            Step(
                "Beta integral",
                "∫₀¹ x^(a−1)(1−x)^(b−1) dx = Γ(a)Γ(b)/Γ(a+b)",
                "all a, b > 0",
                _beta,
            ),
            Step(
                "As a quotient",
                "E[D^(−s)] = 2^(−s) B((d−1−s)/2, (d−1)/2) / B((d−1)/2, (d−1)/2)",
                "all d ≥ 2, s < d − 1",
                _quotient,
            ),
            Step(
                "Duplication",
                "Γ(d−1) = 2^(d−2) Γ((d−1)/2) Γ(d/2) / √π",
                "all d ≥ 2",
                _duplication,
            ),
            Step(
                "Closed form",
                "the quotient equals 2^(d−2−s) Γ(d/2) Γ((d−1−s)/2) / (√π Γ(d−1−s/2))",
                "all d ≥ 2, s < d − 1",
                _closed,
            ),
            Step(
                "s = 0",
                "E[log(1/D)] = d/ds E[D^(−s)] at s = 0 = ½(ψ(d−1) − ψ((d−1)/2)) − log 2",
                "all d ≥ 2",
                _logarithm,
            ),
            Step(
                "Divergence",
                "∫_ε¹ x^(−p) dx → ∞ as ε → 0 for p ≥ 1; here p = (s + 3 − d)/2 ≥ 1 iff s ≥ d − 1, and the "
                "other factor stays away from 0 at x = 0",
                "all d ≥ 2, s ≥ d − 1",
                _divergence,
            ),
            Step(
                "Literal checks",
                "∫ (2 − 2t)^(−s/2) (1 − t²)^((d−3)/2) dt agrees for (d, s) = (3, 1), (5, 2), (5, 1), (4, 2); "
                "E[log(1/D)] is ½ − log 2 for d = 3 and 0 for d = 2",
                "exact, d = 2, 3, 4, 5",
                _literal,
            ),
            Step(
                "A check of the law",
                "E[t²] = E[(1 − 2x)²] = 1/d, as Σ_k û_k² = 1 demands",
                "all d ≥ 2",
                _moment,
            ),
        ),
        conclusion=(
            "For s = 1 the formula needs d ≥ 3. The unit-free energy HE_s/(n(n−1)E[D^(−s)]) exists for "
            "s < d − 1 only; for s = 0 and d = 2 the reference is 0 and a difference has to take its place."
        ),
    )


def _closed_form() -> sp.Expr:
    """Return the formula of the claim, in the symbols d and s."""
    numerator = 2 ** (d - 2 - s) * sp.gamma(d / 2) * sp.gamma((d - 1 - s) / 2)
    return numerator / (sp.sqrt(sp.pi) * sp.gamma(d - 1 - s / 2))


def _slice() -> bool:
    angle = sp.Symbol("ψ", positive=True)
    sine = sp.Symbol("S", positive=True)  # sin ψ on (0, π)
    density = (1 - sp.cos(angle) ** 2) ** ((d - 3) / 2) * sp.Abs(sp.diff(sp.cos(angle), angle))
    as_sine = sp.trigsimp(density).subs(sp.sin(angle), sine)
    return equal(sp.powsimp(as_sine / sine ** (d - 2)), 1)


def _chord() -> bool:
    cosine = 1 - 2 * x
    y = sp.Symbol("y", positive=True)  # 1 − x on (0, 1)
    base = sp.factor(1 - cosine**2)
    square = equal(base, 4 * x * (1 - x)) and equal(2 - 2 * cosine, 4 * x)
    density = sp.expand_log(sp.log((4 * x * y) ** ((d - 3) / 2) / (x * y) ** (HALF - 1)))
    power = sp.expand_log(sp.log((4 * x) ** (-s / 2) / (2 ** (-s) * x ** (-s / 2))))
    return square and equal(density, (d - 3) * sp.log(2)) and equal(power, 0)  # the first: a constant factor


def _beta() -> bool:
    integral = sp.integrate(x ** (a - 1) * (1 - x) ** (b - 1), (x, 0, 1), meijerg=True)  # ten times faster
    return equal(integral.rewrite(sp.gamma), sp.gamma(a) * sp.gamma(b) / sp.gamma(a + b))


def _beta_value(p: sp.Expr, q: sp.Expr) -> sp.Expr:
    return sp.gamma(p) * sp.gamma(q) / sp.gamma(p + q)


def _quotient_value() -> sp.Expr:
    return 2 ** (-s) * _beta_value(HALF - s / 2, HALF) / _beta_value(HALF, HALF)


def _quotient() -> bool:
    exponents = equal((HALF - 1) - s / 2, (HALF - s / 2) - 1)
    return exponents and equal(_quotient_value().subs(s, 0), 1)


def _duplication() -> bool:
    z = sp.Symbol("z", positive=True)
    doubled = 2 ** (2 * z - 1) * sp.gamma(z) * sp.gamma(z + sp.Rational(1, 2)) / sp.sqrt(sp.pi)
    known = equal(sp.gammasimp(sp.gamma(2 * z) / doubled), 1)
    return known and equal(
        doubled.subs(z, HALF), 2 ** (d - 2) * sp.gamma(HALF) * sp.gamma(d / 2) / sp.sqrt(sp.pi)
    )


def _closed() -> bool:
    return equal(sp.gammasimp(_quotient_value() / _closed_form()), 1)


def _log_mean() -> sp.Expr:
    return (sp.digamma(d - 1) - sp.digamma(HALF)) / 2 - sp.log(2)


def _logarithm() -> bool:
    return equal(sp.diff(_quotient_value(), s).subs(s, 0), _log_mean())


def _divergence() -> bool:
    steep = sp.Symbol("p", positive=True)
    above = sp.integrate(x ** (-1 - steep), (x, e, 1))
    at = sp.integrate(1 / x, (x, e, 1))
    exponent = equal(-(HALF - s / 2 - 1), (s + 3 - d) / 2) and equal(((s + 3 - d) / 2 - 1).subs(s, d - 1), 0)
    return exponent and all(sp.limit(integral, e, 0, "+") == sp.oo for integral in (above, at))


def _mean(of: sp.Expr, dimension: int) -> sp.Expr:
    weight = (1 - t**2) ** sp.Rational(dimension - 3, 2)
    return sp.integrate(of * weight, (t, -1, 1)) / sp.integrate(weight, (t, -1, 1))


def _literal() -> bool:
    D2 = 2 - 2 * t
    powers = ((3, 1), (5, 2), (5, 1), (4, 2))
    direct = all(
        equal(_mean(D2 ** sp.Rational(-k, 2), q), _closed_form().subs({d: q, s: k})) for q, k in powers
    )
    logs = equal(_log_mean().subs(d, 3), sp.Rational(1, 2) - sp.log(2)) and equal(_log_mean().subs(d, 2), 0)
    return direct and logs and equal(_mean(-sp.log(D2) / 2, 3), sp.Rational(1, 2) - sp.log(2))


def _moment() -> bool:
    of_x = [_beta_value(HALF + k, HALF) / _beta_value(HALF, HALF) for k in range(3)]
    mean = sp.expand_func(sp.gammasimp(of_x[0] - 4 * of_x[1] + 4 * of_x[2]))
    return equal(mean, 1 / d)
