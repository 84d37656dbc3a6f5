"""Neurons on the sphere: norms, pairwise chordal distances in tiles, smallest separation.

The n×n matrix of distances is never held. `tiles` walks its upper triangle, each tile from one
small matrix product, and recomputes the pairs whose distance that product cannot resolve:
D² = 2 − 2c loses all digits of a small D, while the difference of two directions keeps them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphere_theory.arrays import Array, as_matrix, full_precision
from sphere_theory.errors import CoincidentNeuronsError, ShapeError, ZeroRowError

Progress = Callable[[float], object]
GramBlock = Callable[[slice, slice], Tensor]

# Norms inside [1/NORM_LIMIT, NORM_LIMIT] can be multiplied with each other without loss in that dtype.
NORM_LIMIT = {torch.float32: 2.0**40, torch.float64: 2.0**400}

# A product in this dtype leaves an error of a few units in the last place in c, so s·error/D² in
# D^(−s). Pairs with D² below RESOLVED·max(s, 1) are recomputed.
_RESOLVED = {torch.float32: 0.5, torch.float64: 1e-4}

# A float32 tile with more than this share of unresolved pairs is multiplied again in float64,
# which is cheaper than recomputing them one by one.
_CROWDED = 1 / 64

# Squared distances below this are near the rounding error of the recomputation itself, 2^−212.
_SUSPECT = 2.0**-180

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

# Float64 entries of a temporary: 8 MiB.
CHUNK = 2**20


def silent(share: float) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True)
class Neurons:
    """The rows of W, scaled so that their inner products neither overflow nor vanish.

    Attributes
    ----------
    rows
        W itself, (n, d), or a copy with row i multiplied by 2^(−exponents[i]).
    norms
        Euclidean norms of `rows`, (n,), float64.
    exponents
        (n,), zero throughout unless W has rows of extreme scale.
    """

    rows: Float[Tensor, "n d"]
    norms: Float[Tensor, " n"]
    exponents: Int[Tensor, " n"]

    @cached_property
    def products(self) -> Float[Tensor, "n n"]:
        """w_i·w_j of `rows` in float64, kept: for neurons that are one tile, walked more than once."""
        wide = self.rows.double()
        return wide @ wide.T

    @property
    def count(self) -> int:
        """The number n of neurons."""
        return self.rows.shape[0]

    def directions(self, rows: slice) -> Float[Tensor, "b d"]:
        """Unit vectors û_i of some rows, in float64."""
        return self.rows[rows].double() / self.norms[rows, None]

    def true_norms(self) -> Float[Tensor, " n"]:
        """‖w_i‖ of the rows as they were given, float64."""
        return torch.ldexp(self.norms, self.exponents)

    def on_scale(self, edit: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """An edit of W in float64, its rows scaled as `rows` are."""
        return _scale_rows(edit.double(), -self.exponents)


def as_neurons(W: Array, argument: str = "W", *, at_least: int = 1) -> Neurons:
    """Check a weight matrix and prepare its rows.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row.
    argument
        Its name in the caller's signature.
    at_least
        The smallest number of neurons that the caller is defined for.

    Returns
    -------
    Neurons
        The rows, without a copy unless their scale is extreme.

    Raises
    ------
    ShapeError
        Not a matrix, empty, or of fewer rows than `at_least`.
    ZeroRowError
        A row is zero; `where` is its index.
    """
    rows = as_matrix(W, argument)
    if len(rows) < at_least:
        raise ShapeError(argument, f"at least {at_least} neurons (rows)", f"shape {tuple(rows.shape)}")
    norms = _row_norms(rows)
    limit = NORM_LIMIT[rows.dtype]
    low, high = norms.aminmax()
    exponents = torch.zeros(len(rows), dtype=torch.int32, device=rows.device)
    if low < 1 / limit or high > limit:
        rows, exponents = _balance(rows, argument)
        norms = _row_norms(rows)
    return Neurons(rows, norms, exponents)


def _row_norms(rows: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    # Widening block by block is ten times faster than torch's own mixed-dtype reduction.
    norms = rows.new_empty(len(rows), dtype=torch.float64)
    for _, some, block in _widened(rows, [slice(0, len(rows))]):
        torch.linalg.vector_norm(block, dim=1, out=norms[some])
    return norms


def _widened(
    rows: Float[Tensor, "n d"], runs: list[slice]
) -> Iterator[tuple[slice, slice, Float[Tensor, "k d"]]]:
    """Runs of rows in float64: a run, a few rows of it, and these, gone when the next ones come."""
    step = max(1, CHUNK // rows.shape[1])
    parts = [(run, some) for run in runs for some in _runs(run.start, run.stop, step)]
    if rows.dtype == torch.float64:
        yield from ((run, some, rows[some]) for run, some in parts)
        return
    # One buffer for all: an allocator does not always find what was freed for the next request of the same
    # size, and new blocks would add up to all of W in float64.
    buffer = rows.new_empty((min(step, len(rows)), rows.shape[1]), dtype=torch.float64)
    for run, some in parts:
        yield run, some, buffer[: some.stop - some.start].copy_(rows[some])


def _balance(rows: Tensor, argument: str) -> tuple[Tensor, Tensor]:
    peaks = rows.abs().amax(dim=1)
    zero = (peaks == 0).nonzero().flatten()
    if len(zero):
        raise ZeroRowError(
            argument, "no zero row (it has no direction)", f"{len(zero)} zero rows", [f"row {int(zero[0])}"]
        )
    exponents = torch.frexp(peaks).exponent
    return _scale_rows(rows, -exponents), exponents


def _scale_rows(rows: Float[Tensor, "n d"], exponents: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
    if not exponents.any():
        return rows
    # In two halves: 2^exponent alone can overflow where the scaled row does not.
    half = exponents // 2
    return torch.ldexp(torch.ldexp(rows, half[:, None]), (exponents - half)[:, None])


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
    first, rest = _runs(0, split, size), _runs(split, neurons.count, size)
    multiply = gram or (_exact_products(neurons) if exact else _products(neurons, first + rest))
    both = itertools.product(first, rest) if split else itertools.combinations_with_replacement(rest, 2)
    pairs = list(both)
    for done, (rows, cols) in enumerate(pairs, start=1):
        yield _tile(neurons, rows, cols, s, multiply(rows, cols))
        progress(done / len(pairs))


def _runs(start: int, stop: int, size: int) -> list[slice]:
    return [slice(at, min(at + size, stop)) for at in range(start, stop, size)]


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
    for run, some, block in _widened(rows, runs):
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


def pair_squares(neurons: Neurons, pairs: Int[Tensor, "k 2"], *, sign: int = 1) -> Float[Tensor, " k"]:
    """Squared distances of named pairs, accurate however close the two neurons are.

    Parameters
    ----------
    neurons
        All neurons.
    pairs
        Indices (i, j), (k, 2).
    sign
        1 for ‖û_i − û_j‖²; −1 for ‖û_i + û_j‖² = 4 − D_ij².

    Returns
    -------
    Tensor
        D_ij², float64, relative error around 1e-15; exactly 0 for the first coincident pair found.
    """
    chunks = pairs.split(max(1, CHUNK // neurons.rows.shape[1]))
    squared = torch.cat([_residual(neurons, chunk, sign)[1] for chunk in chunks])
    for k in ((squared > 0) & (squared < _SUSPECT)).nonzero().flatten().tolist():
        squared[k] = _exact_square(*(neurons.rows[i].tolist() for i in pairs[k].tolist()))
        if squared[k] == 0:  # one is enough: the energy is infinite whatever the others are
            break
    return squared


def pair_tangents(
    neurons: Neurons, pairs: Int[Tensor, "k 2"], *, sign: int = 1
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Tangents û_j − c_ij û_i at û_i, and squared distances, of named pairs, without cancellation.

    Parameters
    ----------
    neurons
        All neurons.
    pairs
        Indices (i, j), (k, 2).
    sign
        1 for nearly coincident pairs, −1 for nearly opposite ones.

    Returns
    -------
    tangents
        (k, d), float64.
    squared
        ‖û_i − sign·û_j‖², (k,), float64.
    """
    residual, squared = _residual(neurons, pairs, sign)
    i, j = pairs.T
    units = neurons.rows[i].double() / neurons.norms[i, None]
    along = (residual * units).sum(dim=1, keepdim=True)
    return sign * (along * units - residual) / neurons.norms[j, None], squared


