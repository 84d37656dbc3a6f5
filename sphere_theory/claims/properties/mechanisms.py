"""P1 to P3: what the paper says that HE does for editing, as far as it can be put as a property."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.bound import BoundAudit, audit_bound
from sphere_theory.claims.properties import literal
from sphere_theory.claims.properties.base import ROUNDING, Mutant, Property, at_most, equality
from sphere_theory.claims.properties.energy import Turned, turned
from sphere_theory.claims.properties.examples import MANY_MOVING, Draw, Edited, edited, length, projected
from sphere_theory.energy import energy_gradient
from sphere_theory.projection import SparseProjector

# Outputs, or HE, have moved if they have by this share of what could have been; rounding is far below.
_MOVED = 1e-6


@dataclass(frozen=True, eq=False)
class Apart:
    """The two constructions: a rotation that HE does not see, and an edit that the inputs do not see.

    Attributes
    ----------
    turned
        W with a right and a left rotation.
    X
        Orthonormal inputs, fewer than dimensions.
    hidden
        An edit with ΔW X = 0.
    """

    turned: Turned
    X: np.ndarray
    hidden: Edited

    def unseen(self, after: np.ndarray) -> float:
        """Margin of HE, row norms and spectrum that stay."""
        W = self.turned.W
        lengths = equality(literal.norms(after) / literal.norms(W), np.ones(len(W)))
        new, old = (np.linalg.svd(weights, compute_uv=False) for weights in (after, W))
        return min(self.turned.still(after), lengths, equality(new, old))

    def outputs_moved(self) -> float:
        """‖(WR − W)X‖ as a share of ‖WX‖."""
        W = self.turned.W
        return length((W @ self.turned.right - W) @ self.X) / length(W @ self.X)

    def energy_moved(self) -> float:
        """|ΔHE| of the hidden edit as a share of what an edit of its turns could make of HE."""
        pulls = literal.row_sums(literal.pull(self.hidden.before_angles, self.hidden.s))
        most = 2 * literal.factor(self.hidden.s) * float(self.hidden.turns @ pulls)
        return abs(self.hidden.change) / most

    def outputs_still(self) -> float:
        """Margin of ΔW X = 0."""
        return ROUNDING - length(self.hidden.delta @ self.X) / self.hidden.size


@st.composite
def _apart(draw: Draw) -> Apart:
    # Not a simplex, where an edit moves HE at second order alone.
    x = draw(turned(MANY_MOVING))
    d = x.W.shape[1]
    X = draw(strategies.inputs(d, m=st.integers(1, d - 1)))
    # Of unit rows and back: a short neuron turns as far as a long one.
    lengths = literal.norms(x.W)[:, None]
    size = 1e-3 * min(1.0, float(literal.angles(x.W).min()))
    edit = draw(strategies.edits(x.W / lengths, directions=("random",), size=size)) * lengths
    return Apart(x, X, Edited(x.W, edit - edit @ X @ X.T, x.s))


def _neither_implies(x: Apart) -> float:
    """HE still and outputs moved; outputs still and HE moved."""
    moved = min(x.outputs_moved(), x.energy_moved()) - _MOVED
    return min(x.unseen(x.turned.W @ x.turned.right), x.outputs_still(), moved)


def _stretched(x: Apart) -> np.ndarray:
    """WR with one direction one percent longer."""
    stretch = np.eye(len(x.turned.right))
    stretch[0, 0] = 1.01
    after: np.ndarray = x.turned.W @ stretch @ x.turned.right
    return after


@dataclass(frozen=True, eq=False)
class _Preserved:
    """A projector, an edit, and preserved keys in general and such that span(U) is invariant under C0."""

    projector: SparseProjector
    edit: np.ndarray
    general: np.ndarray
    invariant: np.ndarray

    @property
    def alpha(self) -> float:
        """α."""
        return self.projector.alpha

    @property
    def U(self) -> np.ndarray:
        """U, (d, r)."""
        basis: np.ndarray = self.projector.space.basis
        return basis

    def spared(
        self,
        keys: np.ndarray,
        edit: np.ndarray | None = None,
        *,
        factor: float = 1.0,
        alpha: float | None = None,
    ) -> float:
        """Margin of ‖ΔW P K0‖ ≤ factor·‖ΔW K0‖, as a share of ‖ΔW‖‖K0‖."""
        # Without an edit, one of which half of what it does to the keys is taken away, as MEMIT does.
        edit = self.edit - self.edit @ keys @ np.linalg.pinv(keys) / 2 if edit is None else edit
        alpha = self.alpha if alpha is None else alpha
        after = edit - alpha * edit @ self.U @ self.U.T
        return ROUNDING + (factor * length(edit @ keys) - length(after @ keys)) / (
            length(edit) * length(keys)
        )

    def fitted(self) -> np.ndarray:
        """The edit without what of it C0 sends into span(U): ΔW C0 U = 0."""
        seen = self.general @ self.general.T @ self.U
        return self.edit - self.edit @ seen @ np.linalg.pinv(seen)

    def spoiled(self, keys: np.ndarray) -> np.ndarray | None:
        """The edit v − (b/2c)u that interferes more after P, by the proof; none where r = d."""
        # u in span(U) and v orthogonal to it, of the largest b = uᵀC0v; c = uᵀC0u.
        C0, across = keys @ keys.T, np.eye(len(keys)) - self.U @ self.U.T
        left, values, right = np.linalg.svd(self.U.T @ C0 @ across)
        if values[0] <= 1e-9 * length(C0):
            return None
        u = self.U @ left[:, 0]
        edit: np.ndarray = right[:1] - values[0] / (2 * u @ C0 @ u) * u
        return edit


@st.composite
def _preserved(draw: Draw) -> _Preserved:
    x = draw(projected(alpha=st.sampled_from([0.5, 0.8, 1.0, 2.0])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, x.d))
    inside, outside = rng.normal(size=(2, x.d, count))
    # C0 = K0 K0ᵀ leaves span(U) invariant if every key lies in it or is orthogonal to it.
    keys = np.hstack([x.U @ (x.U.T @ inside), outside - x.U @ (x.U.T @ outside)])
    return _Preserved(x.projector, rng.normal(size=x.W.shape), inside, keys)


def _interference(x: _Preserved) -> float:
    """Less where span(U) is invariant; elsewhere more for some, by α²‖ΔW U T‖² if fitted, UᵀC0U = TTᵀ."""
    edit, keys = x.fitted(), x.general
    before, after = length(edit @ keys), length(x.projector(edit) @ keys)
    added = x.alpha * length(edit @ x.U @ x.U.T @ keys)
    unit = length(x.edit) * length(keys)
    return min(x.spared(x.invariant), equality(after**2, before**2 + added**2, unit=unit**2), _spoils(x))


def _spoils(x: _Preserved) -> float:
    """How much more some edit interferes after P, as a share of ‖ΔW‖‖K0‖, where span(U) is not invariant."""
    edit = x.spoiled(x.general)
    return ROUNDING - x.spared(x.general, edit) if edit is not None else math.inf


def _spared_anyway(x: _Preserved, keys: np.ndarray) -> float:
    edit = x.spoiled(keys)
    return x.spared(keys, edit) if edit is not None else math.inf


def _nearly_invariant(x: _Preserved) -> float:
    """Keys one percent from those that leave span(U) invariant."""
    keys = x.invariant.copy()
    keys[:, : x.general.shape[1]] += 0.01 * x.general
    return _spared_anyway(x, keys)


@dataclass(frozen=True, eq=False)
class Audited:
    """An edit, inputs, and the audit of both."""

    edit: Edited
    X: np.ndarray

    @cached_property
    def audit(self) -> BoundAudit:
        """What `audit_bound` says."""
        return audit_bound(self.edit.W, self.edit.delta, self.X, s=self.edit.s)

    @cached_property
    def constant(self) -> float:
        """K*."""
        return self.audit.check("unconditional").constant

    def margin(self, K: float | None = None, sigma: float | None = None) -> float:
        """‖ΔV‖ ≥ σ|ΔHE|/K, with the rounding of the outputs and of the angles."""
        K, sigma = K or self.constant, self.audit.input_strength if sigma is None else sigma
        rounded = 1e-14 * self.edit.size * length(self.X)
        outputs = math.sqrt(self.audit.output_change_squared) + rounded
        return at_most(sigma * abs(self.edit.change) / K, outputs, self.edit.slack)


_AUDITED = edited("pair", "closing", "pair", "rows", "pair", "reversal", "edit")


@st.composite
def _audited(draw: Draw) -> Audited:
    x = draw(_AUDITED)
    assume(x.turns.max() > 1e-14)
    d = x.W.shape[1]
    condition = st.sampled_from([1.0, 10.0, 1e3])
    X = draw(strategies.inputs(d, m=st.sampled_from([d, 1, 2 * d]), condition=condition))
    unit = draw(st.sampled_from([1.0, 1e9]))
    scaled = Edited(unit * x.W, unit * x.delta, x.s)
    return Audited(scaled, draw(st.sampled_from([0.5, 1e4])) * X)


def _theorem(x: Audited) -> float:
    """Theorem 1 as corrected, by the audit's verdict and by its numbers."""
    proved = x.audit.check("unconditional").verdict in ("holds", "undecided")
    return x.margin() if proved else -1.0


