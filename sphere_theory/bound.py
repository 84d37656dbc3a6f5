"""Theorem 1 of SPHERE, |ΔV| ≥ (ΔHE/K)²: its constants, and an audit of any edit against it.

The paper (arXiv 2510.01172, Appendix C.1) bounds the output change of an edit from below by its
change of energy, for orthonormal inputs and small edits. What K is, what |ΔV| can mean and which
inputs do is worked out in the ledger (B1 to B7). Three constants are in use here:

- gradient: ‖∇HE(W)‖_F, first order only;
- triangle: its upper bound by the triangle inequality, first order too;
- certified: an upper bound of the gradient along the whole edit, so that |ΔHE| ≤ K‖ΔW‖_F exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import Array, as_choice, as_matrix, as_real, frobenius, full_precision
from sphere_theory.energy import (
    energy_change,
    energy_gradient,
    gradient_factor,
    off_diagonal,
    potential,
)
from sphere_theory.errors import CertificateError, CoincidentNeuronsError, InputError
from sphere_theory.neurons import Neurons, Tile, as_neurons, opposite_squares, require_distinct, tiles
from sphere_theory.updates import as_edit

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

KINDS = ("gradient", "triangle", "certified")

# XᵀX may be this far from I and X still count as orthonormal: float32 bases are.
ORTHONORMAL = 1e-5

# Two sides of an inequality closer than this, relatively, are equal to the rounding of either.
ROUNDING = 1e-11


@dataclass(frozen=True)
class Motion:
    """How far an edit turns and shrinks the neurons.

    Attributes
    ----------
    turns
        δ_i, angle between w_i and w_i + Δw_i, (n,), radians.
    reach
        m_i, distance from the origin to the segment from w_i to w_i + Δw_i, (n,), unit of W.
    smallest_gap
        min φ_ij = min (θ_ij − δ_i − δ_j), radians; infinite for a single neuron.
    pair
        Where it is reached.
    """

    turns: Float[Tensor, " n"]
    reach: Float[Tensor, " n"]
    smallest_gap: float
    pair: tuple[int, int]

    def obstacle(self) -> str:
        """Why the certificate does not apply to the edit, or nothing if it does."""
        if float(self.reach.min()) <= 0:
            return f"neuron {int(self.reach.argmin())} passes through the origin"
        if self.smallest_gap <= 0:
            i, j = self.pair
            return f"neurons {i} and {j} may meet: φ = {self.smallest_gap:.4g} ≤ 0"
        return ""


def motion(neurons: Neurons, edit: Float[Tensor, "n d"]) -> Motion:
    """Measure turns, reaches and the smallest gap of an edit.

    Parameters
    ----------
    neurons
        The unedited neurons.
    edit
        ΔW, (n, d).

    Returns
    -------
    Motion
        In float64; see its attributes.
    """
    step = neurons.on_scale(edit)
    units = neurons.directions(slice(None))
    along = (units * step).sum(dim=1)
    across = torch.linalg.vector_norm(step - along[:, None] * units, dim=1)
    turns = torch.atan2(across, neurons.norms + along)
    length = step.square().sum(dim=1)
    nearest = torch.where(length > 0, -neurons.norms * along / length, 0.0).clamp(0, 1)
    reach = torch.hypot(neurons.norms + nearest * along, nearest * across)
    gap, pair = math.inf, (0, 0)
    for tile in tiles(neurons, exact=True):
        value, flat = _gaps(neurons, tile, turns).flatten().min(dim=0)
        if value < gap:
            i, j = divmod(int(flat), tile.squared.shape[1])
            i, j = sorted((tile.rows.start + i, tile.cols.start + j))
            gap, pair = float(value), (i, j)
    return Motion(turns, torch.ldexp(reach, neurons.exponents), gap, pair)


def _gaps(neurons: Neurons, tile: Tile, turns: Float[Tensor, " n"]) -> Float[Tensor, "a b"]:
    """φ_ij = θ_ij − δ_i − δ_j; infinite for a neuron and itself."""
    angles = 2 * torch.atan2(tile.squared.sqrt(), opposite_squares(neurons, tile).sqrt())
    if tile.diagonal:
        angles.fill_diagonal_(torch.inf)
    return angles - turns[tile.rows, None] - turns[tile.cols]


@full_precision()
def bound_constant(W: Array, delta: object = None, *, kind: str = "gradient", s: float = 1.0) -> float:
    """Constant K of Theorem 1, with |ΔHE_s| ≤ K‖ΔW‖_F to first order or exactly.

    - "gradient": K = ‖∇HE_s(W)‖_F (ledger B3);
    - "triangle": K² = Σ_i [(2s/‖w_i‖) Σ_{j≠i} D_ij^(−s−1) √(1 − D_ij²/4)]² (B4);
    - "certified": K² = Σ_i [(2s/m_i) Σ_{j≠i} d_ij^(−s−1) √(1 − d_ij²/4)]² with d_ij = 2 sin(φ_ij/2),
      φ_ij = θ_ij − δ_i − δ_j (B5). The only one that holds for a finite edit.

    For s = 0 the factor is 2 instead of 2s. Everything is computed in float64.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch.
    delta
        Edit ΔW, (n, d) or a `LowRankUpdate`; needed for "certified", ignored by the others.
    kind
        "gradient", "triangle" or "certified".
    s
        Exponent, s ≥ 0.

    Returns
    -------
    float
        K, in 1/unit of W.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError
        As for `energy`; also a `delta` of another shape than W.
    InputError
        "certified" without `delta`.
    CoincidentNeuronsError
        Two neurons share a direction.
    CertificateError
        "certified" where some φ_ij ≤ 0 or m_i = 0: no finite constant covers the edit.
    """
    as_choice(kind, "kind", KINDS)
    s = as_real(s, "s", low=0)
    neurons = as_neurons(W)
    if kind == "gradient":
        wide = as_matrix(W, "W").double()
        return frobenius(energy_gradient(wide, s=s))
    if kind == "triangle":
        return _triangle(neurons, s)
    if delta is None:
        raise InputError("delta", "the edit that the constant is to cover", "None")
    edit = as_edit(delta, "delta", rows=neurons.count, columns=neurons.rows.shape[1])
    return _certified(neurons, motion(neurons, edit), s).constant


def _row_sums(neurons: Neurons, force: Callable[[Tile], Tensor]) -> Float[Tensor, " n"]:
    """Σ_{j≠i} force_ij for every i, for a symmetric function of a tile."""
    sums = torch.zeros_like(neurons.norms)
    for tile in tiles(neurons, exact=True):
        require_distinct(tile, "W")
        values = off_diagonal(force(tile), tile)
        sums[tile.rows] += values.sum(dim=1)
        if not tile.diagonal:
            sums[tile.cols] += values.sum(dim=0)
    return sums


def _triangle(neurons: Neurons, s: float) -> float:
    def force(tile: Tile) -> Tensor:
        return potential(tile.squared, s + 1) * opposite_squares(neurons, tile).sqrt() / 2

    return _norm_of(_row_sums(neurons, force), neurons.true_norms(), s)


class _Certificate(NamedTuple):
    """K_cert, and the energy's change that the angles leave room for."""

    constant: float
    change: float


