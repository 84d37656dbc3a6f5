"""B8 to B10: Theorem 1 without conditions, ΔHE enclosed to second order, and the largest change of a size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.bound import audit_bound
from sphere_theory.claims.properties import literal
from sphere_theory.claims.properties.base import Mutant, Property, at_most, equality
from sphere_theory.claims.properties.examples import (
    EXPONENTS,
    MANY_MOVING,
    PAIRS,
    Draw,
    Edited,
    edited,
    length,
    opposite,
    resolved,
    turning,
)
from sphere_theory.enclosure import enclose_change, largest_change
from sphere_theory.energy import energy_gradient
from sphere_theory.errors import CertificateError


def _larger(x: Edited) -> np.ndarray:
    """θ*, the angles at the end of larger energy."""
    return x.after_angles if x.change > 0 else x.before_angles


def _smaller(x: Edited) -> np.ndarray:
    return x.before_angles if x.change > 0 else x.after_angles


def _pulls(theta: np.ndarray, s: float, *, power: float = 1.0) -> np.ndarray:
    """Σ_{j≠i} 2s D^(−s−power) cos(θ/2), (n,)."""
    return (
        2 * literal.factor(s) * literal.row_sums(literal.pull(theta, s) * literal.chord(theta) ** (1 - power))
    )


def _whole_cosine(theta: np.ndarray, s: float) -> np.ndarray:
    """The same with cos θ for cos(θ/2)."""
    pulls = literal.chord(theta) ** (-s - 1) * np.abs(np.cos(theta))
    return 2 * literal.factor(s) * literal.row_sums(pulls)


def _angular(x: Edited, turns: np.ndarray, pulls: np.ndarray) -> float:
    """|ΔHE| ≤ Σ δ_i Σ 2s h."""
    # An edit that turns nothing has a ΔHE of rounding alone.
    return at_most(abs(x.change), float(turns @ pulls) + x.energies.rounding, x.slack)


def _largest_turns(x: Edited) -> float:
    """max(δ_i, δ_j) for δ_i + δ_j in a pair."""
    pairs = np.maximum(x.turns[:, None], x.turns) * literal.pull(_larger(x), x.s)
    return at_most(abs(x.change), literal.factor(x.s) * float(literal.row_sums(pairs).sum()), x.slack)


def _lengths(x: Edited) -> np.ndarray:
    """max(‖w_i‖, ‖ŵ_i‖)."""
    return np.maximum(literal.norms(x.W), literal.norms(x.after))


def _constant(x: Edited, parts: np.ndarray) -> float:
    """|ΔHE| ≤ K‖ΔW‖, with each neuron's part of K, (n,), or their largest, (1,)."""
    return at_most(abs(x.change), length(parts) * x.size, x.slack)


def _unconditional(x: Edited) -> float:
    """Both forms of B8 as they are written, as they are computed, and by the audit's verdict."""
    audit = audit_bound(x.W, x.delta, s=x.s)
    check, pulls = audit.check("unconditional"), _pulls(_larger(x), x.s)
    verdict = 1.0 if check.verdict in ("holds", "undecided") else -1.0
    most = float(x.turns @ pulls)
    computed = min(
        equality(check.constant, length(pulls / _lengths(x)), x.slack),
        at_most(abs(audit.angular_bound - most), x.slack * most + x.energies.rounding),
    )
    return min(verdict, computed, _angular(x, x.turns, pulls), _constant(x, pulls / _lengths(x)))


