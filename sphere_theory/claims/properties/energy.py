"""E1 to E3 and E7: the energy, its gradient, and what it does not see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.claims.properties import literal
from sphere_theory.claims.properties.base import Mutant, Property, at_most, equality
from sphere_theory.claims.properties.examples import (
    EXPONENTS,
    SEVERAL,
    Draw,
    Edited,
    length,
    with_exponent,
)
from sphere_theory.energy import energy, energy_gradient
from sphere_theory.motion import energy_change


@dataclass(frozen=True, eq=False)
class Turned:
    """Weights with a right and a left rotation, scales, an order and an exponent."""

    W: np.ndarray
    right: np.ndarray
    left: np.ndarray
    scale: np.ndarray
    order: np.ndarray
    s: float

    def still(self, after: np.ndarray, before: np.ndarray | None = None) -> float:
        """Margin of HE(after) = HE(before)."""
        before = self.W if before is None else before
        energies = energy(after, s=self.s), energy(before, s=self.s)
        # A sum of logarithms may cancel: n(n − 1) is what it is measured by, as in `energy`.
        unit = len(before) * (len(before) - 1.0) if self.s == 0 else 0.0
        return equality(*energies, literal.rounding(self.s, before, after), unit=unit)


@st.composite
def turned(draw: Draw, of: st.SearchStrategy[np.ndarray] = SEVERAL) -> Turned:
    """Weights with two rotations."""
    W = draw(of)
    n, d = W.shape
    right, left = (draw(strategies.inputs(k, m=k)) for k in (d, n))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** rng.uniform(-8, 8, size=(n, 1))
    return Turned(W, right, left, scale, rng.permutation(n), draw(EXPONENTS))


def _one_negative(x: Turned) -> np.ndarray:
    return np.r_[-x.W[:1], x.W[1:]]


def _sheared(x: Turned) -> np.ndarray:
    """W R with the first column 1% longer than a rotation makes it."""
    after = x.W @ x.right
    after[:, 0] *= 1.01
    return after


def _moved_together(x: Turned) -> np.ndarray:
    return x.W + x.W.mean(axis=0)


@dataclass(frozen=True, eq=False)
class Slope:
    """Weights, an exponent, and a step of which each neuron turns by a share of the smallest angle."""

    W: np.ndarray
    s: float
    step: np.ndarray

    @cached_property
    def measured(self) -> float:
        """The slope along the step, from changes of energy: Richardson's of central differences."""
        wide, narrow = (self._central(h) for h in (1.0, 0.5))
        return (4 * narrow - wide) / 3

    def _central(self, h: float) -> float:
        up, down = (energy_change(self.W, sign * h * self.step, s=self.s).change for sign in (1, -1))
        return (up - down) / (2 * h)

    @cached_property
    def unit(self) -> float:
        """The slope if nothing of the pulls cancelled."""
        pulls = literal.row_sums(literal.pull(literal.angles(self.W), self.s))
        steps = literal.norms(self.step) / literal.norms(self.W)
        return 2 * literal.factor(self.s) * float(pulls @ steps)


# A step's share of the smallest angle. Richardson leaves h⁴/480 of the fifth derivative, some (s + 4)!/s!
# of the slope; the rest is rounding, 1e-10 for a pair at 1e-6. Reached: 1.4e-10 in 1,500 examples.
_STEP = 1e-3
_SLOPE = 1e-9


@st.composite
def _slope(draw: Draw) -> Slope:
    W, s = draw(with_exponent(SEVERAL))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    way = rng.normal(size=W.shape)
    share = _STEP * min(1.0, float(literal.angles(W).min())) / literal.norms(way)[:, None]
    return Slope(W, s, share * literal.norms(W)[:, None] * way)


def _slope_is(x: Slope, gradient: np.ndarray) -> float:
    return _SLOPE - abs(x.measured - float(np.sum(gradient * x.step))) / x.unit


def _literal_gradient(x: Slope, *, power: float = 2.0, tangent: bool = True) -> np.ndarray:
    return literal.forces(x.W, x.s, power=power, tangent=tangent) / literal.norms(x.W)[:, None]


def _gradient(x: Slope) -> float:
    """The gradient is the slope, and tangent."""
    slope = energy_gradient(x.W, s=x.s)
    radial = np.abs((slope * x.W).sum(axis=1)).max() / length(slope * literal.norms(x.W)[:, None])
    return min(_slope_is(x, slope), literal.rounding(x.s, x.W) - radial)


def _lost_factor(x: Slope) -> float:
    """With 2s at s = 0 as well, where it would be 0."""
    return _slope_is(x, energy_gradient(x.W, s=x.s) * (1.0 if x.s else 0.0))


def _symmetric(moment: np.ndarray, x: tuple[np.ndarray, float], sign: float = 1.0) -> float:
    W, s = x
    pulls = 2 * literal.factor(s) * literal.row_sums(literal.pull(literal.angles(W), s)).max()
    return literal.rounding(s, W) - float(np.abs(moment - sign * moment.T).max()) / pulls


def _moment(x: tuple[np.ndarray, float]) -> np.ndarray:
    W, s = x
    moment: np.ndarray = W.T @ energy_gradient(W, s=s)
    return moment


