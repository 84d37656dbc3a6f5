"""O1 to O8: the projector P = I − αUUᵀ, its rank rules, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.claims.properties import literal
from sphere_theory.claims.properties.base import Mutant, Property, at_most, equality
from sphere_theory.claims.properties.examples import (
    EXPONENTS,
    MANY_MOVING,
    Draw,
    Projected,
    length,
    projected,
    with_exponent,
)
from sphere_theory.energy import energy_gradient
from sphere_theory.motion import energy_change
from sphere_theory.projection import NormMatchedShrinkage, SparseProjector
from sphere_theory.spectrum import principal_space

# A close pair at 1e-6 pulls along a direction that the span of its neurons holds to 1e-10 only.
_SPAN = 1e-9

# Suppression strengths just outside [0, 2], by one percent of its length.
OUTSIDE = (-0.02, 2.02)


def _spectrum(x: Projected, on_space: Callable[[float], float], multiplicity: int | None = None) -> float:
    P = x.projector.dense()
    r = x.r if multiplicity is None else multiplicity
    expected = np.sort(np.r_[np.full(r, on_space(x.alpha)), np.ones(x.d - r)])
    return min(equality(P, P.T, unit=1.0), equality(np.linalg.eigvalsh(P), expected, unit=1.0))


def _square(x: Projected, coefficient: Callable[[float], float]) -> float:
    P = x.projector.dense()
    return equality(P @ P, np.eye(x.d) - coefficient(x.alpha) * x.U @ x.U.T, unit=1.0)


def _outside(x: Projected, alpha: float) -> float:
    """How much longer than before an edit along U is, for an α outside [0, 2]."""
    along = x.W @ x.U @ x.U.T
    return length(along - alpha * along) / length(along) - 1


def _contraction(x: Projected) -> float:
    """‖ΔW‖² − ‖ΔW P‖² = α(2 − α)‖ΔW U‖² ≥ 0 for α in [0, 2], and not outside."""
    before, after = length(x.W) ** 2, length(x.projector(x.W)) ** 2
    lost = x.alpha * (2 - x.alpha) * length(x.W @ x.U) ** 2
    outside = min(_outside(x, alpha) for alpha in OUTSIDE)
    return min(at_most(after, before), equality(before - after, lost, unit=before), outside)


def _shortened(x: Projected, factor: float) -> float:
    return at_most(length(x.projector(x.W)), factor * length(x.W))


def _always_shorter(x: Projected) -> float:
    """How much shorter than ΔW an edit orthogonal to U becomes, where 0 < α < 2: claimed not to be 0."""
    if not 0 < x.alpha < 2 or x.r == x.d:
        return 1.0
    across = x.W - x.W @ x.U @ x.U.T
    return 1 - length(x.projector(across)) / length(across) - 1e-8


def _principal(x: Projected, factor: Callable[[float], float], *, along: bool = True) -> float:
    delta = (x.W @ x.U) @ x.U.T if along else x.W
    return equality(x.projector(delta), factor(x.alpha) * delta, unit=float(np.abs(x.W).max()))


@dataclass(frozen=True, eq=False)
class _Tied:
    """Weights with d equal eigenvalues, and the number k < d of them up to the tie S_k = k/d."""

    W: np.ndarray
    k: int

    def rank(self, eta: float, rule: str) -> int:
        """The rank that a rule gives."""
        return principal_space(self.W, eta=eta, rank_rule=rule).rank

    def both(self, eta: float) -> tuple[int, int]:
        """The ranks of the paper's rule and of the released one."""
        return self.rank(eta, "paper"), self.rank(eta, "released")


@st.composite
def _tied(draw: Draw) -> _Tied:
    W = draw(strategies.tied_spectra(shapes=strategies.SHAPES))
    return _Tied(W, draw(st.integers(1, np.linalg.matrix_rank(W) - 1)))


