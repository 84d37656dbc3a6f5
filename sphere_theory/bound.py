"""Theorem 1 of SPHERE, |ΔV| ≥ (ΔHE/K)², audited on any edit.

The paper (arXiv 2510.01172, Appendix C.1) bounds the output change of an edit from below by its
change of energy, for orthonormal inputs and small edits. What K is, what |ΔV| can mean and which
inputs do is worked out in the ledger (B1 to B10); `constants` has the constants, `enclosure` ΔHE itself
between two numbers. Every comparison is made with the rounding of both sides: one that this leaves open is
"undecided".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import Array, as_choice, as_matrix, as_real, frobenius, full_precision
from sphere_theory.constants import KINDS, Constant, Gap, bound_constant, certified_constant, smallest_gap
from sphere_theory.enclosure import Interval, enclose
from sphere_theory.energy import energy_gradient
from sphere_theory.errors import CoincidentNeuronsError
from sphere_theory.inputs import input_strength, orthonormality_error
from sphere_theory.motion import EPS, EnergyChange, Motion, as_motion, change_along
from sphere_theory.pulls import Pulls, pulls

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["KINDS", "ORTHONORMAL", "BoundAudit", "BoundCheck", "audit_bound", "bound_constant"]

# XᵀX may be this far from I and X still count as orthonormal: float32 bases are.
ORTHONORMAL = 1e-5

# The readings that are proved for inputs of any kind, with σ.
PROVED = ("unconditional", "certified")


@dataclass(frozen=True)
class BoundCheck:
    """One reading of Theorem 1, checked on one edit.

    Attributes
    ----------
    kind
        Which constant: "unconditional", "gradient", "triangle" or "certified".
    constant
        K, 1/unit of W; nan where it does not exist.
    lower_bound
        What ‖ΔV‖_F² has to reach: (ΔHE/K)² for the first-order constants, as the paper has it, and
        σ²(ΔHE/K)² for those that are proved.
    verdict
        "holds", "violated", "undecided" (both sides are equal to their rounding) or "not applicable".
    reason
        Why, in one line.
    tightness
        lower_bound/‖ΔV‖_F²: 1 is sharp, 1e-4 says little, above 1 is a violation; nan if both are 0.
    """

    kind: str
    constant: float
    lower_bound: float
    verdict: str
    reason: str
    tightness: float


@dataclass(frozen=True)
class BoundAudit:
    """Theorem 1 on one edit: both sides of the inequality and every assumption, measured.

    Attributes
    ----------
    n, d, m
        Neurons, dimension, number of inputs.
    s
        Exponent of the energy.
    energy_before, energy_after, energy_change
        HE_s(W), HE_s(W + ΔW), and their difference to full relative precision.
    change_rounding
        How far `energy_change` may be from the exact change of the stored numbers.
    first_order_change
        ⟨∇HE(W), ΔW⟩, what the paper's Taylor step keeps.
    angular_bound
        Σ_i 2s δ_i Σ_{j≠i} D_ij^(−s−1) √(1 − D_ij²/4) (2 for 2s at s = 0), with D_ij at the end of larger
        energy: |ΔHE| ≤ this (ledger B8); rounding alone where no neuron turns.
    enclosure
        Two certified numbers with ΔHE between them (B9).
    edit_norm, relative_edit
        ‖ΔW‖_F and ‖ΔW‖_F/‖W‖_F.
    output_change_squared
        ‖ΔV‖_F² = ‖ΔW X‖_F².
    orthonormality_error
        ‖XᵀX − I‖₂; 0 where no inputs were given.
    input_strength
        σ, the largest with X Xᵀ ⪰ σ²I on the row space of ΔW, rounded down; 1 where no inputs were given.
    largest_turn
        max δ_i, radians.
    smallest_gap, closest_pair
        min φ_ij, radians, and its pair.
    checks
        One `BoundCheck` for each constant.
    """

    n: int
    d: int
    m: int
    s: float
    energy_before: float
    energy_after: float
    energy_change: float
    change_rounding: float
    first_order_change: float
    angular_bound: float
    enclosure: Interval
    edit_norm: float
    relative_edit: float
    output_change_squared: float
    orthonormality_error: float
    input_strength: float
    largest_turn: float
    smallest_gap: float
    closest_pair: tuple[int, int]
    checks: tuple[BoundCheck, ...]

    @property
    def first_order_error(self) -> float:
        """|ΔHE − ⟨∇HE, ΔW⟩|/|ΔHE|, the Taylor term that the paper drops; nan if ΔHE = 0."""
        if self.energy_change == 0:
            return math.nan
        return abs(self.energy_change - self.first_order_change) / abs(self.energy_change)

    def check(self, kind: str) -> BoundCheck:
        """The check for one constant.

        Parameters
        ----------
        kind
            "unconditional", "gradient", "triangle" or "certified".

        Returns
        -------
        BoundCheck
            That one.

        Raises
        ------
        RangeError
            Another name.
        """
        as_choice(kind, "kind", KINDS)
        return next(check for check in self.checks if check.kind == kind)

    def facts(self) -> list[tuple[str, str]]:
        """The measured assumptions and both sides, as (name, value) in words and digits."""
        i, j = self.closest_pair
        return [
            ("weights, inputs", f"{self.n}×{self.d}, {self.m} inputs, s = {self.s:g}"),
            ("HE before → after", f"{self.energy_before:.10g} → {self.energy_after:.10g}"),
            ("ΔHE (first order)", f"{self.energy_change:.6g} ({self.first_order_change:.6g})"),
            ("ΔHE enclosed (B9)", self._enclosed()),
            ("|ΔHE| at most, by the angles (B8)", f"{self.angular_bound:.6g}"),
            ("‖ΔW‖_F (relative)", f"{self.edit_norm:.6g} ({self.relative_edit:.3g})"),
            ("‖ΔV‖_F²", f"{self.output_change_squared:.6g}"),
            ("‖XᵀX − I‖₂", f"{self.orthonormality_error:.3g}"),
            ("σ on the row space of ΔW", f"{self.input_strength:.6g}"),
            ("largest turn δ", f"{self.largest_turn:.6g} rad"),
            ("smallest gap φ", f"{self.smallest_gap:.6g} rad, neurons {i} and {j}"),
        ]

    def _enclosed(self) -> str:
        sign = {1: "HE rises", -1: "HE falls", 0: "its sign is open"}[self.enclosure.sign]
        return f"{self.enclosure.low:.6g} to {self.enclosure.high:.6g}: {sign}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table

        facts = Table(show_header=False, title="Theorem 1 on one edit")
        for name, value in self.facts():
            facts.add_row(name, value)
        yield facts
        verdicts = Table("constant", "K", "‖ΔV‖² has to reach", "tightness", "verdict", "why")
        for check in self.checks:
            numbers = (f"{v:.6g}" for v in (check.constant, check.lower_bound, check.tightness))
            verdicts.add_row(check.kind, *numbers, check.verdict, check.reason)
        yield verdicts

    def __str__(self) -> str:
        import io

        from rich.console import Console

        page = Console(file=io.StringIO(), width=120, force_jupyter=False)
        page.print(self)
        assert isinstance(page.file, io.StringIO)
        return page.file.getvalue()


@full_precision()
def audit_bound(W: Array, delta: object, inputs: Array | None = None, *, s: float = 1.0) -> BoundAudit:
    """Check |ΔV| ≥ (ΔHE/K)² on one edit, and measure every assumption behind it.

    |ΔV| is read as ‖ΔW X‖_F², the only reading under which both sides scale alike (ledger B1). The
    first-order constants are held to the paper's statement, which asks for XᵀX = I; the others to
    ‖ΔW X‖_F² ≥ σ²(ΔHE/K)², which is proved: with the unconditional constant for every edit (B8), with the
    certified one where no two neurons can meet (B5). A violated claim is reported, never raised. Computed in
    float64; ΔHE is accurate for edits of any size.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch.
    delta
        Edit ΔW, (n, d) or a `LowRankUpdate`.
    inputs
        X, (d, m), one input per column; None for an orthonormal basis of the whole space, so ΔV = ΔW.
    s
        Exponent, s ≥ 0.

    Returns
    -------
    BoundAudit
        Both sides, constants, verdicts, assumptions; prints as a table.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError
        As for `energy`; also shapes that do not fit, or an edit that makes a row zero.
    """
    s = as_real(s, "s", low=0)
    motion = as_motion(W, delta)
    n, d = motion.units.shape
    edit = torch.ldexp(motion.step, motion.before.exponents[:, None])
    X = None if inputs is None else as_matrix(inputs, "inputs", rows=d).double().to(edit.device)
    wide, size = as_matrix(W, "W").double(), frobenius(edit)
    change, gap = change_along(motion, s), smallest_gap(motion)
    slope, constants, found = _constants(motion, wide, change, gap, s)
    seen = _seen(edit, X, size)
    return BoundAudit(
        n=n,
        d=d,
        m=d if X is None else X.shape[1],
        s=s,
        energy_before=change.before,
        energy_after=change.after,
        energy_change=change.change,
        change_rounding=change.rounding,
        first_order_change=math.nan if slope is None else float((slope * edit).sum()),
        angular_bound=found.angular,
        enclosure=found.interval,
        edit_norm=size,
        relative_edit=size / frobenius(wide),
        output_change_squared=seen.output**2,
        orthonormality_error=seen.error,
        input_strength=seen.strength,
        largest_turn=float(motion.turns.max()),
        smallest_gap=gap.angle,
        closest_pair=gap.pair,
        checks=tuple(_check(kind, constants[kind], change, seen) for kind in KINDS),
    )


@dataclass(frozen=True)
class _Seen:
    """What the inputs see of an edit: ‖ΔV‖_F and its rounding, ‖XᵀX − I‖₂, σ."""

    output: float
    rounding: float
    error: float
    strength: float


def _seen(edit: Float[Tensor, "n d"], X: Float[Tensor, "d m"] | None, size: float) -> _Seen:
    if X is None:
        return _Seen(size, 64 * EPS * size, 0.0, 1.0)
    rounding = (len(X) + 32) * EPS * size * frobenius(X)
    return _Seen(frobenius(edit @ X), rounding, orthonormality_error(X), input_strength(edit, X))


@dataclass(frozen=True)
class _Found:
    """What the angles say of |ΔHE| (B8), and the interval of B9."""

    angular: float
    interval: Interval


_NOTHING = _Found(math.nan, Interval(-math.inf, math.inf))


def _constants(
    motion: Motion, W: Float[Tensor, "n d"], change: EnergyChange, gap: Gap, s: float
) -> tuple[Float[Tensor, "n d"] | None, dict[str, Constant], _Found]:
    """The gradient, the constants or why one does not exist, and ΔHE enclosed."""
    try:
        slope = energy_gradient(W, s=s)
    except CoincidentNeuronsError as error:
        missing = Constant(math.nan, obstacle=f"{error.where[0]} coincide: HE is infinite")
        return None, dict.fromkeys(KINDS, missing), _NOTHING
    sums, rounding = pulls(motion.before, s, eps=motion.eps)
    steepest, triangle = frobenius(slope), frobenius(sums / motion.before.true_norms())
    # The gradient is a sum of pulls: its rounding is a share of theirs.
    loss = 4 * rounding * triangle
    apart = not gap.obstacle()
    constants = {
        "gradient": _gradient(steepest, loss),
        "triangle": Constant(triangle, rounding, "" if triangle > 0 else "no two neurons pull on each other"),
        "certified": certified_constant(motion, s, gap) if apart else Constant(math.nan, 0.0, gap.obstacle()),
    }
    try:
        after, later = pulls(motion.after, s, eps=motion.eps, argument="W + delta", summed=True)
    except CoincidentNeuronsError:
        constants["unconditional"] = Constant(math.nan, obstacle=_INFINITE)
        return slope, constants, _NOTHING
    pulled = Pulls(sums, after, rounding, later)
    high, loss = (after, later) if change.change > 0 else (sums, rounding)
    constants["unconditional"] = Constant(frobenius(high / motion.longer()), loss)
    enclosed = enclose(motion, pulled, s)
    return slope, constants, _Found(float((motion.turns * high).sum()), Interval(enclosed.low, enclosed.high))


def _gradient(steepest: float, loss: float) -> Constant:
    if steepest <= loss:
        return Constant(steepest, obstacle="∇HE(W) = 0: the first order says nothing")
    return Constant(steepest, loss / steepest)


_INFINITE = "HE is infinite after the edit"


def _check(kind: str, constant: Constant, change: EnergyChange, seen: _Seen) -> BoundCheck:
    K, obstacle = constant.value, constant.obstacle
    if kind not in PROVED and not obstacle and seen.error > ORTHONORMAL:
        obstacle = f"inputs not orthonormal: ‖XᵀX − I‖₂ = {seen.error:.3g}"
    if not obstacle and not math.isfinite(change.change):
        obstacle = _INFINITE
    if obstacle:
        return BoundCheck(kind, K, math.nan, "not applicable", obstacle, math.nan)
    scale = seen.strength if kind in PROVED else 1.0
    needed, output = _needed(scale, change, K), seen.output**2
    tightness = needed / output if output else (math.inf if needed else math.nan)
    if not needed:
        reason = "nothing is asked for: " + ("σ = 0" if change.change and K else "ΔHE = 0")
        return BoundCheck(kind, K, 0.0, "holds", reason, tightness)
    # A basis that is orthonormal to rounding alone is no reason to call the paper's reading violated.
    share = constant.rounding + change.rounding / abs(change.change) + 8 * EPS
    share += 0.0 if kind in PROVED else seen.error
    verdict = _compare(seen.output, seen.rounding, math.sqrt(needed), share)
    reason = {
        "holds": "‖ΔV‖² is large enough",
        "violated": f"‖ΔV‖² = {output:.6g} < {needed:.6g}",
        "undecided": f"‖ΔV‖² = {output:.6g} against {needed:.6g}: rounding is as large as what is between",
    }[verdict]
    return BoundCheck(kind, K, needed, verdict, reason, tightness)


def _needed(scale: float, change: EnergyChange, K: float) -> float:
    """(scale·ΔHE/K)²; where nothing pulls, K = 0 and ΔHE is 0 up to its rounding."""
    if K == 0 or change.change == 0:
        return 0.0 if abs(change.change) <= change.rounding else math.inf
    return (scale * change.change / K) ** 2


def _compare(output: float, rounding: float, needed: float, share: float) -> str:
    """Whether output ≥ needed for certain, where they may be off by `rounding` and by a share."""
    if output - rounding >= needed * (1 + share):
        return "holds"
    return "violated" if output + rounding < needed * (1 - share) else "undecided"
