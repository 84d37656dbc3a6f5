"""How hard pairs of neurons pull on each other: the sums that the constants of Theorem 1 are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.energy import gradient_factor, off_diagonal, potential
from sphere_theory.motion import EPS, RESOLVED, Motion, distance_rounding
from sphere_theory.neurons import Neurons
from sphere_theory.tiles import Tile, opposite_squares, require_distinct, tiles


@dataclass(frozen=True, eq=False)
class Pulls:
    """How hard the pairs pull on each neuron at both ends of an edit.

    Attributes
    ----------
    before, after
        f Σ_{j≠i} D_ij^(−s−1) √(1 − D_ij²/4) with f = 2s, 2 at s = 0, at W and at W + ΔW, (n,).
    rounding_before, rounding_after
        Bounds of their relative rounding.
    """

    before: Float[Tensor, " n"]
    after: Float[Tensor, " n"]
    rounding_before: float
    rounding_after: float


def pulls_at_ends(motion: Motion, s: float) -> Pulls:
    """The pulls before and after an edit.

    Parameters
    ----------
    motion
        The neurons.
    s
        Exponent.

    Returns
    -------
    Pulls
        Unit-free.

    Raises
    ------
    CoincidentNeuronsError
        Two neurons share a direction, before or after.
    """
    before, at_first = pulls(motion.before, s, eps=motion.eps)
    after, at_last = pulls(motion.after, s, eps=motion.eps, argument="W + delta", summed=True)
    return Pulls(before, after, at_first, at_last)


def pulls(
    neurons: Neurons, s: float, *, eps: float, argument: str = "W", summed: bool = False
) -> tuple[Float[Tensor, " n"], float]:
    """f Σ_{j≠i} D_ij^(−s−1) √(1 − D_ij²/4) of every neuron: the length of its gradient's summands.

    Parameters
    ----------
    neurons
        The n neurons.
    s
        Exponent.
    eps
        η, rounding of an inner product.
    argument
        Name of their matrix in the caller's signature.
    summed
        Whether the rows are a rounded sum W + ΔW.

    Returns
    -------
    sums
        (n,), float64, unit-free.
    rounding
        Bound of their relative rounding.

    Raises
    ------
    CoincidentNeuronsError
        Two neurons share a direction.
    """
    sums, worst = torch.zeros_like(neurons.norms), 0.0
    for tile in tiles(neurons, s=s, exact=True):
        require_distinct(tile, argument)
        opposite = opposite_squares(neurons, tile)
        force = off_diagonal(_potential_slope(tile.squared, opposite, s), tile)
        add_to_rows(sums, force, tile)
        relative = distance_rounding(tile, eps, summed=summed)
        off_diagonal(relative, tile)
        worst = max(worst, float(relative.max()), 2 * eps / max(float(_least(opposite, tile)), RESOLVED))
    return gradient_factor(s) * sums, (s + 2) * worst + 64 * EPS


def _least(opposite: Tensor, tile: Tile) -> Tensor:
    return opposite.masked_fill(~tile.squared.isfinite(), torch.inf).min()


def _potential_slope(squared: Tensor, opposite: Tensor, s: float) -> Tensor:
    """h = D^(−s−1) √(1 − D²/4), from D² and 4 − D².

    Parameters
    ----------
    squared, opposite
        D² and 4 − D², any shape.
    s
        Exponent.

    Returns
    -------
    Tensor
        Same shape.
    """
    return potential(squared, s + 1) * opposite.sqrt() / 2


def add_to_rows(sums: Float[Tensor, " n"], values: Float[Tensor, "a b"], tile: Tile) -> None:
    """Add a symmetric function of pairs to the sums of its neurons, in place.

    Parameters
    ----------
    sums
        One for each neuron.
    values
        Of a tile.
    tile
        That tile.
    """
    sums[tile.rows] += values.sum(dim=1)
    if not tile.diagonal:
        sums[tile.cols] += values.sum(dim=0)