def _certified(neurons: Neurons, moved: Motion, s: float) -> _Certificate:
    if obstacle := moved.obstacle():
        for tile in tiles(neurons, exact=True):  # coincidence is the plainer reason, if it is one
            require_distinct(tile, "W")
        raise CertificateError("delta", "an edit along which no two neurons can meet", obstacle, [moved.pair])

    def force(tile: Tile) -> Tensor:
        # sin and cos of φ/2 = θ/2 − τ from those of θ/2, which are D/2 and √(4 − D²)/2: the angle itself
        # would lose the digits of a cosine near π/2.
        sine, cosine = tile.squared.sqrt() / 2, opposite_squares(neurons, tile).sqrt() / 2
        tau = (moved.turns[tile.rows, None] + moved.turns[tile.cols]) / 2
        distance = 2 * (sine * tau.cos() - cosine * tau.sin())
        return potential(distance.square(), s + 1) * (cosine * tau.cos() + sine * tau.sin())

    sums = _row_sums(neurons, force)
    # Along the edit û_i travels an arc of δ_i, and δ_i m_i ≤ ‖Δw_i‖: never more than K‖ΔW‖_F.
    change = gradient_factor(s) * float((moved.turns * sums).sum())
    return _Certificate(_norm_of(sums, moved.reach, s), change)


