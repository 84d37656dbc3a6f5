"""Hyperspherical energy HE_s, its gradient and its references.

HE_s(W) = Σ_{i≠j} D_ij^(−s) for s > 0 and Σ_{i≠j} log(1/D_ij) for s = 0, over ordered pairs of
neurons, D_ij = ‖û_i − û_j‖. The HE of the SPHERE paper (arXiv 2510.01172, §3) is s = 1.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import A, as_choice, as_count, as_real, full_precision, like
from sphere_theory.errors import RangeError
from sphere_theory.neurons import CHUNK, Neurons, Progress, as_neurons, runs_between, silent
from sphere_theory.pairs import pair_tangents
from sphere_theory.tiles import GramBlock, Tile, require_distinct, tiles


def potential(squared: Tensor, s: float) -> Tensor:
    """D^(−s), or log(1/D) for s = 0, from D².

    Parameters
    ----------
    squared
        D², any shape, float64.
    s
        Exponent, s ≥ 0.

    Returns
    -------
    Tensor
        Same shape, float64; infinite where D² = 0.
    """
    if s == 0:
        return squared.log() * -0.5
    if s == 1:
        return squared.rsqrt()
    if s == 2:
        return squared.reciprocal()
    return squared.pow(-s / 2)


def gradient_factor(s: float) -> float:
    """The 2s in front of ∂HE_s/∂w_i; 2 for s = 0, where the potential is a logarithm.

    Parameters
    ----------
    s
        Exponent, s ≥ 0.

    Returns
    -------
    float
        2s, or 2 for s = 0.
    """
    return 2 * s if s else 2.0


def off_diagonal(values: Tensor, tile: Tile) -> Tensor:
    """Set a neuron's pairing with itself to zero, in place.

    Parameters
    ----------
    values
        A function of `tile.squared`, same shape.
    tile
        The tile it came from.

    Returns
    -------
    Tensor
        `values`.
    """
    return values.fill_diagonal_(0.0) if tile.diagonal else values


def total_energy(
    neurons: Neurons,
    s: float,
    *,
    gram: GramBlock | None = None,
    split: int = 0,
    progress: Progress = silent,
) -> float:
    """Sum of potentials over ordered pairs, one tile at a time.

    Parameters
    ----------
    neurons
        The neurons.
    s
        Exponent.
    gram
        Where inner products come from, if they are known already.
    split
        Sum only over pairs of one of the first `split` neurons with one after them, as in `tiles`.
    progress
        Called with the share of the work done.

    Returns
    -------
    float
        HE_s; infinity as soon as one coincident pair is met.
    """
    total = 0.0
    for tile in tiles(neurons, s=s, gram=gram, split=split, progress=progress):
        total += tile.multiplicity * float(off_diagonal(potential(tile.squared, s), tile).sum())
        if total == math.inf:
            break
    return total


@full_precision()
def energy(W: A, *, s: float = 1.0, reduction: str = "sum", progress: Progress = silent) -> float:
    """Hyperspherical energy HE_s(W) of the rows of a weight matrix.

    HE_s(W) = Σ_{i≠j} ‖û_i − û_j‖^(−s) for s > 0, Σ_{i≠j} log(1/‖û_i − û_j‖) for s = 0, with
    û_i = w_i/‖w_i‖ and the sum over ordered pairs, so n(n−1) terms. Source: SPHERE, arXiv
    2510.01172, §3, where s = 1.

    Relative error at most 1e-6 for float32 and 1e-9 for float64 input against exact arithmetic on
    the stored numbers (for s = 0 relative to n(n−1) if that is more, since the sum of logarithms can
    vanish). Extra memory does not grow with n². Same input and device: same bits.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch, float16 to float64.
    s
        Exponent, s ≥ 0.
    reduction
        "sum": HE_s itself; "mean": divided by n(n−1); "uniform": divided by `uniform_energy(n, d)`,
        so that 1 means as spread out as independent uniform directions.
    progress
        Called with the share of the work done.

    Returns
    -------
    float
        The energy, unit-free; `inf` when two neurons coincide, 0 for the sum over a single neuron.

    Raises
    ------
    ShapeError
        Not a matrix, empty, or a single row with a reduction that divides by the number of pairs.
    DTypeError, NonFiniteError, ZeroRowError
        Not real floating-point numbers; NaN or infinity; a zero row.
    RangeError
        s negative or not finite, an unknown reduction, or "uniform" where the expectation is
        infinite (s ≥ d − 1) or zero.

    Examples
    --------
    >>> import numpy as np
    >>> round(energy(np.eye(3)), 6)  # six ordered pairs at distance √2
    4.242641
    """
    s = as_real(s, "s", low=0)
    as_choice(reduction, "reduction", ("sum", "mean", "uniform"))
    neurons = as_neurons(W, at_least=1 if reduction == "sum" else 2)
    n, d = neurons.rows.shape
    # The reference first: a reduction that is not defined should not cost a pass over W.
    unit = {"sum": lambda: 1.0, "mean": lambda: n * (n - 1), "uniform": lambda: uniform_energy(n, d, s=s)}[
        reduction
    ]()
    if unit == 0:
        raise RangeError(
            "reduction", "a reference that is not zero", f"uniform_energy({n}, {d}, s={s:g}) = 0"
        )
    return total_energy(neurons, s, progress=progress) / unit


@full_precision()
def energy_gradient(W: A, *, s: float = 1.0) -> A:
    """Gradient of HE_s with respect to the weights.

    ∂HE_s/∂w_i = (2s/‖w_i‖) Σ_{j≠i} (û_j − c_ij û_i) D_ij^(−s−2), with factor 2 instead of 2s for
    s = 0. Row i is orthogonal to w_i. Proof: `python -m sphere_theory.proofs E2`.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch, float16 to float64.
    s
        Exponent, s ≥ 0.

    Returns
    -------
    array
        (n, d), the kind of W; float32, or float64 where W is. Unit: 1/unit of W.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError
        As for `energy`.
    CoincidentNeuronsError
        Two neurons share a direction.
    """
    s = as_real(s, "s", low=0)
    neurons = as_neurons(W)
    return like(_gradient(neurons, s), W)


def _gradient(neurons: Neurons, s: float) -> Float[Tensor, "n d"]:
    rows, inverse = neurons.rows, 1 / neurons.norms
    pull = torch.zeros_like(rows)  # Σ_j M_ij û_j, with M = D^(−s−2)
    weight = torch.zeros_like(inverse)  # Σ_j M_ij c_ij
    for tile in tiles(neurons, s=s + 2):
        require_distinct(tile, "W")
        force = off_diagonal(potential(tile.squared, s + 2), tile)
        if len(tile.near):
            force[tile.inside(tile.near)] = 0.0
        along = force * (1 - tile.squared.nan_to_num(posinf=0.0) / 2)
        sides = [(tile.rows, tile.cols, force, along)]
        if not tile.diagonal:
            sides.append((tile.cols, tile.rows, force.T, along.T))
        for here, there, f, a in sides:
            pull[here].addmm_((f * inverse[there]).to(rows.dtype), rows[there])
            weight[here] += a.sum(dim=1)
        if len(tile.near):
            _add_near(pull, neurons, tile, s)
    return _tangent(pull, weight, neurons, s)


def _add_near(pull: Float[Tensor, "n d"], neurons: Neurons, tile: Tile, s: float) -> None:
    """Add the pull of pairs too close for the products, from their accurate tangents."""
    pairs = tile.near if tile.diagonal else torch.cat([tile.near, tile.near.flip(1)])
    for chunk in pairs.split(max(1, CHUNK // pull.shape[1])):
        tangents, squared = pair_tangents(neurons, chunk)
        pulls = tangents * potential(squared, s + 2)[:, None]
        # index_put_ sorts its indices, so that repeated rows are added in one order on every device.
        pull.index_put_((chunk[:, 0],), pulls.to(pull.dtype), accumulate=True)


def _tangent(pull: Tensor, weight: Tensor, neurons: Neurons, s: float) -> Float[Tensor, "n d"]:
    scale = gradient_factor(s) / neurons.norms
    n, d = neurons.rows.shape
    for block in runs_between(0, n, max(1, CHUNK // d)):
        units = neurons.directions(block)
        tangent = pull[block].double() - weight[block, None] * units
        # What rounding left along û_i is no part of the gradient.
        tangent -= (tangent * units).sum(dim=1, keepdim=True) * units
        tangent *= scale[block, None]
        pull[block] = torch.ldexp(tangent, -neurons.exponents[block, None]).to(pull.dtype)
    return pull


def uniform_energy(n: int, d: int, *, s: float = 1.0) -> float:
    """Expected HE_s of n independent directions, uniform on the sphere of dimension d − 1.

    n(n−1)·2^(d−2−s) Γ(d/2) Γ((d−1−s)/2) / (√π Γ(d−1−s/2)) for 0 < s < d − 1; for s = 0
    n(n−1)·(½ψ(d−1) − ½ψ((d−1)/2) − log 2), minus the derivative in s. Proof:
    `python -m sphere_theory.proofs E5`.

    Parameters
    ----------
    n
        Number of neurons, at least 2.
    d
        Dimension, at least 2.
    s
        Exponent, 0 ≤ s < d − 1.

    Returns
    -------
    float
        The expectation, correctly rounded; unit-free.

    Raises
    ------
    RangeError
        n < 2, d < 2, s < 0, or s ≥ d − 1, where the expectation is infinite.
    """
    import mpmath

    n, d = as_count(n, "n", low=2), as_count(d, "d", low=2)
    s = as_real(s, "s", low=0)
    if s >= d - 1:
        raise RangeError("s", f"s < d − 1 = {d - 1} (the expectation is infinite from there on)", f"{s:g}")
    with mpmath.workdps(40):
        if s == 0:
            mean = (mpmath.digamma(d - 1) - mpmath.digamma(mpmath.mpf(d - 1) / 2)) / 2 - mpmath.log(2)
        else:
            s_, half = mpmath.mpf(s), mpmath.mpf(1) / 2
            logs = (
                mpmath.loggamma(d * half)
                + mpmath.loggamma((d - 1 - s_) * half)
                - mpmath.loggamma(d - 1 - s_ * half)
            )
            mean = mpmath.exp(logs + (d - 2 - s_) * mpmath.log(2)) / mpmath.sqrt(mpmath.pi)
        return float(n * (n - 1) * mean)


def simplex_energy(n: int, *, s: float = 1.0) -> float:
    """Smallest HE_s that n neurons can have: that of a regular simplex.

    n(n−1)·(2n/(n−1))^(−s/2); for s = 0 −½ n(n−1) log(2n/(n−1)). A lower bound for every n and d, reached
    only by a regular simplex, so only if n ≤ d + 1. Proof: `python -m sphere_theory.proofs E4`.

    Parameters
    ----------
    n
        Number of neurons, at least 2.
    s
        Exponent, s ≥ 0.

    Returns
    -------
    float
        The bound, unit-free.

    Raises
    ------
    RangeError
        n < 2 or s < 0.
    """
    n, s = as_count(n, "n", low=2), as_real(s, "s", low=0)
    squared = 2 * n / (n - 1)
    return n * (n - 1) * (-0.5 * math.log(squared) if s == 0 else squared ** (-s / 2))
