"""What the properties are asked about: neurons of every kind, with s, scales, close and opposite pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.claims.properties import literal
from sphere_theory.claims.properties.base import ROUNDING
from sphere_theory.motion import EnergyChange, energy_change
from sphere_theory.projection import SparseProjector

Draw = Any  # Hypothesis' own DrawFn cannot be checked at run time

EXPONENTS = st.sampled_from([1.0, 0.0, 0.5, 2.0, 3.5, 6.0])

STRUCTURES = ("ordinary", "near-coincident", "clustered", "rank-deficient", "simplex", "conv1d")

# A simplex has no gradient, and the rounding of one lies anywhere.
MOVING = ("ordinary", "near-coincident", "clustered", "rank-deficient")

# Two neurons, at any angle but π.
TWO = ("ordinary", "near-coincident")

# Close pairs, and opposite ones.
ANGLES = st.sampled_from([1e-1, 1e-3, 1e-6, np.pi - 1e-3, np.pi - 1e-6])

# Rows of one scale, and rows of scales from 1e-8 to 1e8.
_DECADES = st.sampled_from([0, 8])

SIZES = st.sampled_from([1e-12, 1e-8, 1e-4, 1e-2, 1e-1, 1.0, 10.0])

# Shares of their angle by which each of two neurons turns towards the other; at ½ they would meet.
_CLOSING = st.sampled_from([0.3, 0.49, 0.4, 0.1])

# Most that rounding may leave of a bound: beyond it neurons are coincident, or all of them on one line, to
# what directions of 1e-16 tell. Far below the 1e-2 by which a constant may be wrong.
_SLACK = 1e-6


def weights(
    n: Any = st.integers(2, 8), d: Any = st.integers(2, 6), structures: tuple[str, ...] = STRUCTURES
) -> st.SearchStrategy[np.ndarray]:
    """Weights W of all structures, with close and opposite pairs, of one scale and of many."""
    return strategies.neuron_matrices(structures=structures, n=n, d=d, angle=ANGLES, decades=_DECADES)


def with_exponent(drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, float]]:
    """Pairs of what is drawn and an exponent s."""
    return st.tuples(drawn, EXPONENTS)


@dataclass(frozen=True, eq=False)
class Edited:
    """Weights, an edit and an exponent; what several margins need of them is computed once.

    Attributes
    ----------
    W, delta
        (n, d).
    s
        Exponent.
    """

    W: np.ndarray
    delta: np.ndarray
    s: float

    @cached_property
    def after(self) -> np.ndarray:
        """Ŵ."""
        return self.W + self.delta

    @cached_property
    def size(self) -> float:
        """‖ΔW‖_F."""
        return float(np.linalg.norm(self.delta))

    @cached_property
    def energies(self) -> EnergyChange:
        """HE before and after, and ΔHE to full relative precision."""
        return energy_change(self.W, self.delta, s=self.s)

    @property
    def change(self) -> float:
        """ΔHE."""
        return self.energies.change

    @cached_property
    def turns(self) -> np.ndarray:
        """δ_i."""
        return literal.turns(self.W, self.delta)

    @cached_property
    def before_angles(self) -> np.ndarray:
        """θ_ij."""
        return literal.angles(self.W)

    @cached_property
    def after_angles(self) -> np.ndarray:
        """θ̂_ij."""
        return literal.angles(self.after)

    @cached_property
    def slack(self) -> float:
        """Share of a bound Σ δ_i Σ h, or of ΔHE, that the rounding of directions may make; at either end."""
        return ROUNDING + literal.pull_share(self.s, self.before_angles, self.after_angles)

    @cached_property
    def gaps(self) -> np.ndarray:
        """φ_ij = θ_ij − δ_i − δ_j; π on the diagonal."""
        gaps = self.before_angles - self.turns[:, None] - self.turns
        np.fill_diagonal(gaps, np.pi)
        return gaps


def resolved(example: Edited) -> Edited:
    """The example, unless an edit leaves a zero row, or neurons that rounding does not tell apart."""
    assume(literal.norms(example.after).min() > 0)
    assume(min(literal.chord(t).min() for t in (example.before_angles, example.after_angles)) > 0)
    assume(example.slack < _SLACK)
    return example


# Made once each: Hypothesis looks through every strategy object that it draws from.
ANY = weights()
# Three at least: the forces between two antipodal neurons vanish, and rounding is no measure of zero.
SEVERAL = weights(n=st.integers(3, 8))
MANY_MOVING = weights(n=st.integers(3, 8), structures=MOVING)
PAIRS = weights(n=st.just(2), structures=TWO)
OPEN = weights(n=st.just(2), structures=("ordinary",))
_FEW = weights(n=st.integers(2, 3), structures=TWO)
_OPPOSITE = strategies.neuron_matrices(
    n=2,
    d=st.integers(2, 4),
    structures=("near-coincident",),
    angle=st.sampled_from([np.pi - 1e-3, np.pi - 1e-6]),
)
TINY = st.sampled_from([1e-8, 1e-12, 1e-4, 1e-2])
SCALES = st.integers(-8, 8).map(lambda k: 10.0**k)


@st.composite
def pairs(draw: Draw) -> Edited:
    """Small edits of two neurons, along ±∇HE or across: where the bounds are tight."""
    W = draw(PAIRS)
    theta = literal.angles(W)[0, 1]
    # Of the shorter neuron, and of the angle at which the two would meet or be opposite.
    share = draw(TINY) * min(theta, np.pi - theta)
    size = share * float(literal.norms(W).min()) / length(W)
    ways = ("ascent", "descent", "ascent", "tangent")
    return resolved(Edited(W, draw(strategies.edits(W, directions=ways, size=size)), draw(EXPONENTS)))


@st.composite
def uneven(draw: Draw) -> Edited:
    """Two neurons, one of them far shorter, which goes some way along ±∇HE: tight in K*, and not small."""
    W = literal.units(draw(OPEN)) * np.array([[1.0], [1e6]]) * draw(SCALES)
    size = draw(st.sampled_from([0.3, 1.0, 0.1])) * float(literal.norms(W).min()) / length(W)
    delta = draw(strategies.edits(W, directions=("ascent", "descent"), size=size))
    return resolved(Edited(W, delta, draw(EXPONENTS)))


@st.composite
def turning(
    draw: Draw, of: st.SearchStrategy[np.ndarray], share: st.SearchStrategy[float] = _CLOSING
) -> Edited:
    """Two of the neurons turn towards each other by a share of their angle each."""
    W = draw(of)
    return resolved(Edited(W, draw(strategies.turns(W, share=share)), draw(EXPONENTS)))


@st.composite
def opposite(draw: Draw, share: st.SearchStrategy[float]) -> Edited:
    """Two neurons of one length, 1e-3 or 1e-6 short of opposite, that turn towards each other."""
    # Where the pull is next to nothing, and grows by as much as the bounds of second order say.
    W = draw(SCALES) * literal.units(draw(_OPPOSITE))
    delta = draw(strategies.turns(W, share=share, lengths=("shorter", "longer")))
    return resolved(Edited(W, delta, draw(EXPONENTS)))


@st.composite
def edits(draw: Draw, *, by_row: bool = False) -> Edited:
    """Edits of one size for the whole matrix, so that short neurons move more; or of one for each neuron."""
    W = draw(ANY)
    lengths = literal.norms(W)[:, None] if by_row else np.ones((len(W), 1))
    delta = draw(strategies.edits(W / lengths, size=SIZES)) * lengths
    return resolved(Edited(W, delta, draw(EXPONENTS)))


@st.composite
def reversals(draw: Draw) -> Edited:
    """Neurons that go through the origin."""
    W = draw(ANY)
    return resolved(Edited(W, draw(strategies.reversals(W)), draw(EXPONENTS)))


KINDS: dict[str, st.SearchStrategy[Edited]] = {
    "pair": pairs(),
    "uneven": uneven(),
    "closing": turning(_FEW),
    "meeting": turning(_OPPOSITE, st.sampled_from([0.499, 0.497])),
    "turn": turning(ANY, st.sampled_from([0.3, 1e-2, 1e-4, 1e-6, 0.49, -0.3])),
    "edit": edits(),
    "rows": edits(by_row=True),
    "reversal": reversals(),
}

# The tight ones, and the extreme ones, more often than the others.
_EVERY = (
    "pair",
    "uneven",
    "closing",
    "reversal",
    "pair",
    "turn",
    "edit",
    "uneven",
    "pair",
    "rows",
    "reversal",
)


def edited(*kinds: str) -> st.SearchStrategy[Edited]:
    """Edits of some kinds, of relative size 1e-12 to 10; a kind that stands twice comes twice as often."""
    return st.sampled_from(kinds or _EVERY).flatmap(KINDS.__getitem__)


@dataclass(frozen=True, eq=False)
class Projected:
    """Weights, or an edit, and a projector.

    Attributes
    ----------
    W
        (n, d).
    projector
        P = I − αUUᵀ.
    """

    W: np.ndarray
    projector: SparseProjector

    @property
    def alpha(self) -> float:
        """α."""
        return self.projector.alpha

    @property
    def U(self) -> np.ndarray:
        """U, (d, r)."""
        basis: np.ndarray = self.projector.space.basis
        return basis

    @property
    def r(self) -> int:
        """The number of columns of U."""
        return self.projector.space.rank

    @property
    def d(self) -> int:
        """The number of rows of U."""
        return len(self.U)


@st.composite
def projected(draw: Draw, alpha: Any = st.sampled_from([0.5, 0.8, 1.0, 0.0, 2.0])) -> Projected:
    """Weights of every kind, and a projector on a random subspace."""
    W = draw(ANY)
    return Projected(W, draw(strategies.projectors(W.shape[1], alpha=alpha)))


def length(matrix: Any) -> float:
    """Frobenius norm."""
    return float(np.linalg.norm(matrix))