def _rules(x: _Tied, at: tuple[int, int], off: tuple[int, int], *, shift: float = 1e-9) -> float:
    """Ranks, less k, that the two rules give at the tie and a little below and above it."""
    share = x.k / np.linalg.matrix_rank(x.W)
    below, above = (share * (1 + sign * shift) for sign in (-1, 1))
    k = np.array([x.k, x.k])
    found = [np.array(x.both(eta)) - k for eta in (share, below, above)]
    wanted = [np.array(at), np.array(off), np.array(off) + 1]
    return 1.0 if np.array_equal(found, wanted) else -1.0


@dataclass(frozen=True, eq=False)
class _Enlarging:
    """Weights and an edit near the exact counterexample of the proof of O6, an α and an exponent."""

    W: np.ndarray
    delta: np.ndarray
    alpha: float
    s: float

    @property
    def projector(self) -> SparseProjector:
        """P of the principal space at η = ½, one direction here."""
        return SparseProjector(principal_space(self.W, eta=0.5), self.alpha)

    def change(self, delta: np.ndarray) -> float:
        """|ΔHE|."""
        return abs(energy_change(self.W, delta, s=self.s).change)


@st.composite
def _enlarging(draw: Draw) -> _Enlarging:
    alpha, s = draw(st.sampled_from([1.0, 0.8, 0.5, 0.25])), draw(EXPONENTS)
    scale = 10.0 ** draw(st.integers(-8, 8))
    d = draw(st.integers(2, 5))
    turn = draw(strategies.inputs(d, m=d))
    W = draw(strategies.neuron_matrices(n=2, d=d, structures=("ordinary",)))
    noise = draw(strategies.edits(W, directions=("random",), size=1e-3))
    W0 = np.zeros((2, d))
    W0[:, :2] = [[12, 9], [12, -9]]
    delta = np.zeros((2, d))
    delta[:, :2] = [[4.8, 7], [4.8, -7]]
    return _Enlarging(scale * (W0 + noise) @ turn, scale * delta @ turn, alpha, s)


def _enlarged(x: _Enlarging, factor: float = 1.0) -> float:
    """P makes the edit shorter, and |ΔHE| larger."""
    after = x.projector(x.delta)
    shorter = 1 - length(after) / length(x.delta)
    return min(shorter, x.change(after) / x.change(x.delta) - factor)


def _not_enlarged(x: _Enlarging) -> float:
    return at_most(x.change(x.projector(x.delta)), x.change(x.delta))


def _any_shortening(x: _Enlarging) -> float:
    return x.change(NormMatchedShrinkage(x.projector)(x.delta)) / x.change(x.delta) - 1


def _longer(x: _Enlarging) -> float:
    return length(x.projector(x.delta)) / length(x.delta) - 1


@dataclass(frozen=True, eq=False)
class _Priced:
    """An edit with its own keys and residual, keys to preserve, and a projector."""

    W: np.ndarray
    projector: SparseProjector
    delta: np.ndarray
    own: np.ndarray
    residual: np.ndarray
    kept: np.ndarray
    s: float

    def price(self, after: np.ndarray, *, power: int = 1) -> float:
        """Interference per surviving edit, each as a share of what it was."""
        interference = length(after @ self.kept) / length(self.delta @ self.kept)
        survival = np.sum((after @ self.own) * self.residual) / np.sum(
            (self.delta @ self.own) * self.residual
        )
        return float(interference**power / survival)

    def norm_of(self, after: np.ndarray) -> float:
        """‖·‖ as a share of ‖ΔW P‖."""
        return length(after) / length(self.projector(self.delta))

    def shrunk(self) -> np.ndarray:
        """c ΔW with the norm of ΔW P."""
        return NormMatchedShrinkage(self.projector)(self.delta)


@st.composite
def _priced(draw: Draw) -> _Priced:
    x = draw(projected(alpha=st.sampled_from([0.5, 0.8, 0.3])))
    n, d = x.W.shape
    batch = draw(strategies.batches(n, d))
    delta = draw(
        strategies.edits(x.W, directions=("random", "low-rank"), size=st.sampled_from([0.1, 1.0, 1e-3]))
    )
    kept = draw(strategies.inputs(d, condition=st.sampled_from([1.0, 10.0])))
    return _Priced(x.W, x.projector, delta, batch.keys, batch.values, kept, draw(EXPONENTS))


