"""B1, B3, B4 and B7: Theorem 1 as the paper has it, with the constants that it can mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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


def _tilted(x: Edited, way: int, *, size: float = 1e-4, kind: str = "gradient") -> float:
    """|ΔHE|/(K‖ΔW‖) for ΔW along ±∇HE, turning no neuron by more than a share of the smallest angle."""
    slope = energy_gradient(x.W, s=x.s)
    largest = (literal.norms(slope) / literal.norms(x.W)).max()
    delta = way * size * x.before_angles.min() / largest * slope
    K = bound_constant(x.W, kind=kind, s=x.s)
    return abs(energy_change(x.W, delta, s=x.s).change) / (K * length(delta))


def _not_uphill(x: Edited) -> float:
    """The same for the random edit that the example brings."""
    return abs(x.change) / (bound_constant(x.W, kind="gradient", s=x.s) * x.size) - 1


_CROWDS = strategies.neuron_matrices(structures=("ordinary",), n=st.integers(8, 24), d=st.integers(4, 12))


@st.composite
def _many(draw: Draw) -> Edited:
    """Random neurons of one length or so, enough for HE to be convex along its gradient; and an edit."""
    W = draw(SCALES) * draw(_CROWDS)
    return Edited(W, draw(strategies.edits(W, directions=("random",), size=1e-4)), draw(EXPONENTS))


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
class Frame:
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
def _frame(draw: Draw) -> Frame:
    W, s = draw(with_exponent(_SMALLEST))
    n, d = W.shape
    return Frame(W, s, draw(strategies.inputs(n * d, m=n * d)).reshape(-1, n, d))


# A step's share of the smallest angle, and what the second derivative leaves of the slope: some s + 3 times
# that; and the rounding of a pair at 1e-6.
TINY = 1e-10
AVERAGE = 1e-7


def _mean(x: Frame, expected: float, power: float = 1.0) -> float:
    return equality(float(np.mean(x.tightness**power)), expected, AVERAGE)


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
        "K_grad fails along +∇HE for small edits of random neurons",
        _many(),
        lambda x: _tilted(x, 1) - 1,
        (
            Mutant("along −∇HE too", lambda x: _tilted(x, -1) - 1),
            Mutant("for an edit of any size", lambda x: _tilted(x, 1, size=1e4) - 1),
            Mutant("by one percent at least", lambda x: _tilted(x, 1) - 1.01),
            Mutant("and K_tri as well", lambda x: _tilted(x, 1, kind="triangle") - 1),
            Mutant("along a random direction too", _not_uphill),
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
