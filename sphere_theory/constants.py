"""The constants K of Theorem 1 of SPHERE, |ΔV| ≥ (ΔHE/K)²: what |ΔHE| ≤ K‖ΔW‖_F is claimed with.

- unconditional: K* of ledger B8, for every edit, whatever its size;
- gradient: ‖∇HE(W)‖_F, what the paper's Taylor step gives (B3), first order only;
- triangle: its upper bound by the triangle inequality, which the paper's source names too (B4), first order
  only;
- certified: an upper bound of the gradient along the segment from W to W + ΔW (B5), where no two neurons can
  meet on it. It came before the unconditional one, which is never larger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import Array, as_choice, as_matrix, as_real, frobenius, full_precision
from sphere_theory.energy import energy_gradient, gradient_factor, off_diagonal, potential
from sphere_theory.errors import CertificateError, InputError
from sphere_theory.motion import EPS, RESOLVED, Motion, as_motion, change_along
from sphere_theory.neurons import as_neurons
from sphere_theory.pulls import add_to_rows, pulls, pulls_at_ends
from sphere_theory.tiles import Tile, opposite_squares, require_distinct, tiles

KINDS = ("unconditional", "gradient", "triangle", "certified")


@dataclass(frozen=True)
class Constant:
    """One constant of Theorem 1.

    Attributes
    ----------
    value
        K, 1/unit of W; nan where it does not exist.
    rounding
        Bound of its relative rounding.
    obstacle
        Why it says nothing of this edit; empty if it does.
    """

    value: float
    rounding: float = 0.0
    obstacle: str = ""


@full_precision()
def bound_constant(W: Array, delta: object = None, *, kind: str = "unconditional", s: float = 1.0) -> float:
    """Constant K of Theorem 1, with |ΔHE_s| ≤ K‖ΔW‖_F for the edit, or to first order only.

    - "unconditional": K² = Σ_i [(2s/max(‖w_i‖, ‖ŵ_i‖)) Σ_{j≠i} D_ij^(−s−1) √(1 − D_ij²/4)]²,
      ŵ_i = w_i + Δw_i, with D_ij between the ŵ_i if the edit raises HE_s, else between the w_i (ledger B8).
      It holds for every edit.
    - "gradient": K = ‖∇HE_s(W)‖_F (B3);
    - "triangle": K² = Σ_i [(2s/‖w_i‖) Σ_{j≠i} D_ij^(−s−1) √(1 − D_ij²/4)]² (B4);
    - "certified": K² = Σ_i [(2s/m_i) Σ_{j≠i} d_ij^(−s−1) √(1 − d_ij²/4)]² with d_ij = 2 sin(φ_ij/2),
      φ_ij = θ_ij − δ_i − δ_j (B5): where it exists, it holds, and is no smaller than the unconditional one.

    For s = 0 the factor is 2 instead of 2s. Everything is computed in float64.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch.
    delta
        Edit ΔW, (n, d) or a `LowRankUpdate`; ignored by "gradient" and "triangle".
    kind
        "unconditional", "gradient", "triangle" or "certified".
    s
        Exponent, s ≥ 0.

    Returns
    -------
    float
        K, in 1/unit of W.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError
        As for `energy`; also a `delta` of another shape than W, or one that makes a row zero.
    InputError
        "unconditional" or "certified" without `delta`.
    CoincidentNeuronsError
        Two neurons share a direction; for "unconditional" also after the edit.
    CertificateError
        "certified" where some φ_ij ≤ 0: no finite constant of that kind covers the edit.
    """
    as_choice(kind, "kind", KINDS)
    s, neurons = as_real(s, "s", low=0), as_neurons(W)
    if kind == "gradient":
        return frobenius(energy_gradient(as_matrix(W, "W").double(), s=s))
    if kind == "triangle":
        sums, _ = pulls(neurons, s, eps=EPS)
        return frobenius(sums / neurons.true_norms())
    if delta is None:
        raise InputError("delta", "the edit that the constant is to cover", "None")
    motion = as_motion(W, delta)
    if kind == "certified":
        return certified_constant(motion, s).value
    rises = change_along(motion, s).change > 0
    neurons, argument = (motion.after, "W + delta") if rises else (motion.before, "W")
    for tile in tiles(motion.before, exact=True) if rises else ():
        require_distinct(tile, "W")
    sums, _ = pulls(neurons, s, eps=motion.eps, argument=argument, summed=rises)
    return frobenius(sums / motion.longer())


def larger_end(motion: Motion, s: float) -> float:
    """The larger of K* with the pulls at W and with those at W + ΔW: it bounds |ΔHE| whichever end is higher.

    Parameters
    ----------
    motion
        The edit.
    s
        Exponent.

    Returns
    -------
    float
        No less than the unconditional constant, and close to it for a short step, without an energy.

    Raises
    ------
    CoincidentNeuronsError
        Two neurons share a direction, before or after.
    """
    pulled = pulls_at_ends(motion, s)
    lengths = motion.longer()
    return max(frobenius(pulled.before / lengths), frobenius(pulled.after / lengths))


@dataclass(frozen=True)
class Gap:
    """The smallest angle that an edit leaves between two neurons, whatever way they take.

    Attributes
    ----------
    angle
        min φ_ij = min (θ_ij − δ_i − δ_j), radians; infinite for a single neuron.
    pair
        Where it is reached.
    """

    angle: float
    pair: tuple[int, int]

    def obstacle(self) -> str:
        """Why two neurons may meet, or nothing if they cannot."""
        i, j = self.pair
        return f"neurons {i} and {j} may meet: φ = {self.angle:.4g} ≤ 0" if self.angle <= 0 else ""


def smallest_gap(motion: Motion) -> Gap:
    """Find the pair that an edit may bring closest.

    Parameters
    ----------
    motion
        The neurons and how far they turn.

    Returns
    -------
    Gap
        The first such pair in tile order.
    """
    gap, pair = math.inf, (0, 0)
    for tile in tiles(motion.before, exact=True):
        value, flat = _gaps(motion, tile).flatten().min(dim=0)
        if value < gap:
            i, j = divmod(int(flat), tile.squared.shape[1])
            i, j = sorted((tile.rows.start + i, tile.cols.start + j))
            gap, pair = float(value), (i, j)
    return Gap(gap, pair)


def _gaps(motion: Motion, tile: Tile) -> Float[Tensor, "a b"]:
    """φ_ij = θ_ij − δ_i − δ_j; infinite for a neuron and itself."""
    angles = 2 * torch.atan2(tile.squared.sqrt(), opposite_squares(motion.before, tile).sqrt())
    if tile.diagonal:
        angles.fill_diagonal_(torch.inf)
    return angles - motion.turns[tile.rows, None] - motion.turns[tile.cols]


def less(squared: Tensor, opposite: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """sin and cos of θ/2 − half.

    Parameters
    ----------
    squared, opposite
        D² and 4 − D² of pairs at angles θ.
    half
        What to take off, radians, of the same shape.

    Returns
    -------
    sine, cosine
        From those of θ/2, which are D/2 and √(4 − D²)/2: the angle itself would lose the digits of a cosine
        near π/2.
    """
    sine, cosine = squared.sqrt() / 2, opposite.sqrt() / 2
    return sine * half.cos() - cosine * half.sin(), cosine * half.cos() + sine * half.sin()


def certified_constant(motion: Motion, s: float, gap: Gap | None = None) -> Constant:
    """K_cert of ledger B5.

    Parameters
    ----------
    motion
        The edit.
    s
        Exponent.
    gap
        Its smallest gap, if it is known.

    Returns
    -------
    Constant
        With its rounding.

    Raises
    ------
    CoincidentNeuronsError
        Two neurons share a direction.
    CertificateError
        Some φ_ij ≤ 0.
    """
    gap = gap or smallest_gap(motion)
    if obstacle := gap.obstacle():
        for tile in tiles(motion.before, exact=True):  # coincidence is the plainer reason, if it is one
            require_distinct(tile, "W")
        raise CertificateError("delta", "an edit along which no two neurons can meet", obstacle, [gap.pair])
    sums = torch.zeros_like(motion.before.norms)
    for tile in tiles(motion.before, exact=True):
        require_distinct(tile, "W")
        half = (motion.turns[tile.rows, None] + motion.turns[tile.cols]) / 2
        sine, cosine = less(tile.squared, opposite_squares(motion.before, tile), half)
        add_to_rows(sums, off_diagonal(potential(4 * sine.square(), s + 1) * cosine, tile), tile)
    # Nothing pulls on a single neuron, even where its way leads through the origin.
    rows = torch.where(sums > 0, sums / motion.reaches(), 0.0)
    value = gradient_factor(s) * frobenius(rows)
    # An angle is rounded by at most this, and h = D^(−s−1) cos changes by a share (s + 1)/φ of it, or more
    # where its cosine vanishes.
    angle = 4 * motion.eps / RESOLVED**0.5 + 2 * float(motion.turn_rounding.max())
    return Constant(value, (s + 2) * angle / math.sin(min(gap.angle, math.pi) / 2) + 64 * EPS)
