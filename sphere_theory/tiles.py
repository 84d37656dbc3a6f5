"""Squared chordal distances between all neurons, a tile of the matrix at a time.

The n×n matrix of distances is never held. `tiles` walks its upper triangle, each tile from one
small matrix product, and recomputes the pairs whose distance that product cannot resolve.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphere_theory.errors import CoincidentNeuronsError
from sphere_theory.neurons import Neurons, Progress, runs_between, silent, widened
from sphere_theory.pairs import pair_squares

GramBlock = Callable[[slice, slice], Tensor]

# A product in this dtype leaves an error of a few units in the last place in c, so s·error/D² in
# D^(−s). Pairs with D² below RESOLVED·max(s, 1) are recomputed.
_RESOLVED = {torch.float32: 0.5, torch.float64: 1e-4}

# A float32 tile with more than this share of unresolved pairs is multiplied again in float64,
# which is cheaper than recomputing them one by one.
_CROWDED = 1 / 64

# Root mean square of the errors of c over a float32 tile that is accepted. A pair that is not recomputed has
# D² ≥ max(s, 1)/2, so that an error ε of c moves D^(−s) by at most a share of 2ε: even if all errors are
# one way, and fall on the closest pairs, the energy is off by less than 3e-7. Roundings that are
# independent come to 1e-8 for ordinary weights, 9e-8 for positive ones; those of quantised weights to 1e-6.
_ROUNDING = 1e-7

# How many vectors of random signs, on each side of a tile, its errors are measured with.
_SIGNS = 16

# Neurons on a side of a tile; what the largest computes fits an accelerator's memory, the other a cache.
_CPU_RUN, RUN = 512, 2048

# Tiles of fewer pairs are multiplied in float64 at once: it costs nothing.
_MANY = 2**14


@dataclass
class Tile:
    """Squared chordal distances between two runs of neurons.

    Attributes
    ----------
    rows, cols
        Which neurons; `rows` never starts after `cols`.
    squared
        D_ij², float64; a neuron's distance to itself is set to infinity.
    near
        Indices (i, j) of the pairs that were recomputed, (k, 2), counted over all neurons.
    """

    rows: slice
    cols: slice
    squared: Float[Tensor, "a b"]
    near: Int[Tensor, "k 2"]

    @property
    def diagonal(self) -> bool:
        """Whether the tile holds each of its pairs twice."""
        return self.rows.start == self.cols.start

    def inside(self, pairs: Int[Tensor, "k 2"]) -> tuple[Tensor, Tensor]:
        """Where pairs of the tile, counted over all neurons, stand in `squared`."""
        return pairs[:, 0] - self.rows.start, pairs[:, 1] - self.cols.start

    @property
    def multiplicity(self) -> int:
        """How often the tile's entries occur in a sum over ordered pairs."""
        return 1 if self.diagonal else 2


def tiles(
    neurons: Neurons,
    *,
    s: float = 1.0,
    exact: bool = False,
    gram: GramBlock | None = None,
    split: int = 0,
    progress: Progress = silent,
) -> Iterator[Tile]:
    """Walk the upper triangle of the matrix of squared distances.

    Parameters
    ----------
    neurons
        The n neurons.
    s
        Exponent of the energy that the distances are for: it decides which pairs need recomputing.
    exact
        Multiply in float64 whatever the dtype of the rows.
    gram
        Where inner products of `neurons.rows` come from, if they are known already.
    split
        Walk only the pairs of the first `split` neurons with those after them. Default 0: all pairs. Where
        both parts are whole runs of a larger matrix (multiples of `RUN`, but for its last neurons), the tiles
        are those of that matrix, to the bit.
    progress
        Called with the share of pairs done, after each tile.

    Yields
    ------
    Tile
        Each unordered pair of runs once.
    """
    size = _CPU_RUN if neurons.rows.device.type == "cpu" else RUN
    first, rest = runs_between(0, split, size), runs_between(split, neurons.count, size)
    multiply = gram or (_exact_products(neurons) if exact else _products(neurons, first + rest))
    both = itertools.product(first, rest) if split else itertools.combinations_with_replacement(rest, 2)
    pairs = list(both)
    for done, (rows, cols) in enumerate(pairs, start=1):
        yield _tile(neurons, rows, cols, s, multiply(rows, cols))
        progress(done / len(pairs))


def _exact_products(neurons: Neurons) -> GramBlock:
    if neurons.count <= _CPU_RUN:
        return lambda rows, cols: neurons.products[rows, cols]
    return lambda rows, cols: neurons.rows[rows].double() @ neurons.rows[cols].double().T