def _one_row_longer(x: tuple[np.ndarray, float]) -> float:
    W, s = x
    slope = energy_gradient(W, s=s)
    slope[np.argmax(literal.norms(slope) * literal.norms(W))] *= 1.01
    return _symmetric(W.T @ slope, x)


@st.composite
def _radial(draw: Draw) -> Edited:
    W, s = draw(with_exponent(SEVERAL))
    sizes = st.sampled_from([0.1, 1e-8, 10.0])
    return Edited(W, draw(strategies.edits(W, directions=("radial",), size=sizes)), s)


# Roundings of a stored edit: it is radial to an ulp of each entry, and what that turns is measured by
# what an edit of this size could do at most.
RADIAL = 1e-13


def _still(x: Edited, delta: np.ndarray) -> float:
    pulls = literal.row_sums(literal.pull(x.before_angles, x.s))
    most = 2 * literal.factor(x.s) * float(pulls @ (literal.norms(delta) / literal.norms(x.W)))
    return RADIAL - abs(energy_change(x.W, delta, s=x.s).change) / most


def _stable_but_moved(x: Edited) -> float:
    """HE stays, and outputs do not: ‖ΔV‖ = ‖ΔW‖ on orthonormal inputs."""
    return min(_still(x, x.delta), x.size / length(x.W) - 1e-9)


def _bounded_above(x: Edited) -> float:
    """Theorem 1 read the other way: ‖ΔV‖ ≤ |ΔHE|/K, with K the smaller of the two that one could mean."""
    steepest = length(energy_gradient(x.W, s=x.s))
    return at_most(x.size, abs(x.change) / steepest if steepest else math.inf)


def _nearly_radial(x: Edited) -> float:
    U = literal.units(x.W)
    aside = np.roll(U, 1, axis=0)
    aside -= (aside * U).sum(axis=1, keepdims=True) * U
    return _still(x, x.delta + 0.01 * literal.norms(x.delta)[:, None] * aside)


def _lengths_suffice(x: Edited) -> float:
    """HE and all row norms stay under W ↦ WR: here the outputs are claimed to stay as well."""
    d = x.W.shape[1]
    turn = np.eye(d)[np.roll(np.arange(d), 1)]
    after = x.W @ turn
    assert equality(literal.norms(after), literal.norms(x.W)) >= 0
    return 1e-9 - length(after - x.W) / length(x.W)


ENERGY: dict[str, Property] = {
    "E1": Property(
        "HE_s is invariant to row scaling, row permutation and right rotation",
        turned(),
        lambda x: x.still((x.scale * x.W)[x.order] @ x.right),
        (
            Mutant("and to left rotation", lambda x: x.still(x.left @ x.W)),
            Mutant("and to negative scaling of a row", lambda x: x.still(_one_negative(x))),
            Mutant("and to a shift of all rows", lambda x: x.still(_moved_together(x))),
            Mutant(
                "and to a right factor that is a rotation but for one percent", lambda x: x.still(_sheared(x))
            ),
        ),
    ),
    "E2": Property(
        "the gradient is the slope of HE_s, with factor 2s (2 at s = 0), and tangent",
        _slope(),
        _gradient,
        (
            Mutant("factor s: unordered pairs", lambda x: _slope_is(x, energy_gradient(x.W, s=x.s) / 2)),
            Mutant("2s at s = 0 as well", _lost_factor),
            Mutant("D^(−s−1) for D^(−s−2)", lambda x: _slope_is(x, _literal_gradient(x, power=1.0))),
            Mutant("û_j for û_j − c_ij û_i", lambda x: _slope_is(x, _literal_gradient(x, tangent=False))),
            Mutant("without 1/‖w_i‖", lambda x: _slope_is(x, literal.forces(x.W, x.s))),
            Mutant("one percent more", lambda x: _slope_is(x, 1.01 * energy_gradient(x.W, s=x.s))),
        ),
    ),
    "E3": Property(
        "Wᵀ∇HE_s is symmetric",
        with_exponent(SEVERAL),
        lambda x: _symmetric(_moment(x), x),
        (
            Mutant("it is antisymmetric", lambda x: _symmetric(_moment(x), x, -1.0)),
            Mutant(
                "with unit rows for W",
                lambda x: _symmetric(literal.units(x[0]).T @ energy_gradient(x[0], s=x[1]), x),
            ),
            Mutant(
                "∇HE Wᵀ is: left rotations", lambda x: _symmetric(x[0] @ energy_gradient(x[0], s=x[1]).T, x)
            ),
            Mutant("one row of the gradient one percent longer", _one_row_longer),
        ),
    ),
    "E7": Property(
        "a radial edit leaves HE_s as it is, however far the outputs move",
        _radial(),
        _stable_but_moved,
        (
            Mutant("‖ΔV‖ ≤ |ΔHE|/K: Theorem 1 the other way", _bounded_above),
            Mutant("so does one that is radial but for one percent", _nearly_radial),
            Mutant(
                "so does one that turns neurons round", lambda x: _still(x, -2 * np.r_[x.W[:1], 0 * x.W[1:]])
            ),
            Mutant("stable HE and stable lengths leave the outputs stable", _lengths_suffice),
        ),
    ),
}
