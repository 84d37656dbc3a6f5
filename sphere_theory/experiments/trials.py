"""Trials of the probe: weights, an edit and inputs, drawn for one cell of its sweep."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import Array, as_matrix
from sphere_theory.constants import bound_constant
from sphere_theory.energy import energy_gradient
from sphere_theory.errors import InputError, ShapeError
from sphere_theory.experiments.adversary import adversary
from sphere_theory.experiments.edits import memit_update, of_size
from sphere_theory.neurons import as_neurons
from sphere_theory.samples import across, orthonormal

INPUTS = ("orthonormal", "partial", "conditioned", "deficient")
DIRECTIONS = ("random", "tangent", "radial", "ascent", "descent", "low-rank", "adversarial")

# A singular value of X below this share of the largest is rounding: the inputs do not see that direction.
UNSEEN = 1e-12

# Share of K_tri that a gradient has to keep, not to be the rounding at a critical point.
_SLOPE = 1e-10


@dataclass(frozen=True)
class Cell:
    """One cell of the sweep.

    Attributes
    ----------
    n, d
        Neurons and dimension.
    size
        ‖ΔW‖_F/‖W‖_F.
    inputs
        One of `INPUTS`, or "activations".
    condition
        Largest over smallest singular value of Xᵀ on the whole space; inf where X does not see all of it.
    direction
        One of `DIRECTIONS`.
    """

    n: int
    d: int
    size: float
    inputs: str
    condition: float
    direction: str


@dataclass(frozen=True)
class Inputs:
    """Inputs, and where they see least.

    Attributes
    ----------
    X
        One input per column, (d, m).
    weak
        Orthonormal basis of the directions in which Xᵀ is smallest, (d, k): those that X does not see, or,
        if it sees all, those of its smallest singular value.
    """

    X: Float[Tensor, "d m"]
    weak: Float[Tensor, "d k"]


@dataclass(frozen=True)
class Layer:
    """A real layer with its keys, prepared.

    Attributes
    ----------
    W
        Weights, (n, d), float64.
    keys
        The keys, as inputs.
    condition
        Of the keys, as in `Cell`.
    digest
        Short hash of weights and keys.
    """

    W: Float[Tensor, "n d"]
    keys: Inputs
    condition: float
    digest: str


class Case(NamedTuple):
    """One trial, ready to be audited.

    Attributes
    ----------
    W, delta
        Weights and edit, (n, d), float64.
    inputs
        X and its weakest directions.
    """

    W: Float[Tensor, "n d"]
    delta: Float[Tensor, "n d"]
    inputs: Inputs


def as_layer(W: Array | None, keys: Array | None, *, s: float = 1.0) -> Layer:
    """Check a layer and prepare its keys as inputs.

    Parameters
    ----------
    W
        Weights, (n, d), n ≥ 2, d ≥ 2.
    keys
        Inputs, (d, m).
    s
        Exponent of the energy.

    Returns
    -------
    Layer
        Both in float64.

    Raises
    ------
    InputError
        One of them is None, or ∇HE(W) vanishes.
    ShapeError
        Fewer than 2 neurons or dimensions; keys of another dimension.
    DTypeError, NonFiniteError, ZeroRowError, CoincidentNeuronsError
        As for `energy_gradient`, of W.
    """
    if W is None or keys is None:
        raise InputError("W" if W is None else "keys", "both W and keys, or neither", "None")
    as_neurons(W, at_least=2)
    weights = as_matrix(W, "W").double()
    if weights.shape[1] < 2:
        raise ShapeError("W", "at least 2 dimensions (columns)", f"shape {tuple(weights.shape)}")
    X = as_matrix(keys, "keys", rows=weights.shape[1]).to(weights)
    steepest, triangle = (bound_constant(weights, kind=kind, s=s) for kind in ("gradient", "triangle"))
    if steepest <= _SLOPE * triangle:
        raise InputError("W", "weights whose gradient ∇HE does not vanish", f"‖∇HE(W)‖ = {steepest:.3g}")
    digest = hashlib.sha256(b"".join(matrix.cpu().numpy().tobytes() for matrix in (weights, X)))
    seen, condition = _seen(X)
    return Layer(weights, seen, condition, digest.hexdigest()[:16])


def _seen(X: Float[Tensor, "d m"]) -> tuple[Inputs, float]:
    """Given inputs with their weakest directions, and their condition number."""
    d, m = X.shape
    basis, values, _ = torch.linalg.svd(X, full_matrices=m < d)
    values = torch.nn.functional.pad(values, (0, d - len(values)))
    strongest, least = float(values[0]), float(values[-1])
    unseen = least <= UNSEEN * strongest
    weak = values <= (UNSEEN * strongest if unseen else least * (1 + 1e-6))
    return Inputs(X, basis[:, weak]), math.inf if unseen else strongest / least


def draw(cell: Cell, trial: int, *, s: float = 1.0, seed: int = 0, layer: Layer | None = None) -> Case:
    """The weights, edit and inputs of one trial of a cell.

    Parameters
    ----------
    cell
        Which cell.
    trial
        Which of its trials.
    s, seed
        As for `probe_bound`.
    layer
        For the inputs "activations".

    Returns
    -------
    Case
        The same at every call.
    """
    # W and X do not depend on the direction, so that directions are compared on the same ones.
    rng = _generator(seed, trial, replace(cell, direction=""))
    keys = _gaussian(rng, cell.d, 2 * cell.d)
    if layer is None or cell.inputs != "activations":
        W, inputs = _gaussian(rng, cell.n, cell.d), _inputs(cell, rng)
    else:
        W, inputs, keys = layer.W, layer.keys, layer.keys.X
    rng = _generator(seed, trial, cell)
    if cell.direction == "adversarial":
        return Case(W, adversary(W, inputs.weak, cell.size, s, rng), inputs)
    return Case(W, of_size(_step(cell.direction, W, keys, s, rng), W, cell.size), inputs)


def _generator(seed: int, trial: int, cell: Cell) -> np.random.Generator:
    key = hashlib.blake2b(repr(cell).encode(), digest_size=8).digest()
    return np.random.default_rng([seed, trial, int.from_bytes(key)])


def _gaussian(rng: np.random.Generator, rows: int, columns: int) -> Float[Tensor, "rows columns"]:
    return torch.from_numpy(rng.normal(size=(rows, columns)))


def _inputs(cell: Cell, rng: np.random.Generator) -> Inputs:
    d, rank = cell.d, int(rng.integers(1, cell.d))
    basis = _orthonormal(rng, d, d)
    match cell.inputs:
        case "partial":
            return Inputs(basis[:, :rank], basis[:, rank:])
        case "deficient":
            return Inputs(basis[:, :rank] @ _orthonormal(rng, 2 * d, rank).T, basis[:, rank:])
        case "conditioned":
            values = torch.from_numpy(np.geomspace(1, 1 / cell.condition, d))
            return Inputs((basis * values) @ _orthonormal(rng, 2 * d, d).T, basis[:, -1:])
    return Inputs(basis, basis)


def _orthonormal(rng: np.random.Generator, rows: int, columns: int) -> Float[Tensor, "rows columns"]:
    return torch.from_numpy(orthonormal(rng, rows, columns))


def _tangent(W: Float[Tensor, "n d"], rng: np.random.Generator) -> Float[Tensor, "n d"]:
    units = as_neurons(W).directions(slice(None)).cpu().numpy()
    return torch.from_numpy(across(rng.normal(size=W.shape), units)).to(W)


def _step(
    direction: str, W: Float[Tensor, "n d"], keys: Float[Tensor, "d m"], s: float, rng: np.random.Generator
) -> Float[Tensor, "n d"]:
    """An edit of a direction, of any size."""
    n, d = W.shape
    match direction:
        case "tangent":
            return _tangent(W, rng)
        case "radial":
            return W * torch.from_numpy(rng.uniform(0.1, 1, size=(n, 1))).to(W)
        case "ascent":
            return energy_gradient(W, s=s)
        case "descent":
            return -energy_gradient(W, s=s)
        case "low-rank":
            batch, draw_seed = max(2, min(d // 4, 100)), int(rng.integers(2**63))
            return memit_update(W, keys, batch=batch, ridge=1.0, seed=draw_seed).dense()
    return _gaussian(rng, n, d).to(W)