def _products(neurons: Neurons, runs: list[slice]) -> GramBlock:
    """Inner products in the dtype of the rows, in float64 where their rounding is more than chance."""
    # All summands of quantised weights round alike, so that it does not average out, over a sum or over
    # pairs. With random signs y, z the square of yᵀEz is ‖E‖² on average, whatever the errors E = C̃ − C of
    # a tile's cosines; and yᵀCz = (Σ_i y_i û_i)·(Σ_j z_j û_j) takes no product of the tile's size.
    exact = _exact_products(neurons)
    if neurons.rows.dtype == torch.float64:
        return exact
    # The same signs for every run: a tile is then judged alike whatever other runs there are.
    longest = max(run.stop - run.start for run in runs)
    signs = torch.randint(2, (longest, _SIGNS), generator=torch.Generator().manual_seed(0)) * 2 - 1
    signs = torch.cat([signs[: run.stop - run.start] for run in runs])
    weights = signs.to(neurons.norms) / neurons.norms[:, None]
    sums = _weighted_sums(neurons.rows, weights, runs)

    def multiply(rows: slice, cols: slice) -> Tensor:
        if (rows.stop - rows.start) * (cols.stop - cols.start) < _MANY:
            return exact(rows, cols)
        product = neurons.rows[rows] @ neurons.rows[cols].T
        error = weights[rows].T @ (product.double() @ weights[cols]) - sums[rows.start] @ sums[cols.start].T
        if rows == cols:  # a neuron's product with itself is no part of any energy
            own = product.diagonal().double() - neurons.norms[rows].square()
            error -= (weights[rows].T * own) @ weights[rows]
        return exact(rows, cols) if error.square().mean() > _ROUNDING**2 * product.numel() else product

    return multiply


def _weighted_sums(
    rows: Float[Tensor, "n d"], weights: Float[Tensor, "n k"], runs: list[slice]
) -> dict[int, Float[Tensor, "k d"]]:
    """Sums of each run's rows in float64, by where it starts."""
    # Widened a few rows at a time: that is several times faster than all at once.
    totals = {run.start: weights.new_zeros(weights.shape[1], rows.shape[1]) for run in runs}
    for run, some, block in widened(rows, runs):
        totals[run.start].addmm_(weights[some].T, block)
    return totals


def _tile(neurons: Neurons, rows: slice, cols: slice, s: float, product: Float[Tensor, "a b"]) -> Tile:
    squared, near = _squared(neurons, rows, cols, s, product)
    if product.dtype == torch.float32 and len(near) > _CROWDED * squared.numel():
        squared, near = _squared(neurons, rows, cols, s, _exact_products(neurons)(rows, cols))
    tile = Tile(rows, cols, squared, near)
    if len(near):
        squared[tile.inside(near)] = pair_squares(neurons, near)
    return tile


def _squared(
    neurons: Neurons, rows: slice, cols: slice, s: float, product: Float[Tensor, "a b"]
) -> tuple[Float[Tensor, "a b"], Int[Tensor, "k 2"]]:
    """D² = 2 − 2c from inner products, and the pairs that these cannot resolve."""
    squared = product * (-2 / neurons.norms[rows, None])
    squared.div_(neurons.norms[cols]).add_(2)
    if rows.start == cols.start:
        squared.fill_diagonal_(torch.inf)
    unresolved = squared < _RESOLVED[product.dtype] * max(s, 1.0)
    if not unresolved.any():
        return squared, torch.empty((0, 2), dtype=torch.int64, device=squared.device)
    near = unresolved.nonzero()
    return squared, near + near.new_tensor([rows.start, cols.start])


def opposite_squares(neurons: Neurons, tile: Tile) -> Float[Tensor, "a b"]:
    """4 − D² = ‖û_i + û_j‖² of a float64 tile, accurate for nearly opposite neurons too.

    Parameters
    ----------
    neurons
        All neurons.
    tile
        A tile of `tiles(neurons, exact=True)`.

    Returns
    -------
    Tensor
        Same shape as `tile.squared`; zero for a neuron and itself.
    """
    opposite = (4 - tile.squared).clamp_min(0)
    far = opposite_pairs(tile)
    if len(far):
        opposite[tile.inside(far)] = pair_squares(neurons, far, sign=-1)
    return opposite


def opposite_pairs(tile: Tile) -> Int[Tensor, "k 2"]:
    """Nearly opposite neurons of a float64 tile, whose 4 − D² its products cannot resolve.

    Parameters
    ----------
    tile
        A tile of `tiles(neurons, exact=True)`.

    Returns
    -------
    Tensor
        Indices (i, j), (k, 2), counted over all neurons.
    """
    far = (4 - tile.squared < _RESOLVED[torch.float64]) & tile.squared.isfinite()
    pairs = far.nonzero()
    return pairs + pairs.new_tensor([tile.rows.start, tile.cols.start])


def require_distinct(tile: Tile, argument: str) -> None:
    """Refuse coincident neurons, where energies are infinite and have no gradient.

    Parameters
    ----------
    tile
        Distances to look through.
    argument
        Name of the weight matrix in the caller's signature.

    Raises
    ------
    CoincidentNeuronsError
        With the first coincident pair in `where`.
    """
    if len(tile.near) and float(tile.squared.min()) == 0:
        i, j = (tile.squared == 0).nonzero()[0].tolist()
        pair = f"rows {tile.rows.start + i} and {tile.cols.start + j}"
        raise CoincidentNeuronsError(
            argument, "neurons of pairwise different direction", "a coincident pair", [pair]
        )