def _priced_at(x: _Priced, after: np.ndarray, *, power: int = 1) -> float:
    """It is as long as ΔW P, and its price is 1: less interference, and less of the edit by as much."""
    return min(equality(x.price(after, power=power), 1.0), equality(x.norm_of(after), 1.0))


def _energy_shrinks_too(x: _Priced) -> float:
    before, after = (energy_change(x.W, delta, s=x.s).change for delta in (x.delta, x.shrunk()))
    return equality(after, length(x.shrunk()) / length(x.delta) * before, 1e-3)


@dataclass(frozen=True, eq=False)
class _Shared:
    """The gradient of HE and a random basis of the space that the neurons span.

    Attributes
    ----------
    slope
        ∇HE, (n, d).
    basis
        Orthonormal, (d, k), k the rank of W.
    r
        At most k.
    """

    slope: np.ndarray
    basis: np.ndarray
    r: int

    @property
    def k(self) -> int:
        """The rank of W."""
        return self.basis.shape[1]

    def share(self, columns: Any) -> float:
        """‖∇HE U‖²/‖∇HE‖² for some columns of the basis."""
        return (length(self.slope @ self.basis[:, columns]) / length(self.slope)) ** 2

    def shares(self) -> np.ndarray:
        """Shares of k subspaces of r dimensions in which each direction of the basis stands r times."""
        return np.array([self.share([(i + j) % self.k for j in range(self.r)]) for i in range(self.k)])


@st.composite
def _shared(draw: Draw) -> _Shared:
    W, s = draw(with_exponent(MANY_MOVING))
    slope = energy_gradient(W, s=s)
    # Of the directions: a row of 1e-8 spans as much as one of 1e8.
    _, values, right = np.linalg.svd(literal.units(W), full_matrices=False)
    k = int((values > 1e-9 * values[0]).sum())
    turn = draw(strategies.inputs(k, m=k))
    return _Shared(slope, right[:k].T @ turn, draw(st.integers(1, k)))


def _mean_share(x: _Shared, expected: float, *, power: float = 1.0) -> float:
    """All of it lies in the span of the neurons, and r of its k dimensions hold r/k of it on average."""
    everything = equality(x.share(slice(None)), 1.0, _SPAN)
    return min(everything, equality(float(np.mean(x.shares() ** power)), expected, _SPAN))


