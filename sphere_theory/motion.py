"""An edit as a motion of the neurons: how far each turns, and what that does to HE.

Every number comes with a bound of its rounding, so that whoever compares two of them can tell a violated
inequality from a rounded one. The bounds are worst cases of float64 sums, doubled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import Array, as_matrix, as_real, full_precision
from sphere_theory.energy import off_diagonal, potential
from sphere_theory.neurons import CHUNK, Neurons, as_neurons
from sphere_theory.pairs import pair_tangents
from sphere_theory.tiles import Tile, opposite_pairs, tiles
from sphere_theory.updates import as_edit

# Pairs of one edit whose squared distance moves by less than this share: there the change is
# computed from the edit; beyond it the difference of the two potentials loses nothing.
_SMALL_MOVE = 0.5

# Twice the unit roundoff of float64; and the squared distances, D² or 4 − D², below which `tiles`
# recomputes a pair to full relative precision.
EPS = torch.finfo(torch.float64).eps
RESOLVED = 1e-4


@dataclass(frozen=True, eq=False)
class Motion:
    """The neurons before and after an edit, and how far each of them moves.

    Attributes
    ----------
    before, after
        Neurons of W and of W + ΔW.
    step
        Δw_i on the scale of `before.rows`, (n, d), float64.
    units
        û_i before, (n, d), float64.
    moves
        e_i = û'_i − û_i, (n, d), computed from Δw_i.
    turns
        δ_i, angle between w_i and w_i + Δw_i, (n,), radians.
    share
        ρ_i = ‖Δw_i‖/‖w_i + Δw_i‖, (n,): the rounding of what moves is a multiple of it.
    """

    before: Neurons
    after: Neurons
    step: Float[Tensor, "n d"]
    units: Float[Tensor, "n d"]
    moves: Float[Tensor, "n d"]
    turns: Float[Tensor, " n"]
    share: Float[Tensor, " n"]

    @property
    def eps(self) -> float:
        """η, a bound of the rounding of an inner product of two unit vectors."""
        return (self.units.shape[1] + 32) * EPS

    @property
    def turn_rounding(self) -> Float[Tensor, " n"]:
        """Bound of the rounding of δ_i, radians."""
        return 4 * self.eps * self.share

    def longer(self) -> Float[Tensor, " n"]:
        """max(‖w_i‖, ‖w_i + Δw_i‖), (n,), unit of W."""
        return torch.maximum(self.before.true_norms(), self.after.true_norms())

    def reaches(self) -> Float[Tensor, " n"]:
        """m_i, distance from the origin to the segment from w_i to w_i + Δw_i, (n,), unit of W."""
        along = (self.units * self.step).sum(dim=1)
        across = torch.linalg.vector_norm(self.step - along[:, None] * self.units, dim=1)
        length = self.step.square().sum(dim=1)
        nearest = torch.where(length > 0, -self.before.norms * along / length, 0.0).clamp(0, 1)
        reach = torch.hypot(self.before.norms + nearest * along, nearest * across)
        return torch.ldexp(reach, self.before.exponents)


def as_motion(W: Array, delta: object) -> Motion:
    """Check weights and edit, and measure how far each neuron moves.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch.
    delta
        Edit ΔW, (n, d) or a `LowRankUpdate`.

    Returns
    -------
    Motion
        In float64.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError
        As for `energy`; also shapes that do not fit, or an edit that makes a row zero.
    """
    before = as_neurons(W)
    edit = as_edit(delta, "delta", rows=before.count, columns=before.rows.shape[1]).double()
    return moved(before, as_neurons(as_matrix(W, "W").double() + edit, "W + delta"), edit)


def moved(before: Neurons, after: Neurons, edit: Float[Tensor, "n d"]) -> Motion:
    """The motion between two sets of neurons whose difference is known to full relative precision.

    Parameters
    ----------
    before, after
        Neurons of W and of W + ΔW.
    edit
        ΔW, (n, d), float64.

    Returns
    -------
    Motion
        e_i = (Δw_i − (‖ŵ_i‖ − ‖w_i‖) û_i)/‖ŵ_i‖, without the difference of two directions.
    """
    step, units, norms = before.on_scale(edit), before.directions(slice(None)), before.norms
    along = (units * step).sum(dim=1)
    across = torch.linalg.vector_norm(step - along[:, None] * units, dim=1)
    length = torch.ldexp(after.norms, after.exponents - before.exponents)
    size = torch.linalg.vector_norm(step, dim=1)
    growth = (2 * norms * along + size.square()) / (length + norms)
    moves = (step - growth[:, None] * units) / length[:, None]
    return Motion(before, after, step, units, moves, torch.atan2(across, norms + along), size / length)


def distance_rounding(tile: Tile, eps: float, *, summed: bool = False) -> Float[Tensor, "a b"]:
    """Bound of the relative rounding of each D² of a float64 tile.

    Parameters
    ----------
    tile
        A tile of `tiles(neurons, exact=True)`.
    eps
        η of the neurons.
    summed
        Whether the rows are W + ΔW, rounded to float64: a pair's small distance carries that rounding.

    Returns
    -------
    Tensor
        Same shape as `tile.squared`.
    """
    rounding = 2 * eps / tile.squared
    if len(tile.near):
        # Recomputed from the rows: the relative error is that of the rows.
        squared = tile.squared[tile.inside(tile.near)]
        rounding[tile.inside(tile.near)] = eps + (8 * EPS / squared.clamp_min(EPS**2).sqrt() if summed else 0)
    return rounding


class EnergyChange(NamedTuple):
    """Energies before and after an edit, and their difference to full relative precision.

    Attributes
    ----------
    before, after
        HE_s(W) and HE_s(W + ΔW).
    change
        HE_s(W + ΔW) − HE_s(W), not computed as that difference.
    rounding
        How far `change` may be from the exact change of the stored numbers, at most.
    """

    before: float
    after: float
    change: float
    rounding: float


@full_precision()
def energy_change(W: Array, delta: object, *, s: float = 1.0) -> EnergyChange:
    """Energy before and after an edit, with the change accurate however small the edit is.

    Each pair's squared distance changes by −2(ĉ_ij − c_ij) = −2(e_i·û'_j + û_i·e_j), where
    e_i = û'_i − û_i is computed from Δw_i; subtracting two energies would leave no digit of an edit of
    relative size 1e-8. All in float64.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row.
    delta
        Edit ΔW, (n, d) or a `LowRankUpdate`.
    s
        Exponent, s ≥ 0.

    Returns
    -------
    EnergyChange
        Before, after, change, its rounding; `inf` and `nan` follow IEEE rules where neurons coincide.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError
        As for `energy`; also when shapes differ, or the edit makes a row zero.
    """
    return change_along(as_motion(W, delta), as_real(s, "s", low=0))


def change_along(motion: Motion, s: float) -> EnergyChange:
    """As `energy_change`, of a motion that is known already.

    Parameters
    ----------
    motion
        The neurons and how they move.
    s
        Exponent.

    Returns
    -------
    EnergyChange
        Before, after, change, its rounding.
    """
    start = end = change = rounding = size = 0.0
    for old, new in _both_ends(motion, s):
        turned = cosines_along(motion, old, motion.moves, second_order=True)
        first, last = (off_diagonal(potential(tile.squared, s), tile) for tile in (old, new))
        gain = off_diagonal(_gain(old.squared, turned * -2, first, last, s), old)
        error = off_diagonal(_gain_rounding(motion, old, new, turned * -2, first, last, s), old)
        start += old.multiplicity * float(first.sum())
        end += old.multiplicity * float(last.sum())
        change += old.multiplicity * float(gain.sum())
        rounding += old.multiplicity * float(error.sum())
        size += old.multiplicity * float(gain.abs().sum())
    return EnergyChange(start, end, change, rounding + 64 * EPS * size)


def _both_ends(motion: Motion, s: float = 1.0) -> Iterator[tuple[Tile, Tile]]:
    """The same tiles of the neurons before and after.

    Parameters
    ----------
    motion
        The neurons.
    s
        Exponent that decides which pairs are recomputed.

    Yields
    ------
    tuple of Tile
        Before and after.
    """
    yield from zip(tiles(motion.before, s=s, exact=True), tiles(motion.after, s=s, exact=True), strict=True)


def cosines_along(
    motion: Motion, tile: Tile, vectors: Float[Tensor, "n d"], *, second_order: bool = False
) -> Float[Tensor, "a b"]:
    """x_i·û_j + û_i·x_j of a tile, and x_i·x_j if asked for: how c_ij moves when û_i moves by x_i.

    Parameters
    ----------
    motion
        The neurons.
    tile
        A float64 tile of the neurons before.
    vectors
        x_i, (n, d): tangents at û_i, or with `second_order` the moves e_i, which leave the sphere's
        tangent plane by −‖e_i‖²/2 along û_i.
    second_order
        Whether x_i·x_j belongs to it.

    Returns
    -------
    Tensor
        Same shape as `tile.squared`; relative to D_ij, or to 2 − D_ij, where that is small.
    """
    i, j = tile.rows, tile.cols
    there = motion.units[j] + vectors[j] if second_order else motion.units[j]
    turned = vectors[i] @ there.T + motion.units[i] @ vectors[j].T
    for pairs, sign in ((tile.near, 1), (opposite_pairs(tile), -1)):
        # An empty tensor splits into one empty chunk, which is no less work than a small one.
        for chunk in pairs.split(max(1, CHUNK // vectors.shape[1])) if len(pairs) else ():
            turned[tile.inside(chunk)] = _sharp(motion.before, chunk, vectors, sign, second_order)
    return turned


def _sharp(
    neurons: Neurons, pairs: Tensor, vectors: Float[Tensor, "n d"], sign: int, second_order: bool
) -> Float[Tensor, " k"]:
    """The same of pairs so close, or so opposite, that x_i·û_j is a difference of much more."""
    # x_i·û_j = x_i·t_ij + c_ij x_i·û_i with the tangent t_ij = û_j − c_ij û_i, and û_i·e_i = −‖e_i‖²/2.
    there, squared = pair_tangents(neurons, pairs, sign=sign)
    back, _ = pair_tangents(neurons, pairs.flip(1), sign=sign)
    x, y = vectors[pairs[:, 0]], vectors[pairs[:, 1]]
    first = (x * there).sum(dim=1) + (y * back).sum(dim=1)
    if not second_order:
        return first
    lost = (x.square().sum(dim=1) + y.square().sum(dim=1)) / 2
    return first + (x * y).sum(dim=1) - sign * (1 - squared / 2) * lost


def move_rounding(motion: Motion, tile: Tile) -> Float[Tensor, "a b"]:
    """Bound of the rounding of what `cosines_along` gives for the moves, or for tangents of their length.

    Parameters
    ----------
    motion
        The neurons and how they move.
    tile
        A float64 tile of the neurons before.

    Returns
    -------
    Tensor
        Same shape as `tile.squared`.
    """
    share = motion.share[tile.rows, None] + motion.share[tile.cols]
    rounding = 32 * motion.eps * share
    for pairs in (tile.near, opposite_pairs(tile)):
        if len(pairs):
            inside = tile.inside(pairs)
            squared = tile.squared[inside]
            gap = torch.minimum(squared, (4 - squared).clamp_min(motion.eps)).sqrt()
            # Tangents of such a pair are as short as its gap is, and so is what rounding makes of them.
            rounding[inside] *= (2 * gap + share[inside]).clamp_max(1)
    return rounding


def _gain(squared: Tensor, shift: Tensor, first: Tensor, last: Tensor, s: float) -> Tensor:
    """Change of each pair's potential when D² becomes D² + shift."""
    share = shift / squared
    small = share.abs() < _SMALL_MOVE
    growth = torch.log1p(torch.where(small, share, 0.0)) * -0.5
    gain = growth if s == 0 else first * torch.expm1(s * growth)
    return torch.where(small, gain, last - first)


def _gain_rounding(
    motion: Motion, old: Tile, new: Tile, shift: Tensor, first: Tensor, last: Tensor, s: float
) -> Tensor:
    """Bound of the rounding of each pair's gain, through D² and through what moves it."""
    # |d potential| = (s/2) D^(−s) |dD²|/D², and at s = 0 half of |dD²|/D².
    pair = torch.ones_like(first) if s == 0 else s * torch.maximum(first, last)
    share = (shift / old.squared).abs()
    relative = distance_rounding(old, motion.eps) + distance_rounding(new, motion.eps, summed=True)
    through_moves = 2 * move_rounding(motion, old) / old.squared
    small = share < _SMALL_MOVE
    return pair * torch.where(small, through_moves + (2 + s) * share * relative, 2 * relative)