@dataclass(frozen=True, eq=False)
class _Arcs:
    """An edit as turns along great circles: first order, remainder, and rounding."""

    edit: Edited

    @property
    def applies(self) -> bool:
        """Whether no two neurons can meet: every φ_ij > 0, by more than the rounding of angles."""
        return bool(self.edit.gaps.min() > 1e-9)

    @cached_property
    def first(self) -> float:
        """Σ_i δ_i⟨G_i, τ_i⟩."""
        x = self.edit
        along = (literal.forces(x.W, x.s) * literal.tangents(x.W, x.delta)).sum(axis=1)
        return float(x.turns @ along)

    @cached_property
    def rounding(self) -> float:
        """Of ΔHE, and of the first order, whose summands cancel."""
        x = self.edit
        pulls = _pulls(x.before_angles, x.s)
        return x.energies.rounding + x.slack * float(x.turns @ pulls)

    def remainder(self, gaps: np.ndarray | None = None, excess: float = 2.0) -> float:
        """½ Σ q(φ_ij)(δ_i + δ_j)², with other angles or another excess if given."""
        both = self.edit.turns[:, None] + self.edit.turns
        curved = literal.curvature(self.edit.gaps if gaps is None else gaps, self.edit.s, excess=excess)
        return float(literal.row_sums(curved * both**2).sum()) / 2

    def within(self, remainder: float, sign: float = 1.0) -> float:
        """Margin of |ΔHE − first order| ≤ remainder, relative to it; where rounding is less."""
        off = abs(self.edit.change - sign * self.first)
        return at_most(off, remainder + self.rounding, 1e-9) if self.applies else math.inf


# Most of them of two neurons: nearly opposite, moved by a little, nearly meeting.
_ARCS: dict[str, st.SearchStrategy[Edited]] = {
    "opposite": opposite(st.sampled_from([1e-3, 1e-4, 1e-2])),
    "little": turning(PAIRS, st.sampled_from([1e-2, 1e-3])),
    "meeting": turning(PAIRS, st.sampled_from([0.49, 0.47])),
    "any": edited("turn", "rows", "edit", "pair", "reversal"),
}


def _arcs() -> st.SearchStrategy[_Arcs]:
    return st.sampled_from(("little", *_ARCS)).flatmap(_ARCS.__getitem__).map(_Arcs)


def _ends(x: Edited, falls: np.ndarray, rises: np.ndarray) -> float:
    """Margin of −Σ δ_i(pulls at W) ≤ ΔHE ≤ Σ δ_i(pulls at Ŵ)."""
    pulls = rises if x.change > 0 else falls
    return _angular(x, x.turns, pulls)


def _enclosure(x: _Arcs) -> float:
    """B9 as it is written, and as it is computed: rounded outwards, and by no more than rounding."""
    edit = x.edit
    found = enclose_change(edit.W, edit.delta, s=edit.s)
    inside = min(found.high - edit.change, edit.change - found.low) + edit.energies.rounding
    fall, rise = (float(edit.turns @ _pulls(t, edit.s)) for t in (edit.before_angles, edit.after_angles))
    low, high = -fall, rise
    if x.applies:
        rest = x.remainder()
        low, high = max(low, x.first - rest), min(high, x.first + rest)
    # φ is a difference of angles: near 0 its rounding is a large share of it.
    loose = 1e-6 if edit.gaps.min() > 1e-6 else math.inf
    wide = (high - low) * (1 + loose) + 100 * x.rounding - found.width
    literally = x.within(x.remainder()) if x.applies else math.inf
    ends = _ends(edit, _pulls(edit.before_angles, edit.s), _pulls(edit.after_angles, edit.s))
    return min(inside / (high - low + x.rounding), literally, ends, wide / (high - low + x.rounding))


def _arc_max_for_sum(x: _Arcs) -> float:
    gaps = x.edit.before_angles - np.maximum(x.edit.turns[:, None], x.edit.turns)
    return x.within(x.remainder(gaps)) if x.applies else math.inf


def _flat(x: _Arcs) -> float:
    """q = s d^(−s−2), without the cosine."""
    both = x.edit.turns[:, None] + x.edit.turns
    curved = literal.factor(x.edit.s) * literal.chord(x.edit.gaps) ** (-x.edit.s - 2)
    return x.within(float(literal.row_sums(curved * both**2).sum()) / 2)


def _separate_squares(x: _Arcs) -> float:
    """δ_i² + δ_j² for (δ_i + δ_j)²."""
    squares = x.edit.turns[:, None] ** 2 + x.edit.turns**2
    curved = literal.curvature(x.edit.gaps, x.edit.s)
    return x.within(float(literal.row_sums(curved * squares).sum()) / 2)