def _residual(
    neurons: Neurons, pairs: Int[Tensor, "k 2"], sign: int = 1
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Residual r = ρ w_i ∓ w_j with ρ = ‖w_j‖/‖w_i‖, and D², both accurate relative to their own size."""
    i, j = pairs.T
    a, b = neurons.rows[i].double(), sign * neurons.rows[j].double()
    norm = neurons.norms[j]
    ratio = (norm / neurons.norms[i])[:, None]
    product = ratio * a
    # The rounding of the product ρ w_i is added back: no digit of a small difference is lost.
    residual = (product - b) + _product_error(ratio, a, product)
    direction = b / norm[:, None]
    across = residual - (residual * direction).sum(dim=1, keepdim=True) * direction
    sine = across.square().sum(dim=1) / norm.square()  # sin²θ, of the part orthogonal to w_j
    apart = residual.square().sum(dim=1) / norm.square()
    # D² = 2 − 2cos θ = 2sin²θ/(1 + cos θ); beyond a right angle ‖r‖² itself has lost nothing.
    squared = torch.where(apart < 1, 2 * sine / (1 + (1 - sine).clamp_min(0).sqrt()), apart)
    # Zero is kept for equal directions: what is left of a nonzero residual is at least tiny.
    tiny = torch.finfo(torch.float64).tiny
    return residual, torch.where(residual.any(dim=1), squared.clamp_min(tiny), 0.0)


def _product_error(x: Tensor, y: Tensor, product: Tensor) -> Tensor:
    """The exact x·y − fl(x·y) in float64 (Dekker 1971, by Veltkamp's splitting)."""
    (x_high, x_low), (y_high, y_low) = _split(x), _split(y)
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    scaled = x * (2.0**27 + 1)
    high = scaled - (scaled - x)
    return high, x - high


def _exact_square(a: list[float], b: list[float]) -> float:
    """D² = 2 sin²θ/(1 + cos θ) of two vectors at a tiny angle, where 1 + cos θ is 2, by rationals."""
    x, y = [Fraction(v) for v in a], [Fraction(v) for v in b]
    xx, yy = sum(v * v for v in x), sum(v * v for v in y)
    xy = sum(v * w for v, w in zip(x, y, strict=True))
    return float((xx * yy - xy * xy) / (xx * yy))


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