def _unsquared(x: Audited) -> float:
    """‖ΔV‖ ≥ σ²(ΔHE/K*)², which depends on the unit of W."""
    needed = (x.audit.input_strength * x.edit.change / x.constant) ** 2
    return at_most(needed, math.sqrt(x.audit.output_change_squared), x.edit.slack)


def _from_above(x: Audited) -> float:
    """‖ΔV‖ ≤ |ΔHE|/K*: a stable HE would keep the outputs."""
    return at_most(math.sqrt(x.audit.output_change_squared), abs(x.edit.change) / x.constant)


MECHANISMS: dict[str, Property] = {
    "P1": Property(
        "under W ↦ WR HE, row norms and spectrum stay and outputs move; under a hidden edit the reverse",
        _apart(),
        _neither_implies,
        (
            Mutant("a stable HE means stable outputs", lambda x: _MOVED - x.outputs_moved()),
            Mutant("stable outputs mean a stable HE", lambda x: _MOVED - x.energy_moved()),
            Mutant("W ↦ RW is as invisible", lambda x: x.unseen(x.turned.left @ x.turned.W)),
            Mutant("so is WR with one direction one percent longer", lambda x: x.unseen(_stretched(x))),
        ),
    ),
    "P2": Property(
        "‖ΔW P K0‖ ≤ ‖ΔW K0‖ where span(U) is invariant under C0; elsewhere more for some edits",
        _preserved(),
        _interference,
        (
            Mutant("and where it is not", lambda x: _spared_anyway(x, x.general)),
            Mutant("up to α = 2.02 too", lambda x: x.spared(x.invariant, alpha=2.02)),
            Mutant("by the factor |1 − α|", lambda x: x.spared(x.invariant, factor=abs(1 - x.alpha))),
            Mutant("and where its keys are one percent off", _nearly_invariant),
        ),
    ),
    "P3": Property(
        "‖ΔV‖² ≥ σ²(ΔHE/K*)² for every edit and any inputs",
        _audited(),
        _theorem,
        (
            Mutant("the plain norm: ‖ΔV‖ ≥ σ²(ΔHE/K*)²", _unsquared),
            Mutant("‖ΔV‖ ≤ |ΔHE|/K*: the other way", _from_above),
            Mutant("‖∇HE‖ for K*", lambda x: x.margin(K=length(energy_gradient(x.edit.W, s=x.edit.s)))),
            Mutant("without σ", lambda x: x.margin(sigma=1.0)),
            Mutant("K* one percent less", lambda x: x.margin(K=0.99 * x.constant)),
        ),
    ),
}
