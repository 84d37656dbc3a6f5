"""B1, B3, B4 and B7: Theorem 1 as the paper has it, with the constants that it can mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.bound import bound_constant
from sphere_theory.claims.properties import literal
from sphere_theory.claims.properties.base import Mutant, Property, at_most, equality
from sphere_theory.claims.properties.examples import (
    EXPONENTS,
    MOVING,
    PAIRS,
    SCALES,
    SEVERAL,
    TWO,
    Draw,
    Edited,
    length,
    resolved,
    weights,
    with_exponent,
)
from sphere_theory.energy import energy_gradient
from sphere_theory.motion import energy_change


def _homogeneity(x: Edited, power: float, scale: float = 3.0) -> float:
    """(ΔHE/K)² of c W and c ΔW is c^power times that of W and ΔW."""
    larger = Edited(scale * x.W, scale * x.delta, x.s)
    before, after = ((e.change / bound_constant(e.W, kind="triangle", s=x.s)) ** 2 for e in (x, larger))
    tolerance = 4 * literal.rounding(x.s, x.W, x.after)
    # What of ΔHE cancels between pairs is rounded as the pulls are.
    unit = scale**power * (_pulls(x) / bound_constant(x.W, kind="triangle", s=x.s)) ** 2
    return equality(after, scale**power * before, tolerance, unit=unit)


def _pulls(x: Edited) -> float:
    """Σ_i 2s δ_i Σ_j h(θ_ij), what ΔHE would be to first order if nothing cancelled."""
    return 2 * literal.factor(x.s) * float(x.turns @ literal.row_sums(literal.pull(x.before_angles, x.s)))


def _fails_when_scaled(x: Edited) -> float:
    """‖ΔV‖_F ≥ (ΔHE/K)² with the plain norm: refuted by a large enough c, and by how much."""
    needed = (x.change / bound_constant(x.W, kind="triangle", s=x.s)) ** 2
    c = 2 * x.size / needed
    larger = Edited(c * x.W, c * x.delta, x.s)
    K = bound_constant(larger.W, kind="triangle", s=x.s)
    return (larger.change / K) ** 2 / larger.size - 1.5


def _homogeneous(x: Edited) -> float:
    return min(_homogeneity(x, 2), _fails_when_scaled(x))


_MOVED = weights(structures=MOVING)


@st.composite
def _moving(draw: Draw) -> Edited:
    """Small edits that change HE at first order."""
    W = draw(_MOVED)
    sizes = st.sampled_from([1e-4, 1e-8, 1e-2])
    x = resolved(
        Edited(
            W,
            draw(strategies.edits(W, directions=("random", "ascent", "descent"), size=sizes)),
            draw(EXPONENTS),
        )
    )
    assume(abs(x.change) > 1e-6 * _pulls(x))
    return x


# Share of the smallest angle by which an edit along the gradient turns a neuron at most: small enough.
SMALL = 1e-4

# Four neurons whose energy is concave along its own gradient, for s up to 2.
_CONCAVE = np.array([[3.0, -1, -3], [-2, -1, 0], [1, 0, 0], [3, 0, 3]])


@dataclass(frozen=True, eq=False)
class _Uphill:
    """Weights and an exponent, looked at along ±∇HE."""

    W: np.ndarray
    s: float

    @cached_property
    def slope(self) -> np.ndarray:
        """∇HE, (n, d)."""
        return energy_gradient(self.W, s=self.s)

    @cached_property
    def step(self) -> float:
        """t for which t∇HE turns neurons by the smallest angle, to first order."""
        turns = literal.norms(self.slope) / literal.norms(self.W)
        return float(literal.angles(self.W).min() / turns.max())

    @cached_property
    def bend(self) -> float:
        """⟨∇HE, H∇HE⟩/‖∇HE‖², H the second derivative, from gradients on both sides."""
        t = SMALL * self.step
        ends = (energy_gradient(self.W + way * t * self.slope, s=self.s) for way in (1, -1))
        up, down = (float(np.sum(end * self.slope)) for end in ends)
        return (up - down) / (2 * t * length(self.slope) ** 2)

    def excess(self, way: float, *, size: float = SMALL, kind: str = "gradient") -> float:
        """|ΔHE|/(K‖ΔW‖) − 1 for ΔW along ±∇HE, with a share of the step."""
        delta = way * size * self.step * self.slope
        K = bound_constant(self.W, kind=kind, s=self.s)
        return abs(energy_change(self.W, delta, s=self.s).change) / (K * length(delta)) - 1

    def across(self) -> float:
        """The same for an edit that is not along it: half of the rows of ∇HE."""
        delta = SMALL * self.step * self.slope * (np.arange(len(self.W)) % 2)[:, None]
        K = length(self.slope)
        return abs(energy_change(self.W, delta, s=self.s).change) / (K * length(delta)) - 1


def _curved(x: _Uphill) -> bool:
    """Whether the second order tells: more of it than of the third, some (s + 3)² of the square of a turn."""
    third = (x.s + 3) ** 2 * SMALL**2 * bound_constant(x.W, kind="triangle", s=x.s) / length(x.slope)
    return abs(x.bend) * SMALL * x.step > 100 * third


_STARTS = weights(n=st.integers(3, 8), structures=("ordinary", "clustered")) | SCALES.map(
    lambda c: c * _CONCAVE
)
_UPHILL = with_exponent(_STARTS).map(lambda drawn: _Uphill(*drawn)).filter(_curved)


def _fails_one_way(x: _Uphill, **changed: Any) -> float:
    """K_grad fails along +∇HE where HE is convex that way, along −∇HE where it is concave; not both ways."""
    way = math.copysign(1.0, x.bend)
    return min(x.excess(way, **changed), -x.excess(-way, **changed))


Drawn = tuple[np.ndarray, float]


def _rounding(x: Drawn) -> float:
    W, s = x
    return literal.rounding(s, W) + literal.pull_share(s, literal.angles(W))


def _triangle(x: Drawn, K: np.ndarray) -> float:
    """‖∇HE‖ ≤ K, the norm of what each neuron has of it."""
    W, s = x
    return at_most(bound_constant(W, kind="gradient", s=s), length(K), _rounding(x))


def _parts(x: Drawn, *, power: float = 1.0, cosine: bool = True, root: bool = False) -> np.ndarray:
    """Each neuron's part of K_tri with D^(−s−power), √(1 − D²/4) or D/2, and a sum or a root of squares."""
    W, s = x
    theta = literal.angles(W)
    pulls = literal.chord(theta) ** (-s - power) * (np.cos(theta / 2) if cosine else np.sin(theta / 2))
    sums = np.sqrt(literal.row_sums(pulls**2)) if root else literal.row_sums(pulls)
    return 2 * literal.factor(s) * sums / literal.norms(W)


