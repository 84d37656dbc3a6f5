"""B2, B5 and B6: the first certificate, what inputs need for it, and paths of certified steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.bound import audit_bound, bound_constant
from sphere_theory.claims.properties import literal
from sphere_theory.claims.properties.base import ROUNDING, Mutant, Property, at_most, equality
from sphere_theory.claims.properties.examples import (
    EXPONENTS,
    MOVING,
    OPEN,
    Draw,
    Edited,
    edited,
    length,
    resolved,
    weights,
)
from sphere_theory.energy import energy_gradient
from sphere_theory.motion import energy_change


@dataclass(frozen=True, eq=False)
class Seen:
    """An edit and inputs that see it, or see it not."""

    edit: Edited
    X: np.ndarray

    @cached_property
    def outputs(self) -> float:
        """‖ΔW X‖_F, and the rounding of ΔW X itself."""
        return length(self.edit.delta @ self.X) + 1e-15 * self.edit.size * length(self.X)

    @cached_property
    def sigma(self) -> float:
        """σ of the audit."""
        return audit_bound(self.edit.W, self.edit.delta, self.X, s=self.edit.s).input_strength

    @cached_property
    def constant(self) -> float:
        """K_cert."""
        return bound_constant(self.edit.W, self.edit.delta, kind="certified", s=self.edit.s)

    def values(self) -> np.ndarray:
        """Singular values of X that are not zero."""
        values: np.ndarray = np.linalg.svd(self.X, compute_uv=False)
        return values[values > 1e-12 * values[0]]


@st.composite
def _seen(draw: Draw) -> Seen:
    """Certified edits; half of them of two neurons along ±∇HE, where the bound is tight."""
    x = draw(_TIGHT)
    d = x.W.shape[1]
    size = draw(st.sampled_from([0.5, 1e4]))
    condition = st.sampled_from([1.0, 10.0, 1e3])
    X = size * draw(strategies.inputs(d, m=st.sampled_from([d, 1, 2 * d]), condition=condition))
    return Seen(x, X)


def _certified(x: Edited, *, gaps: np.ndarray | None = None, lengths: np.ndarray | None = None) -> np.ndarray:
    """Each neuron's part of K_cert, (n,), with other angles or lengths than the certificate's if given."""
    gaps = x.gaps if gaps is None else gaps
    lengths = literal.reach(x.W, x.delta) if lengths is None else lengths
    return 2 * literal.factor(x.s) * literal.row_sums(literal.pull(gaps, x.s)) / lengths


def _applies(x: Edited) -> bool:
    """Whether the certificate covers an edit, and is resolved."""
    return bool(x.gaps.min() > 1e-9 and literal.reach(x.W, x.delta).min() > 0)


def _outputs(x: Seen, strength: float) -> float:
    """‖ΔV‖ ≥ strength·|ΔHE|/K_cert."""
    needed = strength * abs(x.edit.change) / x.constant
    return at_most(needed, x.outputs, x.edit.slack)


def _covered(*kinds: str) -> st.SearchStrategy[Edited]:
    """Edits that the certificate covers."""
    return edited(*kinds).filter(_applies)


_TIGHT = _covered("pair", "closing", "pair", "edit")


def _certificate(x: Edited) -> float:
    """|ΔHE| ≤ K_cert‖ΔW‖, and K_cert is what its formula says."""
    K = bound_constant(x.W, x.delta, kind="certified", s=x.s)
    # Products of W give a D² ≥ 1e-4 to an ulp of 1, so the D of such a pair to a hundred of its own.
    literally = equality(K, length(_certified(x)), ROUNDING + 100 * literal.pull_share(x.s, x.gaps))
    return min(literally, at_most(abs(x.change), K * x.size, x.slack))


def _mutated(x: Edited, parts: np.ndarray) -> float:
    return at_most(abs(x.change), length(parts) * x.size, x.slack)


def _max_for_sum(x: Edited) -> float:
    gaps = x.before_angles - np.maximum(x.turns[:, None], x.turns)
    return _mutated(x, _certified(x, gaps=gaps))


def _chords(x: Edited) -> float:
    chords = literal.chord(x.turns)
    gaps = x.before_angles - chords[:, None] - chords
    np.fill_diagonal(gaps, np.pi)
    return _mutated(x, _certified(x, gaps=gaps))


@dataclass(frozen=True, eq=False)
class Path:
    """Steps of certified edits from W on."""

    W: np.ndarray
    steps: tuple[Edited, ...]

    @cached_property
    def change(self) -> float:
        """|ΔHE| from end to end."""
        total = self.steps[-1].after - self.W
        return abs(energy_change(self.W, total, s=self.steps[0].s).change)

    @cached_property
    def budgets(self) -> list[float]:
        """K_t‖ΔW_t‖ of each step."""
        return [bound_constant(x.W, x.delta, kind="certified", s=x.s) * x.size for x in self.steps]

    def within(self, budget: float) -> float:
        """Margin of |ΔHE| ≤ budget; the last sum of steps is rounded at the size of W."""
        rounded = 4 * literal.EPS * length(self.W) / sum(x.size for x in self.steps)
        return at_most(self.change, budget, sum(x.slack for x in self.steps) + rounded)

    def first_constant(self, travelled: float) -> float:
        """K of the first step times a length."""
        return self.budgets[0] / self.steps[0].size * travelled


_STARTS = weights(structures=MOVING)


@st.composite
def _step(draw: Draw, kind: str, W: np.ndarray, size: float, s: float) -> Edited:
    """A certified edit: a climb of two neurons, two that close, or anything."""
    if kind == "closing":
        delta = draw(strategies.turns(W, share=0.3))
    else:
        directions = ("ascent",) if kind == "pair" else ("random", "tangent")
        delta = draw(strategies.edits(W, directions=directions, size=size))
    x = resolved(Edited(W, delta, s))
    assume(_applies(x))
    return x


@st.composite
def _path(draw: Draw) -> Path:
    kind, s = draw(st.sampled_from(["pair", "closing", "any"])), draw(EXPONENTS)
    size = draw(st.sampled_from([1e-6, 1e-4, 1e-3]))
    W = draw(OPEN if kind != "any" else _STARTS)
    start, steps = W, []
    for _ in range(3):
        steps.append(draw(_step(kind, W, size, s)))
        W = steps[-1].after
    return Path(start, tuple(steps))


CERTIFICATE: dict[str, Property] = {
    "B2": Property(
        "‖ΔW X‖ ≥ σ|ΔHE|/K_cert for any inputs",
        _seen(),
        lambda x: _outputs(x, x.sigma),
        (
            Mutant("without σ", lambda x: _outputs(x, 1.0)),
            Mutant("the largest singular value for σ", lambda x: _outputs(x, x.values()[0])),
            Mutant(
                "the least that is not zero: the row space of ΔW ignored",
                lambda x: _outputs(x, x.values()[-1]),
            ),
            Mutant("‖X‖_F/√d for σ", lambda x: _outputs(x, length(x.X) / math.sqrt(len(x.X)))),
            Mutant("σ² for σ", lambda x: _outputs(x, x.sigma**2)),
            Mutant("σ one percent larger", lambda x: _outputs(x, 1.01 * x.sigma)),
        ),
    ),
    "B5": Property(
        "|ΔHE| ≤ K_cert‖ΔW‖ wherever the certificate applies",
        _covered("closing", "pair", "meeting", "turn", "closing", "edit", "pair", "meeting", "rows"),
        _certificate,
        (
            Mutant("φ = θ − max(δ_i, δ_j)", _max_for_sum),
            Mutant("chords for the angles δ_i", _chords),
            Mutant("φ = θ: the angles before", lambda x: _mutated(x, _certified(x, gaps=x.before_angles))),
            Mutant("K_grad", lambda x: _mutated(x, energy_gradient(x.W, s=x.s))),
            Mutant("s for 2s: unordered pairs", lambda x: _mutated(x, _certified(x) / 2)),
            Mutant(
                "the largest part for the root of squares",
                lambda x: _mutated(x, _certified(x).max(keepdims=True)),
            ),
            Mutant("one percent less", lambda x: _mutated(x, 0.99 * _certified(x))),
        ),
    ),
    "B6": Property(
        "|ΔHE| ≤ Σ K_t‖ΔW_t‖ along a path",
        _path(),
        lambda x: x.within(sum(x.budgets)),
        (
            Mutant("the last step alone", lambda x: x.within(x.budgets[-1])),
            Mutant("the largest step for the sum", lambda x: x.within(max(x.budgets))),
            Mutant(
                "the first constant for all",
                lambda x: x.within(x.first_constant(sum(e.size for e in x.steps))),
            ),
            Mutant(
                "the first constant and the net edit",
                lambda x: x.within(x.first_constant(length(x.steps[-1].after - x.W))),
            ),
            Mutant("a root of squares for the sum", lambda x: x.within(math.hypot(*x.budgets))),
            Mutant("one percent less", lambda x: x.within(0.99 * sum(x.budgets))),
        ),
    ),
}
