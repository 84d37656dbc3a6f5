"""Random exact cases for the interval cross-checks: small rationals, and what an adversary would try.

Edits run from 10⁻⁶ to 10⁶ times the weights, row norms differ by up to 10¹², neurons start or end almost
coincident or almost opposite, rows pass the origin closely, and pairs of neurons move along the gradient
of their energy, where first-order bounds are nearly reached.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import NamedTuple, TypeAlias

Row: TypeAlias = tuple[Fraction, ...]
EXPONENTS = (0, 0.5, 1, 2, 3.5, 6)
SIZES = tuple(Fraction(10) ** k for k in (-6, -3, -2, -1, -1, 0, 0, 1, 6))


class Case(NamedTuple):
    """Exact weights and edit, and the exponent of the energy.

    Parameters
    ----------
    W, delta
        Rows of W and ΔW.
    s
        Exponent, s ≥ 0, a binary fraction.
    """

    W: list[Row]
    delta: list[Row]
    s: float


def draw_case(dice: random.Random) -> Case:
    """Draw a case of any kind.

    Parameters
    ----------
    dice
        Source of chance.
    """
    kinds = (_anywhere, _anywhere, _rows_turn, _pair_ascends, _pair_ascends, _pair_turns, _pair_meets)
    kind = dice.choice(kinds)
    W, delta = kind(dice)
    return Case(W, delta, dice.choice(EXPONENTS))


def draw_small(dice: random.Random) -> Case:
    """Draw a case of moderate size, of the kind that the certificate of B5 is for.

    Parameters
    ----------
    dice
        Source of chance.
    """
    n, d = dice.randint(2, 5), dice.randint(2, 4)
    shrink = dice.choice((2, 8, 32, 128))  # from edits that the certificate refuses to tiny ones
    W = [_row(dice, d) for _ in range(n)]
    delta = [_row(dice, d, shrink if dice.random() < 0.8 else shrink * 10**6) for _ in range(n)]
    delta[dice.randrange(n)] = (Fraction(0),) * d if dice.random() < 0.2 else _row(dice, d, shrink)
    return Case(W, delta, dice.choice((0, 1, 2, 3)))


def _row(dice: random.Random, d: int, shrink: int = 1) -> Row:
    """Draw a row that is not zero."""
    while True:
        row = tuple(Fraction(dice.randint(-9, 9), shrink) for _ in range(d))
        if any(row):
            return row


def _times(scale: Fraction, row: Row) -> Row:
    return tuple(scale * x for x in row)


def _plus(u: Row, v: Row) -> Row:
    return tuple(x + y for x, y in zip(u, v, strict=True))


def _length(dice: random.Random) -> Fraction:
    """Draw a factor for a row's length, most often 1."""
    return Fraction(10) ** dice.choice((0, 0, 0, 0, 1, -3, 6))


def _weights(dice: random.Random) -> list[Row]:
    """Draw neurons of any length, the first two sometimes almost coincident or almost opposite."""
    n, d = dice.choice((2, 2, 3, 4)), dice.choice((2, 2, 3, 4))
    W = [_row(dice, d) for _ in range(n)]
    if dice.random() < 0.25:
        off = Fraction(1, 10 ** dice.choice((1, 3, 6)))
        W[1] = _plus(_times(Fraction(dice.choice((1, -1))), W[0]), _times(off, _row(dice, d)))
    return [_times(_length(dice), w) for w in W]


def _anywhere(dice: random.Random) -> tuple[list[Row], list[Row]]:
    """Add rows of one relative size."""
    W, size = _weights(dice), dice.choice(SIZES)
    reach = [size * max(map(abs, w)) / 9 for w in W]
    delta = [_times(r, _row(dice, len(w))) for r, w in zip(reach, W, strict=True)]
    if dice.random() < 0.2:
        delta[-1] = (Fraction(0),) * len(W[0])
    return W, delta


def _rows_turn(dice: random.Random) -> tuple[list[Row], list[Row]]:
    """Send each row close to another one, to its opposite or to any place, with a new length."""
    W = _weights(dice)
    ends = []
    for i, w in enumerate(W):
        other = W[dice.randrange(len(W))]
        target = dice.choice((w, other, _times(Fraction(-1), other), _row(dice, len(w))))
        off = Fraction(1, 10 ** dice.choice((1, 3, 6))) * max(map(abs, target)) / 9
        ends.append(_times(_length(dice), _plus(target, _times(off, _row(dice, len(w))))))
        if dice.random() < 0.3:
            ends[i] = w
    return W, [_plus(end, _times(Fraction(-1), w)) for end, w in zip(ends, W, strict=True)]


def _pair_ascends(dice: random.Random) -> tuple[list[Row], list[Row]]:
    """Move two neurons of the plane along ±∇HE, whose rows are quarter turns of w_i/‖w_i‖²."""
    x, y = (_times(_length(dice), _row(dice, 2)) for _ in range(2))
    size = dice.choice(SIZES[:7]) * dice.choice((1, -1))
    steps = (size * min(_square(x), _square(y)) / _square(w) for w in (x, y))
    return [x, y], [_times(t * sign, _quarter(w)) for t, sign, w in zip(steps, (1, -1), (x, y), strict=True)]


def _pair_turns(dice: random.Random) -> tuple[list[Row], list[Row]]:
    """Turn two neurons of the plane, or one, this way or that."""
    t = Fraction(dice.randint(1, 9), dice.choice((10, 40, 10**3, 10**6)))
    signs = dice.choice(((1, -1), (-1, 1), (1, 1), (1, 0)))
    return _turned([_row(dice, 2), _row(dice, 2)], [sign * t for sign in signs])


def _pair_meets(dice: random.Random) -> tuple[list[Row], list[Row]]:
    """Turn two neurons of the plane towards the direction half-way between, and stop just before it."""
    w, t = _row(dice, 2), Fraction(1, dice.choice((2, 3, 3, 4, 30)))
    short = t * (1 - Fraction(1, dice.choice((5, 20, 100, 1000))))
    other = _times(_length(dice), _rotated(_rotated(w, t), t))
    return _turned([w, other], [short, -short])


def _turned(W: list[Row], tangents: list[Fraction]) -> tuple[list[Row], list[Row]]:
    """Turn rows so that each edit is at a right angle to where it ends: none as long turns further."""
    ends = [_times((1 - t * t) / (1 + t * t), _rotated(w, t)) for w, t in zip(W, tangents, strict=True)]
    return W, [_plus(end, _times(Fraction(-1), w)) for end, w in zip(ends, W, strict=True)]


def _rotated(w: Row, t: Fraction) -> Row:
    """Rotate by the angle whose half has tangent t."""
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return _plus(_times(cosine, w), _times(sine, _quarter(w)))


def _quarter(w: Row) -> Row:
    return (-w[1], w[0])


def _square(w: Row) -> Fraction:
    return sum((x * x for x in w), Fraction(0))