def _triangle_holds(x: Drawn) -> float:
    """K_tri is what its formula says, and no less than ‖∇HE‖."""
    W, s = x
    K = bound_constant(W, kind="triangle", s=s)
    return min(equality(K, length(_parts(x)), _rounding(x)), _triangle(x, np.array([K])))


def _longest(x: Drawn) -> np.ndarray:
    norms = literal.norms(x[0])
    return _parts(x) * norms / norms.max()


@dataclass(frozen=True, eq=False)
class _Frame:
    """Weights, an exponent, and an orthonormal frame of the space of edits, (nd, n, d)."""

    W: np.ndarray
    s: float
    frame: np.ndarray

    @cached_property
    def tightness(self) -> np.ndarray:
        """(ΔHE/K)²/‖ΔV‖² of a tiny edit along each direction of the frame."""
        K = bound_constant(self.W, kind="gradient", s=self.s)
        theta = literal.angles(self.W)[~np.eye(len(self.W), dtype=bool)]
        size = TINY * np.minimum(theta, np.pi - theta).min() * literal.norms(self.W).min()
        changes = np.array([energy_change(self.W, size * way, s=self.s).change for way in self.frame])
        squared: np.ndarray = (changes / (size * K)) ** 2
        return squared


# Few entries: each is a direction along which HE is measured.
_SMALLEST = weights(n=st.just(2), d=st.integers(2, 3), structures=TWO) | weights(
    n=st.just(3), d=st.just(2), structures=TWO
)