@dataclass(frozen=True, eq=False)
class Sized:
    """An edit of which only its size ρ is used, and the parts of B10."""

    edit: Edited

    @cached_property
    def norms(self) -> np.ndarray:
        """‖w_i‖."""
        return literal.norms(self.edit.W)

    @property
    def size(self) -> float:
        """ρ, an ulp more than ‖ΔW‖_F."""
        return self.edit.size * (1 + 4 * literal.EPS)

    @cached_property
    def kappa(self) -> float:
        """κ = arcsin(x)/x, x = ρ/min‖w_i‖."""
        share = self.size / float(self.norms.min())
        return math.asin(share) / share

    @cached_property
    def slope(self) -> float:
        """K_grad."""
        return length(energy_gradient(self.edit.W, s=self.edit.s))

    def curvatures(self, *, moved: float = 1.0, excess: float = 2.0, power: float = 2.0) -> np.ndarray:
        """‖w_i‖^(−2) Σ_{j≠i} q(θ_ij − κρ√(‖w_i‖^(−2) + ‖w_j‖^(−2))), (n,), with parts of it changed."""
        inverse = 1 / self.norms
        gaps = self.edit.before_angles - moved * self.kappa * self.size * np.hypot(inverse[:, None], inverse)
        np.fill_diagonal(gaps, np.pi)
        return literal.row_sums(literal.curvature(gaps, self.edit.s, excess=excess)) * inverse**power

    def bound(self, curvature: float, *, slope: float = 1.0, rest: float = 2.0) -> float:
        """κK_gradρ + 2κ²ρ²Q, with Q given and shares of the two changed."""
        return self.kappa * slope * self.slope * self.size + rest * (self.kappa * self.size) ** 2 * curvature

    def within(self, bound: float) -> float:
        """Margin of |ΔHE| ≤ bound, with what rounding makes of ΔHE and of a gradient that cancels."""
        pulls = _pulls(self.edit.before_angles, self.edit.s)
        rounded = self.edit.energies.rounding + self.edit.slack * length(pulls / self.norms) * self.size
        return at_most(abs(self.edit.change), bound + rounded)


@st.composite
def _small(draw: Draw, of: st.SearchStrategy[np.ndarray]) -> Edited:
    """Edits up to a share of the shortest neuron, and of the size at which two might meet."""
    W, s = draw(of), draw(EXPONENTS)
    share = draw(st.sampled_from([1e-2, 1e-8, 1e-4, 0.1, 0.5])) * min(1.0, float(literal.angles(W).min()) / 2)
    size = share * float(literal.norms(W).min()) / length(W)
    directions = ("ascent", "descent", "random", "tangent")
    return resolved(Edited(W, draw(strategies.edits(W, directions=directions, size=size)), s))


# Two thirds of them of two neurons, where it is tight.
_SIZED: dict[str, st.SearchStrategy[Edited]] = {
    "opposite": opposite(st.sampled_from([1e-3, 0.1, 1e-2, 0.2])),
    "two": _small(PAIRS),
    "any": _small(MANY_MOVING),
}


def _within_reach(x: Sized) -> bool:
    """Whether B10 covers the size."""
    return bool(x.size < 0.99 * x.norms.min() and np.isfinite(x.curvatures()).all())


def _sized() -> st.SearchStrategy[Sized]:
    return st.sampled_from(tuple(_SIZED)).flatmap(_SIZED.__getitem__).map(Sized).filter(_within_reach)


def _largest(x: Sized) -> float:
    """B10 as it is written, and as it is computed."""
    try:
        computed = largest_change(x.edit.W, x.size, s=x.edit.s)
    except CertificateError:  # some angle is 0 to rounding
        return math.inf
    literally = x.bound(x.curvatures().max())
    pulls = _pulls(x.edit.before_angles, x.edit.s)
    rounded = x.edit.slack * length(pulls / x.norms) * x.size
    same = equality(computed, literally, 1e-6 + rounded / literally)
    return min(same, x.within(computed), x.within(literally))


