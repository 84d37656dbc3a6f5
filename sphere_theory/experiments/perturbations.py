"""Changes of a layer that move its energy and its outputs one without the other.

Along ∇HE the energy moves as fast as it can; radial scaling of rows and rotation of all rows leave it exactly
as it is (ledger E1, E7). Multiplying a change from the left by signs leaves every length ‖Dk‖ as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sphere_theory.arrays import as_count, as_matrix, as_real, frobenius
from sphere_theory.energy import energy, energy_gradient
from sphere_theory.errors import RangeError, ShapeError

# Length of a descent's first step over ‖D‖, and of each over the last.
_FIRST, _SHORTER = 0.5, 0.8

# Of the gap that is left, where the energy counts as levelled, and how often that is tried.
_LEVEL, _ROUNDS = 1e-3, 8

# Longest single step towards a level, relative to the weights: ∇HE vanishes at the lowest energy.
_LONGEST = 0.1

_HALVINGS = 60


def descent(
    W: Float[Tensor, "n d"],
    size: float,
    *,
    steps: int = 16,
    within: Float[Tensor, "d q"] | None = None,
) -> Float[Tensor, "n d"]:
    """A change D of a given ‖D‖_F that lowers the energy: one step along −∇HE, then steps on the sphere.

    The first step alone would do for small sizes only: the energy is convex along its gradient, and soon
    rises. The others go along the part of −∇HE at W + D that keeps ‖D‖_F, each shorter than the last.

    Parameters
    ----------
    W
        Weights, (n, d), float64.
    size
        ‖D‖_F.
    steps
        Number of gradients. Default 16.
    within
        Orthonormal basis, (d, q), of the input directions that D may use; None: all.

    Returns
    -------
    Tensor
        D, (n, d).

    Raises
    ------
    RangeError
        `size` not positive, or no step.
    CoincidentNeuronsError
        Two neurons share a direction.
    """
    as_real(size, "size", low=0, low_open=True)
    D = torch.zeros_like(W)
    for step in range(as_count(steps, "steps", low=1)):
        slope = energy_gradient(W + D)
        if within is not None:
            slope = (slope @ within) @ within.T
        slope -= (slope * D).sum() / size**2 * D
        D = D - (_FIRST * _SHORTER**step * size / frobenius(slope)) * slope
        D *= size / frobenius(D)
    return D


def levelling(W: Float[Tensor, "n d"], level: float) -> Float[Tensor, "n d"]:
    """A change D along ∓∇HE after which the energy is at a level: Newton's steps along the gradient.

    Parameters
    ----------
    W
        Weights, (n, d), float64.
    level
        HE(W + D), to be reached within a thousandth of the gap.

    Returns
    -------
    Tensor
        D, (n, d); zero if the energy is there already. As near as eight steps come, where the level is out of
        reach.

    Raises
    ------
    CoincidentNeuronsError
        Two neurons share a direction.
    """
    D = torch.zeros_like(W)
    gap = first = energy(W) - level
    for _ in range(_ROUNDS):
        if abs(gap) <= _LEVEL * abs(first):
            break
        slope = energy_gradient(W + D)
        length = min(abs(gap) / frobenius(slope), _LONGEST * frobenius(W))
        D = D - (math.copysign(length, gap) / frobenius(slope)) * slope
        gap = energy(W + D) - level
    return D


def balanced_signs(parts: Float[Tensor, " n"], generator: torch.Generator) -> Float[Tensor, " n"]:
    """Random signs ε for which Σ ε_i p_i is next to nothing.

    Rows in random order, each with the sign that brings the sum nearer to zero: what is left is at most the
    largest |p_i|. For p_i = d_i·∂HE/∂w_i the change diag(ε)D leaves the energy where it is, to first order,
    and moves every neuron's output on every key exactly as far as D does.

    Parameters
    ----------
    parts
        p, (n,).
    generator
        Of the order, and of the sign of the first.

    Returns
    -------
    Tensor
        ε, (n,), of +1 and −1.
    """
    values = parts.tolist()
    signs = torch.ones_like(parts)
    total = 0.0
    turn = 1.0 if torch.rand((), generator=generator) < 0.5 else -1.0
    for place in torch.randperm(len(values), generator=generator).tolist():
        sign = math.copysign(1.0, -total * values[place]) if total * values[place] else turn
        signs[place] = sign
        total += sign * values[place]
    return signs


def quiet_space(moments: list[Float[Tensor, "d d"]]) -> Float[Tensor, "d q"]:
    """The half of the input directions that some sets of keys use least.

    Parameters
    ----------
    moments
        Second moments, each weighing the same whatever its trace.

    Returns
    -------
    Tensor
        Orthonormal basis, (d, ⌊d/2⌋): eigenvectors of Σ M/tr M with the smallest eigenvalues.
    """
    together = torch.stack([moment / moment.trace() for moment in moments]).sum(dim=0)
    return torch.linalg.eigh(together).eigenvectors[:, : len(together) // 2].contiguous()


def random_planes(d: int, generator: torch.Generator) -> Int64[Tensor, "2 q"]:
    """Pairs of coordinates, each coordinate in one of them at most.

    Parameters
    ----------
    d
        Number of coordinates, at least 2; of an odd number one stays alone.
    generator
        Of the pairs.

    Returns
    -------
    Tensor
        (2, ⌊d/2⌋).

    Raises
    ------
    RangeError
        d < 2.
    """
    as_count(d, "d", low=2)
    return torch.randperm(d, generator=generator)[: d - d % 2].reshape(2, -1)


def turned(rows: Float[Tensor, "m d"], planes: Int64[Tensor, "2 q"], angle: float) -> Float[Tensor, "m d"]:
    """X Q for the rotation Q by one angle in every plane: of weights or of keys, one a row.

    W ↦ WQ leaves the energy as it is; with the keys turned alike, k ↦ Qᵀk, it leaves the outputs, too.

    Parameters
    ----------
    rows
        X, (m, d).
    planes
        Pairs of coordinates, as of `random_planes`.
    angle
        In radians.

    Returns
    -------
    Tensor
        (m, d).
    """
    first, second = planes
    image = rows.clone()
    image[:, first] = math.cos(angle) * rows[:, first] - math.sin(angle) * rows[:, second]
    image[:, second] = math.sin(angle) * rows[:, first] + math.cos(angle) * rows[:, second]
    return image


def stretched(W: Float[Tensor, "n d"], logs: Float[Tensor, " n"], amount: float) -> Float[Tensor, "n d"]:
    """Rows made longer or shorter, e^(amount·z_i) w_i, which leaves the energy as it is.

    Parameters
    ----------
    W
        Weights, (n, d).
    logs
        z, (n,).
    amount
        How far.

    Returns
    -------
    Tensor
        (n, d).

    Raises
    ------
    ShapeError
        Not one z a row.
    """
    if len(as_matrix(W, "W")) != len(logs):
        raise ShapeError("logs", f"one for each of {len(W)} rows", str(len(logs)))
    return W * (amount * logs).exp()[:, None]


def clipped(W: Float[Tensor, "n d"], size: float) -> Float[Tensor, "n d"]:
    """The weights with their largest singular values cut to one level, σ_k ↦ min(σ_k, τ).

    Parameters
    ----------
    W
        Weights, (n, d), float64.
    size
        ‖D‖_F of the change, which sets τ; of ‖W‖_F or more everything goes.

    Returns
    -------
    Tensor
        (n, d).
    """
    squares, left = torch.linalg.eigh(W @ W.T)
    singular = squares.clamp_min(0).sqrt()
    highest = float(singular[-1])

    def excess(depth: float) -> Float[Tensor, " n"]:
        return (singular - (highest - depth)).clamp_min(0)

    most = frobenius(singular)
    depth = amount_of(lambda depth: frobenius(excess(depth)), min(size, (1 - 1e-12) * most), most=highest)
    share = excess(depth) / singular.clamp_min(torch.finfo(W.dtype).tiny)
    return W - (left * share) @ (left.T @ W)


def amount_of(size: Callable[[float], float], wanted: float, *, most: float = math.inf) -> float:
    """The amount of a change at which it has a size: doubled from nearly nothing, then halved down.

    Parameters
    ----------
    size
        Continuous, 0 at 0.
    wanted
        The size.
    most
        Largest amount.

    Returns
    -------
    float
        The amount, where the size is first found to be reached.

    Raises
    ------
    RangeError
        The size is not reached.
    """
    low, high = 0.0, 1e-6
    while size(high) < wanted:
        if high >= min(most, 1e3):
            raise RangeError("wanted", f"a size up to {size(high):.3g}", f"{wanted:.3g}")
        low, high = high, min(2 * high, most)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) < wanted else (low, middle)
    return high