@st.composite
def _frame(draw: Draw) -> _Frame:
    W, s = draw(with_exponent(_SMALLEST))
    n, d = W.shape
    return _Frame(W, s, draw(strategies.inputs(n * d, m=n * d)).reshape(-1, n, d))


# A step's share of the smallest angle, and what the second derivative leaves of the slope: some s + 3 times
# that; and the rounding of a pair at 1e-6.
TINY = 1e-10
_AVERAGE = 1e-7


def _mean(x: _Frame, expected: float, power: float = 1.0) -> float:
    return equality(float(np.mean(x.tightness**power)), expected, _AVERAGE)


BOUND: dict[str, Property] = {
    "B1": Property(
        "(ΔHE/K)² scales as c² under W, ΔW ↦ cW, cΔW: ‖ΔV‖_F ≥ (ΔHE/K)² fails for a large c",
        _moving(),
        _homogeneous,
        (
            Mutant("as c, like ‖ΔV‖", lambda x: _homogeneity(x, 1)),
            Mutant("not at all, like ΔHE", lambda x: _homogeneity(x, 0)),
            Mutant("as c⁴: K like c^(−2)", lambda x: _homogeneity(x, 4)),
            Mutant("as c^2.01", lambda x: _homogeneity(x, 2.01)),
        ),
    ),
    "B3": Property(
        "K_grad fails along +∇HE for small edits where HE is convex that way, along −∇HE where it is concave",
        _UPHILL,
        _fails_one_way,
        (
            Mutant("along +∇HE whatever the curvature", lambda x: x.excess(1)),
            Mutant("along −∇HE too", lambda x: min(x.excess(1), x.excess(-1))),
            Mutant("for an edit of any size", lambda x: _fails_one_way(x, size=1e4)),
            Mutant("by one percent at least", lambda x: _fails_one_way(x) - 0.01),
            Mutant("and K_tri as well", lambda x: _fails_one_way(x, kind="triangle")),
            Mutant("along a part of ∇HE as well", lambda x: x.across()),
            Mutant("nowhere: K_grad bounds small edits", lambda x: -_fails_one_way(x)),
        ),
    ),
    "B4": Property(
        "K_tri ≥ ‖∇HE‖",
        with_exponent(PAIRS | SEVERAL),
        _triangle_holds,
        (
            Mutant("s for 2s: unordered pairs", lambda x: _triangle(x, _parts(x) / 2)),
            Mutant("D^(−s) for D^(−s−1)", lambda x: _triangle(x, _parts(x, power=0.0))),
            Mutant("D/2 for √(1 − D²/4)", lambda x: _triangle(x, _parts(x, cosine=False))),
            Mutant("a root of squares for the sum over j", lambda x: _triangle(x, _parts(x, root=True))),
            Mutant("the longest row for ‖w_i‖", lambda x: _triangle(x, _longest(x))),
            Mutant("one percent less", lambda x: _triangle(x, 0.99 * _parts(x))),
        ),
    ),
    "B7": Property(
        "(ΔHE/K_grad)²/‖ΔV‖² of tiny edits is 1/(nd) on average over directions",
        _frame(),
        lambda x: _mean(x, 1 / x.W.size),
        (
            Mutant("1/n", lambda x: _mean(x, 1 / len(x.W))),
            Mutant("1/d", lambda x: _mean(x, 1 / x.W.shape[1])),
            Mutant("1/(n(d − 1)): tangent edits", lambda x: _mean(x, 1 / (x.W.size - len(x.W)))),
            Mutant("|ΔHE|/(K‖ΔV‖) is 1/√(nd)", lambda x: _mean(x, x.W.size**-0.5, 0.5)),
            Mutant("one percent more", lambda x: _mean(x, 1.01 / x.W.size)),
        ),
    ),
}
