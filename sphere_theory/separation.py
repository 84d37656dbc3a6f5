"""The two neurons that are closest to each other, and how close they are."""

from __future__ import annotations

from typing import NamedTuple

import torch

from sphere_theory.arrays import Array, full_precision
from sphere_theory.neurons import Progress, as_neurons, silent
from sphere_theory.tiles import tiles


class Separation(NamedTuple):
    """The smallest distance between two neurons' directions.

    Attributes
    ----------
    distance
        min D_ij = ‖û_i − û_j‖, between 0 and 2.
    pair
        The indices (i, j), i < j, where it is reached; the first in tile order on a tie.
    """

    distance: float
    pair: tuple[int, int]


@full_precision()
def min_separation(W: Array, *, progress: Progress = silent) -> Separation:
    """Smallest chordal distance between the directions of two neurons.

    D_ij = ‖w_i/‖w_i‖ − w_j/‖w_j‖‖ (symbol D_ij of the SPHERE paper, arXiv 2510.01172). Inner products
    are taken in float64 for either dtype, and small distances recomputed, so that the relative
    error is below 1e-9.

    Parameters
    ----------
    W
        Weight matrix, (n, d), n ≥ 2, one neuron per row; numpy or torch, float16 to float64.
    progress
        Called with the share of the work done.

    Returns
    -------
    Separation
        The distance (unit-free) and the pair.

    Raises
    ------
    ShapeError
        Not a matrix, empty, or fewer than two rows.
    DTypeError, NonFiniteError, ZeroRowError
        Not real floating-point numbers; NaN or infinity; a zero row.
    """
    neurons = as_neurons(W, at_least=2)
    best, pair = torch.inf, (0, 1)
    for tile in tiles(neurons, exact=True, progress=progress):
        value, flat = tile.squared.flatten().min(dim=0)
        if value < best:
            best = float(value)
            i, j = divmod(int(flat), tile.squared.shape[1])
            pair = (tile.rows.start + i, tile.cols.start + j)
    return Separation(best**0.5, (min(pair), max(pair)))