OPERATOR: dict[str, Property] = {
    "O1": Property(
        "P is symmetric with eigenvalues 1 − α (r times) and 1",
        projected(),
        lambda x: _spectrum(x, lambda a: 1 - a),
        (
            Mutant("(1 − α)² for 1 − α", lambda x: _spectrum(x, lambda a: (1 - a) ** 2)),
            Mutant("1 + α for 1 − α", lambda x: _spectrum(x, lambda a: 1 + a)),
            Mutant("1 − α for d − r of them", lambda x: _spectrum(x, lambda a: 1 - a, x.d - x.r)),
            Mutant("α one percent larger", lambda x: _spectrum(x, lambda a: 1 - 1.01 * a)),
        ),
    ),
    "O2": Property(
        "P² = I − α(2 − α)UUᵀ",
        projected(),
        lambda x: _square(x, lambda a: a * (2 - a)),
        (
            Mutant("P² = P, as the paper has it", lambda x: _square(x, lambda a: a)),
            Mutant("α² for α(2 − α)", lambda x: _square(x, lambda a: a * a)),
            Mutant("2α for α(2 − α): the square of α lost", lambda x: _square(x, lambda a: 2 * a)),
            Mutant("α(2 − α) one percent larger", lambda x: _square(x, lambda a: 1.01 * a * (2 - a))),
        ),
    ),
    "O3": Property(
        "‖ΔW P‖² = ‖ΔW‖² − α(2 − α)‖ΔW U‖² ≤ ‖ΔW‖² for α in [0, 2], and not for α = −0.02 or 2.02",
        projected(),
        _contraction,
        (
            Mutant("‖ΔW P‖ ≤ |1 − α|‖ΔW‖", lambda x: _shortened(x, abs(1 - x.alpha))),
            Mutant("‖ΔW P‖ ≤ (1 − αr/d)‖ΔW‖", lambda x: _shortened(x, 1 - x.alpha * x.r / x.d)),
            Mutant("up to α = 2.02 too", lambda x: -_outside(x, OUTSIDE[1])),
            Mutant("from α = −0.02 on", lambda x: -_outside(x, OUTSIDE[0])),
            Mutant("strictly for every edit where 0 < α < 2", _always_shorter),
        ),
    ),
    "O4": Property(
        "ΔW P = (1 − α)ΔW for rows in span(U)",
        projected(),
        lambda x: _principal(x, lambda a: 1 - a),
        (
            Mutant("(1 − α)² for 1 − α", lambda x: _principal(x, lambda a: (1 - a) ** 2)),
            Mutant("α for 1 − α", lambda x: _principal(x, lambda a: a)),
            Mutant("for any rows", lambda x: _principal(x, lambda a: 1 - a, along=False)),
            Mutant("α one percent larger", lambda x: _principal(x, lambda a: 1 - 1.01 * a)),
        ),
    ),
    "O5": Property(
        "the released rank is the paper's plus one at a tie, and the same a share of 1e-9 off it",
        _tied(),
        lambda x: _rules(x, (0, 1), (0, 0)),
        (
            Mutant("they never differ", lambda x: _rules(x, (0, 0), (0, 0))),
            Mutant("they differ by one off ties too", lambda x: _rules(x, (0, 1), (0, 1))),
            Mutant("the released rank is the smaller", lambda x: _rules(x, (0, -1), (0, 0))),
            Mutant("S_r > η for S_r ≥ η in the paper's rule", lambda x: _rules(x, (1, 1), (0, 0))),
            Mutant("a share 1e-13 off is no tie", lambda x: _rules(x, (0, 1), (0, 0), shift=1e-13)),
        ),
    ),
    "O6": Property(
        "near the exact counterexample P makes |ΔHE| larger and ‖ΔW‖ smaller, at any scale, rotation and s",
        _enlarging(),
        _enlarged,
        (
            Mutant("P makes |ΔHE| no larger, as the paper has it", _not_enlarged),
            Mutant("any shortening by as much does the same", _any_shortening),
            Mutant("P makes |ΔHE| twice as large at least", lambda x: _enlarged(x, 2.0)),
            Mutant("‖ΔW P‖ > ‖ΔW‖ there", _longer),
        ),
    ),
    "O7": Property(
        "an edit shrunk to ‖ΔW P‖ in its own direction interferes at the price 1, whatever the keys",
        _priced(),
        lambda x: _priced_at(x, x.shrunk()),
        (
            Mutant("so does ΔW P", lambda x: _priced_at(x, x.projector(x.delta))),
            Mutant("c = 1 − α", lambda x: _priced_at(x, (1 - x.projector.alpha) * x.delta)),
            Mutant("squared interference", lambda x: _priced_at(x, x.shrunk(), power=2)),
            Mutant("c one percent larger", lambda x: _priced_at(x, 1.01 * x.shrunk())),
            Mutant("and ΔHE shrinks by c as well", _energy_shrinks_too),
        ),
    ),
    "O8": Property(
        "‖∇HE‖² lies in the span of the neurons, and random r of its k dimensions hold r/k of it on average",
        _shared(),
        lambda x: _mean_share(x, x.r / x.k),
        (
            Mutant("r/d for r/k", lambda x: _mean_share(x, x.r / len(x.basis))),
            Mutant("r/n for r/k", lambda x: _mean_share(x, x.r / len(x.slope))),
            Mutant("‖∇HE‖ for ‖∇HE‖²", lambda x: _mean_share(x, x.r / x.k, power=0.5)),
            Mutant("r/k one percent larger", lambda x: _mean_share(x, 1.01 * x.r / x.k)),
        ),
    ),
}
