"""A second opinion on B5: both sides of the inequality in rigorous interval arithmetic.

Random weights and edits are small rationals. Inner products, and with them the degenerate cases, are exact
fractions; every root, power and logarithm is an interval that contains the true value.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from mpmath.ctx_iv import MPIntervalContext, ivmpf

Row = tuple[Fraction, ...]
PRECISION = 100  # bits
EXPONENTS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Tally:
    """How the cases of a cross-check came out.

    Parameters
    ----------
    holds
        Upper end of |ΔHE| ≤ lower end of K_cert‖ΔW‖_F.
    not_applicable
        Some m_i = 0, or φ_ij > 0 is not certain for some pair.
    violated
        Lower end of |ΔHE| > upper end of K_cert‖ΔW‖_F.
    undecided
        The intervals overlap.
    """

    holds: int
    not_applicable: int
    violated: int
    undecided: int


def interval_crosscheck(cases: int = 1000, seed: int = 0) -> Tally:
    """Check |ΔHE| ≤ K_cert‖ΔW‖_F of claim B5 on random small cases.

    Parameters
    ----------
    cases
        Number of random (W, ΔW, s), with n from 2 to 5, d from 2 to 4 and s from 0 to 3.
    seed
        Same seed, same cases.
    """
    dice = random.Random(seed)
    context = MPIntervalContext()
    context.prec = PRECISION
    verdicts = [_verdict(context, *_case(dice)) for _ in range(cases)]
    names = ("holds", "not_applicable", "violated", "undecided")
    return Tally(**{name: verdicts.count(name) for name in names})


def _case(dice: random.Random) -> tuple[list[Row], list[Row], int]:
    n, d = dice.randint(2, 5), dice.randint(2, 4)
    shrink = dice.choice((2, 8, 32, 128))  # from edits that the certificate refuses to tiny ones

    def row(scale: int) -> Row:
        return tuple(Fraction(dice.randint(-9, 9), scale) for _ in range(d))

    W = [row(1) for _ in range(n)]
    while not all(map(any, W)):  # no neuron is zero
        W = [row(1) for _ in range(n)]
    delta = [row(shrink if dice.random() < 0.8 else shrink * 10**6) for _ in range(n)]
    delta[dice.randrange(n)] = (Fraction(0),) * d if dice.random() < 0.2 else row(shrink)  # one at rest
    return W, delta, dice.choice(EXPONENTS)


def _dot(u: Row, v: Row) -> Fraction:
    return sum((x * y for x, y in zip(u, v, strict=True)), Fraction(0))


def _segment_distance_squared(w: Row, delta: Row) -> Fraction:
    length2 = _dot(delta, delta)
    t = min(max(-_dot(w, delta) / length2, Fraction(0)), Fraction(1)) if length2 else Fraction(0)
    nearest = tuple(x + t * y for x, y in zip(w, delta, strict=True))
    return _dot(nearest, nearest)


def _verdict(iv: MPIntervalContext, W: list[Row], delta: list[Row], s: int) -> str:
    moved = [tuple(x + y for x, y in zip(w, z, strict=True)) for w, z in zip(W, delta, strict=True)]
    m2 = [_segment_distance_squared(w, z) for w, z in zip(W, delta, strict=True)]
    if min(m2) == 0:
        return "not_applicable"
    pulls = _pulls(iv, W, moved, s)
    if pulls is None:
        return "not_applicable"
    scale = iv.mpf(2 * s or 2)
    rows = [sum(p for pair, p in pulls.items() if i in pair) for i in range(len(W))]
    K2 = scale**2 * sum(total**2 / _interval(iv, m2[i]) for i, total in enumerate(rows))
    right = iv.sqrt(K2 * _interval(iv, sum((_dot(z, z) for z in delta), Fraction(0))))
    left = abs(_energy(iv, moved, s) - _energy(iv, W, s))
    if left.b <= right.a:
        return "holds"
    return "violated" if left.a > right.b else "undecided"


def _interval(iv: MPIntervalContext, x: Fraction) -> ivmpf:
    return iv.mpf(x.numerator) / x.denominator


def _half_angle(iv: MPIntervalContext, u: Row, v: Row) -> tuple[ivmpf, ivmpf]:
    """Return (sin, cos) of half the angle, without cancellation: 1 − c² is an exact fraction."""
    lengths, g = _dot(u, u) * _dot(v, v), _dot(u, v)
    c = _interval(iv, abs(g)) / iv.sqrt(_interval(iv, lengths))
    large = (1 + c) / 2
    small = _interval(iv, 1 - g * g / lengths) / (4 * large)
    sine2, cosine2 = (small, large) if g >= 0 else (large, small)
    return iv.sqrt(sine2), iv.sqrt(cosine2)


def _pulls(
    iv: MPIntervalContext, W: list[Row], moved: list[Row], s: int
) -> dict[tuple[int, int], ivmpf] | None:
    """Return h(φ_ij) of every pair, or None where φ_ij > 0 is not certain."""
    turns = [_half_angle(iv, w, v) for w, v in zip(W, moved, strict=True)]
    pulls = {}
    for i, j in combinations(range(len(W)), 2):
        sine, cosine = _half_angle(iv, W[i], W[j])
        for back, along in (turns[i], turns[j]):
            sine, cosine = sine * along - cosine * back, cosine * along + sine * back
        if not sine.a > 0:  # φ/2 lies in (−π, π/2], where its sine has its sign
            return None
        pulls[i, j] = (2 * sine) ** (-s - 1) * cosine
    return pulls


def _energy(iv: MPIntervalContext, W: list[Row], s: int) -> ivmpf:
    chords = [2 * _half_angle(iv, W[i], W[j])[0] for i, j in combinations(range(len(W)), 2)]
    return 2 * sum(-iv.log(D) if s == 0 else D ** (-s) for D in chords)