UNCONDITIONAL: dict[str, Property] = {
    "B8": Property(
        "|ΔHE_s| ≤ Σ 2s δ_i Σ h(θ*) and ≤ K*‖ΔW‖ for every edit",
        edited(),
        _unconditional,
        (
            Mutant(
                "angles at the end of smaller energy",
                lambda x: _angular(x, x.turns, _pulls(_smaller(x), x.s)),
            ),
            Mutant("s for 2s: unordered pairs", lambda x: _angular(x, x.turns, _pulls(_larger(x), x.s) / 2)),
            Mutant("max(δ_i, δ_j) for δ_i + δ_j", _largest_turns),
            Mutant("sin δ_i for δ_i", lambda x: _angular(x, np.sin(x.turns), _pulls(_larger(x), x.s))),
            Mutant("cos θ for cos(θ/2)", lambda x: _angular(x, x.turns, _whole_cosine(_larger(x), x.s))),
            Mutant("D^(−s) for D^(−s−1)", lambda x: _angular(x, x.turns, _pulls(_larger(x), x.s, power=0.0))),
            Mutant(
                "D^(−s−2) for D^(−s−1)", lambda x: _angular(x, x.turns, _pulls(_larger(x), x.s, power=2.0))
            ),
            Mutant(
                "one percent less, by the angles",
                lambda x: _angular(x, x.turns, 0.99 * _pulls(_larger(x), x.s)),
            ),
            Mutant(
                "K* at the end of smaller energy",
                lambda x: _constant(x, _pulls(_smaller(x), x.s) / _lengths(x)),
            ),
            Mutant(
                "‖w_i‖ + ‖ŵ_i‖ for their maximum",
                lambda x: _constant(
                    x, _pulls(_larger(x), x.s) / (literal.norms(x.W) + literal.norms(x.after))
                ),
            ),
            Mutant(
                "‖w_i‖ + ‖Δw_i‖ for the maximum",
                lambda x: _constant(
                    x, _pulls(_larger(x), x.s) / (literal.norms(x.W) + literal.norms(x.delta))
                ),
            ),
            Mutant(
                "the largest part for the root of squares",
                lambda x: _constant(x, (_pulls(_larger(x), x.s) / _lengths(x)).max(keepdims=True)),
            ),
            Mutant(
                "K* one percent less", lambda x: _constant(x, 0.99 * _pulls(_larger(x), x.s) / _lengths(x))
            ),
        ),
    ),
    "B9": Property(
        "ΔHE_s lies within ½Σ q(φ)(δ_i + δ_j)² of its first order, and between the pulls at both ends",
        _arcs(),
        _enclosure,
        (
            Mutant("φ = θ − max(δ_i, δ_j)", _arc_max_for_sum),
            Mutant("φ = θ: the angles before", lambda x: x.within(x.remainder(x.edit.before_angles))),
            Mutant("half the remainder", lambda x: x.within(x.remainder() / 2)),
            Mutant("1 + cos² for 1 + (s + 2)cos²", lambda x: x.within(x.remainder(excess=1 - x.edit.s))),
            Mutant("1 for 1 + (s + 2)cos²", _flat),
            Mutant("δ_i² + δ_j² for (δ_i + δ_j)²", _separate_squares),
            Mutant("τ the other way", lambda x: x.within(x.remainder(), -1.0)),
            Mutant("no remainder", lambda x: x.within(0.0)),
            Mutant("one percent less", lambda x: x.within(0.99 * x.remainder())),
            Mutant(
                "the two ends exchanged",
                lambda x: _ends(
                    x.edit, _pulls(x.edit.after_angles, x.edit.s), _pulls(x.edit.before_angles, x.edit.s)
                ),
            ),
        ),
    ),
    "B10": Property(
        "|ΔHE_s| ≤ κK_gradρ + 2κ²ρ²Q for every edit of size ρ",
        _sized(),
        _largest,
        (
            Mutant("first order alone", lambda x: x.within(x.bound(0.0))),
            Mutant("half the remainder", lambda x: x.within(x.bound(x.curvatures().max(), rest=1.0))),
            Mutant("Q at the angles before", lambda x: x.within(x.bound(x.curvatures(moved=0.0).max()))),
            Mutant("Q by the straightest neuron", lambda x: x.within(x.bound(x.curvatures().min()))),
            Mutant("‖w_i‖^(−1) for ‖w_i‖^(−2)", lambda x: x.within(x.bound(x.curvatures(power=1.0).max()))),
            Mutant("remainder alone", lambda x: x.within(x.bound(x.curvatures().max(), slope=0.0))),
            Mutant("K_grad one percent less", lambda x: x.within(x.bound(x.curvatures().max(), slope=0.99))),
            Mutant("Q one percent less", lambda x: x.within(x.bound(0.99 * x.curvatures().max()))),
        ),
    ),
}
