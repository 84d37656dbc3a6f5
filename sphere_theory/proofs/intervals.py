"""A second opinion on B5, B8, B9 and B10: both sides of an inequality in rigorous interval arithmetic.

Weights and edits are rationals. Inner products, and with them the degenerate cases, are exact fractions;
every root, power, logarithm and angle is an interval that contains the true value. What is compared is
given by a formula (`sphere_theory.proofs.formulas`), so that a wrong one can be put to the same cases.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, permutations
from typing import TypeAlias

from mpmath.ctx_iv import MPIntervalContext, ivmpf

from .cases import Case, Row, draw_case

PRECISION = 160  # bits
IV = MPIntervalContext()
IV.prec = PRECISION
ZERO, ONE, TWO = IV.mpf(0), IV.mpf(1), IV.mpf(2)  # converted once

HalfAngle: TypeAlias = tuple[ivmpf, ivmpf]
Sides: TypeAlias = Sequence[tuple[ivmpf, ivmpf]]


@dataclass(frozen=True)
class Tally:
    """How the cases of a cross-check came out.

    Parameters
    ----------
    holds
        Upper end of the left side ≤ lower end of the right side.
    not_applicable
        Some hypothesis fails, or is not certain.
    violated
        Lower end of the left side > upper end of the right side.
    undecided
        The intervals overlap.
    """

    holds: int
    not_applicable: int
    violated: int
    undecided: int


class Geometry:
    """Angles, chords and first-order terms of one edit, in intervals.

    Parameters
    ----------
    case
        W, ΔW and s, exact.
    """

    def __init__(self, case: Case) -> None:
        self.W, self.delta, self.s = case
        self.n = len(self.W)
        self.moved = [_sum(w, z) for w, z in zip(self.W, self.delta, strict=True)]
        self.pairs = tuple(combinations(range(self.n), 2))

    @cached_property
    def degenerate(self) -> bool:
        """Whether a row is zero or two directions coincide, before or after the edit."""
        rows = (*self.W, *self.moved)
        return not all(map(any, rows)) or any(
            _aligned(A[i], A[j]) for A in (self.W, self.moved) for i, j in self.pairs
        )

    @cached_property
    def before(self) -> dict[tuple[int, int], HalfAngle]:
        """(sin, cos) of θ_ij/2, i < j."""
        return {(i, j): half_angle(self.W[i], self.W[j]) for i, j in self.pairs}

    @cached_property
    def after(self) -> dict[tuple[int, int], HalfAngle]:
        """(sin, cos) of θ̂_ij/2, i < j."""
        return {(i, j): half_angle(self.moved[i], self.moved[j]) for i, j in self.pairs}

    @cached_property
    def half_turns(self) -> list[HalfAngle]:
        """(sin, cos) of δ_i/2."""
        return [half_angle(w, v) for w, v in zip(self.W, self.moved, strict=True)]

    @cached_property
    def turns(self) -> list[ivmpf]:
        """δ_i; exactly 0 where a direction stays."""
        return [angle(half) for half in self.half_turns]

    @cached_property
    def change(self) -> ivmpf:
        """ΔHE, a sum over the pairs whose cosine is not exactly what it was."""
        total = ZERO
        for pair in self.pairs:
            if _cosine_key(self.W, pair) != _cosine_key(self.moved, pair):
                total += self.energy(self.after[pair]) - self.energy(self.before[pair])
        return TWO * total

    @cached_property
    def pull_sums(self) -> tuple[list[ivmpf], list[ivmpf]]:
        """Σ_{j≠i} h(θ_ij) and Σ_{j≠i} h(θ̂_ij), for each i."""
        ends = ({pair: self.pull(half) for pair, half in end.items()} for end in (self.before, self.after))
        before, after = map(self.row_sums, ends)
        return before, after

    def row_sums(self, of_pair: dict[tuple[int, int], ivmpf]) -> list[ivmpf]:
        """Σ_{j≠i} of a quantity of pairs, for each i."""
        return [sum((p for pair, p in of_pair.items() if i in pair), ZERO) for i in range(self.n)]

    @cached_property
    def size2(self) -> Fraction:
        """‖ΔW‖_F²."""
        return sum((dot(z, z) for z in self.delta), Fraction(0))

    @property
    def lead(self) -> float:
        """s, or 1 at s = 0."""
        return self.s or 1

    def energy(self, half: HalfAngle) -> ivmpf:
        """Return D^(−s), or −log D at s = 0."""
        D = TWO * half[0]
        return -IV.log(D) if self.s == 0 else D ** (-self.s)

    def pull(self, half: HalfAngle) -> ivmpf:
        """Return h = D^(−s−1) cos(θ/2)."""
        return (TWO * half[0]) ** (-self.s - 1) * half[1]

    def bend(self, half: HalfAngle, constant: float = 1, quadratic: float | None = None) -> ivmpf:
        """Return s D^(−s−2) (constant + quadratic cos²(θ/2)): q of B9 by default, with s + 2."""
        weight = self.s + 2 if quadratic is None else quadratic
        return self.lead * (TWO * half[0]) ** (-self.s - 2) * (constant + weight * half[1] ** 2)

    def closed(self, pair: tuple[int, int], turned: Sequence[int]) -> HalfAngle | None:
        """(sin, cos) of (θ_ij − Σ_{k in turned} δ_k)/2, or None where the angle is not certainly positive."""
        sine, cosine = self.before[pair]
        for k in turned:
            back, along = self.half_turns[k]
            sine, cosine = sine * along - cosine * back, cosine * along + sine * back
        return (sine, cosine) if sine.a > 0 else None  # half the angle lies in (−π, π/2]

    @cached_property
    def first_order(self) -> ivmpf:
        """Σ_i δ_i⟨G_i, τ_i⟩ of claim B9."""
        total = ZERO
        for i, j in permutations(range(self.n), 2):
            across = _tangent(self.W[i], self.delta[i])  # along τ_i, exact
            product = dot(across, self.W[j])
            if product:
                D = TWO * self.before[min(i, j), max(i, j)][0]
                cosine = interval(product) / root(dot(across, across) * dot(self.W[j], self.W[j]))
                total += self.turns[i] * D ** (-self.s - 2) * cosine
        return TWO * self.lead * total

    @cached_property
    def gradient_norm(self) -> ivmpf:
        """K_grad = ‖∇HE(W)‖_F."""
        squares = (self._row_square(i) / interval(dot(w, w)) for i, w in enumerate(self.W))
        return TWO * self.lead * IV.sqrt(sum(squares, ZERO))

    def _row_square(self, i: int) -> ivmpf:
        """‖Σ_{j≠i} (û_j − c_ij û_i) D_ij^(−s−2)‖², coordinate by coordinate."""
        total = [ZERO] * len(self.W[i])
        for j in range(self.n):
            if j != i:
                across = _tangent(self.W[i], self.W[j])
                D = TWO * self.before[min(i, j), max(i, j)][0]
                scale = D ** (-self.s - 2) / root(dot(self.W[j], self.W[j]))
                total = [t + scale * interval(x) for t, x in zip(total, across, strict=True)]
        return sum((t**2 for t in total), ZERO)


Formula: TypeAlias = Callable[[Geometry], Sides | None]


def crosscheck(
    formula: Formula, cases: int = 1000, seed: int = 0, *, draw: Callable[[random.Random], Case] = draw_case
) -> Tally:
    """Put an inequality to random exact cases.

    Parameters
    ----------
    formula
        Gives the (left, right) whose left ≤ right is claimed, or None where the claim says nothing.
    cases
        How many.
    seed
        Same seed, same cases.
    draw
        Draws one case.
    """
    dice = random.Random(seed)
    verdicts = [_verdict(formula, Geometry(draw(dice))) for _ in range(cases)]
    names = ("holds", "not_applicable", "violated", "undecided")
    return Tally(**{name: verdicts.count(name) for name in names})


def _verdict(formula: Formula, geometry: Geometry) -> str:
    sides = None if geometry.degenerate else formula(geometry)
    if sides is None:
        return "not_applicable"
    if any(left.a > right.b for left, right in sides):
        return "violated"
    return "holds" if all(left.b <= right.a for left, right in sides) else "undecided"


def dot(u: Row, v: Row) -> Fraction:
    """Return u·v."""
    return sum((x * y for x, y in zip(u, v, strict=True)), Fraction(0))


def interval(x: Fraction) -> ivmpf:
    """Return an interval that contains a fraction."""
    return IV.mpf(x.numerator) / x.denominator


def root(x: Fraction) -> ivmpf:
    """Return an interval that contains the square root of a fraction."""
    return IV.sqrt(interval(x))


def half_angle(u: Row, v: Row) -> HalfAngle:
    """Return (sin, cos) of half the angle, without cancellation: 1 − c² is an exact fraction."""
    lengths, g = dot(u, u) * dot(v, v), dot(u, v)
    c = interval(abs(g)) / root(lengths)
    large = (ONE + c) / TWO
    small = interval(1 - g * g / lengths) / ((ONE + c) * TWO)
    sine2, cosine2 = (small, large) if g >= 0 else (large, small)
    return IV.sqrt(sine2), IV.sqrt(cosine2)


def angle(half: HalfAngle) -> ivmpf:
    """Return the angle whose half has these sine and cosine."""
    return TWO * IV.atan2(*half)


def segment_distance_squared(w: Row, delta: Row) -> Fraction:
    """Return m² = min over t in [0, 1] of ‖w + t Δw‖²."""
    length2 = dot(delta, delta)
    t = min(max(-dot(w, delta) / length2, Fraction(0)), Fraction(1)) if length2 else Fraction(0)
    nearest = tuple(x + t * y for x, y in zip(w, delta, strict=True))
    return dot(nearest, nearest)


def _sum(u: Row, v: Row) -> Row:
    return tuple(x + y for x, y in zip(u, v, strict=True))


def _tangent(w: Row, z: Row) -> Row:
    """Return the part of z that is orthogonal to w."""
    along = dot(w, z) / dot(w, w)
    return tuple(y - along * x for x, y in zip(w, z, strict=True))


def _aligned(u: Row, v: Row) -> bool:
    g = dot(u, v)
    return g > 0 and g * g == dot(u, u) * dot(v, v)


def _cosine_key(A: Sequence[Row], pair: tuple[int, int]) -> tuple[bool, Fraction]:
    """Return what determines c_ij: its sign and its square."""
    u, v = A[pair[0]], A[pair[1]]
    g = dot(u, v)
    return g >= 0, g * g / (dot(u, u) * dot(v, v))