def _norm_of(sums: Float[Tensor, " n"], lengths: Float[Tensor, " n"], s: float) -> float:
    return gradient_factor(s) * frobenius(sums / lengths)


@dataclass(frozen=True)
class BoundCheck:
    """One reading of Theorem 1, checked on one edit.

    Attributes
    ----------
    kind
        Which constant: "gradient", "triangle" or "certified".
    constant
        K, 1/unit of W; nan where it does not exist.
    lower_bound
        What ‖ΔV‖_F² has to reach: (ΔHE/K)² for the first-order constants, as the paper has it, and
        σ²(ΔHE/K)² for the certified one.
    verdict
        "holds", "violated" or "not applicable".
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
    first_order_change
        ⟨∇HE(W), ΔW⟩, what the paper's Taylor step keeps.
    angular_bound
        Σ_i 2s δ_i Σ_{j≠i} d_ij^(−s−1) √(1 − d_ij²/4) (2 for 2s at s = 0), symbols as for the certified
        constant: |ΔHE| ≤ this ≤ K‖ΔW‖_F; rounding alone where no neuron turns, nan without certificate.
    edit_norm, relative_edit
        ‖ΔW‖_F and ‖ΔW‖_F/‖W‖_F.
    output_change_squared
        ‖ΔV‖_F² = ‖ΔW X‖_F².
    orthonormality_error
        ‖XᵀX − I‖₂; 0 where no inputs were given.
    input_strength
        σ, the largest with X Xᵀ ⪰ σ²I on the row space of ΔW; 1 where no inputs were given.
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
    first_order_change: float
    angular_bound: float
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
            "gradient", "triangle" or "certified".

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
            ("|ΔHE| at most, by the angles", f"{self.angular_bound:.6g}"),
            ("‖ΔW‖_F (relative)", f"{self.edit_norm:.6g} ({self.relative_edit:.3g})"),
            ("‖ΔV‖_F²", f"{self.output_change_squared:.6g}"),
            ("‖XᵀX − I‖₂", f"{self.orthonormality_error:.3g}"),
            ("σ on the row space of ΔW", f"{self.input_strength:.6g}"),
            ("largest turn δ", f"{self.largest_turn:.6g} rad"),
            ("smallest gap φ", f"{self.smallest_gap:.6g} rad, neurons {i} and {j}"),
        ]

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
    first-order constants are held to the paper's statement, which asks for XᵀX = I; the certified one to
    ‖ΔW X‖_F² ≥ σ²(ΔHE/K)², which is proved for every edit it applies to (B5). A violated claim is reported,
    never raised. Computed in float64; ΔHE is accurate for edits of any size.

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
    neurons = as_neurons(W)
    n, d = neurons.rows.shape
    wide = as_matrix(W, "W").double()
    edit = as_edit(delta, "delta", rows=n, columns=d).double()
    X = None if inputs is None else as_matrix(inputs, "inputs", rows=d).double().to(wide.device)
    change = energy_change(wide, edit, s=s)
    moved = motion(neurons, edit)
    slope, constants = _constants(neurons, wide, moved, s)
    error = 0.0 if X is None else _orthonormality_error(X)
    strength = 1.0 if X is None else _strength(edit, X)
    output = float((edit if X is None else edit @ X).square().sum())
    edit_norm = frobenius(edit)
    return BoundAudit(
        n=n,
        d=d,
        m=d if X is None else X.shape[1],
        s=s,
        energy_before=change.before,
        energy_after=change.after,
        energy_change=change.change,
        first_order_change=math.nan if slope is None else float((slope * edit).sum()),
        angular_bound=constants["certified"].change,
        edit_norm=edit_norm,
        relative_edit=edit_norm / frobenius(wide),
        output_change_squared=output,
        orthonormality_error=error,
        input_strength=strength,
        largest_turn=float(moved.turns.max()),
        smallest_gap=moved.smallest_gap,
        closest_pair=moved.pair,
        checks=tuple(_check(kind, constants[kind], change.change, output, error, strength) for kind in KINDS),
    )


@dataclass(frozen=True)
class _Constant:
    value: float
    obstacle: str = ""
    change: float = math.nan


def _constants(
    neurons: Neurons, W: Float[Tensor, "n d"], moved: Motion, s: float
) -> tuple[Float[Tensor, "n d"] | None, dict[str, _Constant]]:
    """The gradient and the three constants, or why one does not exist."""
    try:
        slope = energy_gradient(W, s=s)
    except CoincidentNeuronsError as error:
        return None, dict.fromkeys(KINDS, _Constant(math.nan, f"{error.where[0]} coincide: HE is infinite"))
    steepest, triangle = frobenius(slope), _triangle(neurons, s)
    vanishes = steepest <= 1e-13 * triangle
    obstacle = moved.obstacle()
    certified = _Certificate(math.nan, math.nan) if obstacle else _certified(neurons, moved, s)
    return slope, {
        "gradient": _Constant(steepest, "∇HE(W) = 0: the first order says nothing" if vanishes else ""),
        "triangle": _Constant(triangle, "" if triangle > 0 else "no two neurons pull on each other"),
        "certified": _Constant(certified.constant, obstacle, certified.change),
    }


def _check(
    kind: str, constant: _Constant, change: float, output: float, error: float, strength: float
) -> BoundCheck:
    K, obstacle = constant.value, constant.obstacle
    if kind != "certified" and not obstacle and error > ORTHONORMAL:
        obstacle = f"inputs not orthonormal: ‖XᵀX − I‖₂ = {error:.3g}"
    if not obstacle and not math.isfinite(change):
        obstacle = "HE is infinite after the edit"
    if obstacle:
        return BoundCheck(kind, K, math.nan, "not applicable", obstacle, math.nan)
    scale = strength if kind == "certified" else 1.0
    needed = (scale * change / K) ** 2 if change else 0.0
    tightness = needed / output if output else (math.inf if needed else math.nan)
    if output >= needed * (1 - ROUNDING):
        reason = (
            "‖ΔV‖² is large enough"
            if needed
            else "nothing is asked for: " + ("σ = 0" if change else "ΔHE = 0")
        )
        return BoundCheck(kind, K, needed, "holds", reason, tightness)
    return BoundCheck(kind, K, needed, "violated", f"‖ΔV‖² = {output:.6g} < {needed:.6g}", tightness)


def _orthonormality_error(X: Float[Tensor, "d m"]) -> float:
    """‖XᵀX − I‖₂, from the smaller of the two Gram matrices of X."""
    d, m = X.shape
    squares = torch.linalg.eigvalsh(X.T @ X if m <= d else X @ X.T)
    error = float((squares - 1).abs().max())
    return error if m <= d else max(1.0, error)  # more inputs than dimensions: XᵀX is singular


def _strength(edit: Float[Tensor, "n d"], X: Float[Tensor, "d m"]) -> float:
    """σ: the smallest singular value of Xᵀ on the row space of ΔW; nan for ΔW = 0."""
    _, values, right = torch.linalg.svd(edit, full_matrices=False)
    rank = int((values > values[0] * torch.finfo(torch.float64).eps * max(edit.shape)).sum())
    if rank == 0:
        return math.nan
    if X.shape[1] < rank:
        return 0.0
    weakest = float(torch.linalg.svdvals(right[:rank] @ X)[-1])
    # Below its own rounding σ is 0: otherwise an edit that X does not see compares noise with noise.
    rounding = 4 * max(X.shape) * torch.finfo(torch.float64).eps * float(torch.linalg.matrix_norm(X))
    return weakest if weakest > rounding else 0.0
