"""Neurons: the rows of W, prepared so that no product of theirs overflows or vanishes, and their norms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphere_theory.arrays import Array, as_matrix
from sphere_theory.errors import ShapeError, ZeroRowError

Progress = Callable[[float], object]

# Norms inside [1/NORM_LIMIT, NORM_LIMIT] can be multiplied with each other without loss in that dtype.
NORM_LIMIT = {torch.float32: 2.0**40, torch.float64: 2.0**400}

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
    for _, some, block in widened(rows, [slice(0, len(rows))]):
        torch.linalg.vector_norm(block, dim=1, out=norms[some])
    return norms


def runs_between(start: int, stop: int, size: int) -> list[slice]:
    """Runs of neurons, one after the other.

    Parameters
    ----------
    start, stop
        Half-open interval of neurons.
    size
        Neurons a run; the last one may be smaller.

    Returns
    -------
    list of slice
        In rising order.
    """
    return [slice(at, min(at + size, stop)) for at in range(start, stop, size)]


def widened(
    rows: Float[Tensor, "n d"], runs: list[slice]
) -> Iterator[tuple[slice, slice, Float[Tensor, "k d"]]]:
    """Runs of rows in float64, a few rows at a time.

    Parameters
    ----------
    rows
        (n, d), of any width.
    runs
        Which rows.

    Yields
    ------
    run, some, block
        A run, a few rows of it, and these in float64, gone when the next ones come.
    """
    step = max(1, CHUNK // rows.shape[1])
    parts = [(run, some) for run in runs for some in runs_between(run.start, run.stop, step)]
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
