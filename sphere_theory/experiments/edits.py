"""Edits and inputs of the kinds that Theorem 1 is audited on, on a layer with real keys."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.editing.memit import Memit
from sphere_theory.editing.problem import EditBatch, LayerMemory
from sphere_theory.energy import energy_gradient
from sphere_theory.models.moments import second_moment
from sphere_theory.updates import LowRankUpdate

KINDS = ("small", "large", "radial", "ascent", "memit", "hidden")
INPUTS = ("orthonormal", "partial", "activations")


def counterfactual_batch(
    W: Float[Tensor, "n d"], keys: Float[Tensor, "d m"], *, batch: int, seed: int
) -> tuple[Float[Tensor, "d b"], Float[Tensor, "n b"]]:
    """Keys to edit, and how far their values are to move.

    The keys of the batch are drawn from `keys`; each is to be given the value that W gives to another
    key of the batch, as a counterfactual takes another prompt's answer.

    Parameters
    ----------
    W
        Weights, (n, d).
    keys
        Real keys, (d, m), m > batch.
    batch
        Number b of keys.
    seed
        Seed of the draw.

    Returns
    -------
    tuple of Tensor
        K, (d, b), and the residual R = V − W K, (n, b), in float64.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(keys.shape[1], generator=generator)[:batch]
    K = keys[:, chosen.to(keys.device)].double()
    values = W.double() @ K
    return K, values.roll(1, dims=1) - values


def memit_update(
    W: Float[Tensor, "n d"],
    keys: Float[Tensor, "d m"],
    *,
    batch: int,
    ridge: float,
    seed: int,
    moment: Float[Tensor, "d d"] | None = None,
) -> LowRankUpdate:
    """A `Memit` batch on real keys, K and R of `counterfactual_batch`.

    Parameters
    ----------
    W
        Weights, (n, d).
    keys
        Real keys, (d, m), m > batch, spanning the space.
    batch
        Number b of keys.
    ridge
        λ.
    seed
        Seed of the draw.
    moment
        C0, if it is known already; the second moment of all keys otherwise.

    Returns
    -------
    LowRankUpdate
        L = R, (n, b), and (λC0 + KKᵀ)⁻¹K, (d, b).

    Raises
    ------
    SingularError
        The keys do not span the space.
    """
    K, residual = counterfactual_batch(W, keys, batch=batch, seed=seed)
    C0 = second_moment(keys.double()) if moment is None else moment
    memory = LayerMemory(W, C0, samples=keys.shape[1])
    return Memit(ridge).update(memory, EditBatch(K, W.double() @ K + residual))


def finetune_update(
    W: Float[Tensor, "n d"], keys: Float[Tensor, "d m"], *, batch: int, seed: int
) -> LowRankUpdate:
    """One gradient step on ‖R − ΔW K‖_F², of the best length: ΔW = c·R Kᵀ, K and R of `counterfactual_batch`.

    Parameters
    ----------
    W
        Weights, (n, d).
    keys
        Real keys, (d, m), m > batch.
    batch
        Number b of keys.
    seed
        Seed of the draw.

    Returns
    -------
    LowRankUpdate
        L = c·R, (n, b), and K, (d, b).
    """
    K, residual = counterfactual_batch(W, keys, batch=batch, seed=seed)
    moved = residual @ (K.T @ K)
    length = (residual * moved).sum() / moved.square().sum()
    return LowRankUpdate((length * residual).to(W.dtype), K.to(W.dtype))


def make_edit(
    kind: str, W: Float[Tensor, "n d"], keys: Float[Tensor, "d m"], *, seed: int
) -> Float[Tensor, "n d"]:
    """An edit of one of the `KINDS`, in float64.

    "small" and "large": Gaussian, ‖ΔW‖_F/‖W‖_F = 1e-3 and 1; "radial": every neuron lengthened by 10%;
    "ascent": along +∇HE, relative size 1e-4; "memit": `memit_update` of 100 keys, λ = 15; "hidden":
    relative size 1e-3, outside the span of the "partial" inputs.

    Parameters
    ----------
    kind
        One of `KINDS`.
    W
        Weights, (n, d).
    keys
        Real keys, (d, m).
    seed
        Seed of the draw.

    Returns
    -------
    Tensor
        ΔW, (n, d).
    """
    wide = W.double()
    gauss = torch.randn(
        tuple(W.shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(W.device)
    if kind == "radial":
        return 0.1 * wide
    if kind == "memit":
        return memit_update(wide, keys, batch=100, ridge=15.0, seed=seed).dense()
    if kind == "ascent":
        return of_size(energy_gradient(wide), wide, 1e-4)
    if kind == "hidden":
        seen = _partial_basis(keys, seed)
        return of_size(gauss - (gauss @ seen) @ seen.T, wide, 1e-3)
    return of_size(gauss, wide, {"small": 1e-3, "large": 1.0}[kind])


def of_size(edit: Float[Tensor, "n d"], W: Float[Tensor, "n d"], relative: float) -> Float[Tensor, "n d"]:
    """Scale an edit to ‖ΔW‖_F = relative·‖W‖_F.

    Parameters
    ----------
    edit
        ΔW, not zero.
    W
        Weights.
    relative
        The relative size.

    Returns
    -------
    Tensor
        The scaled edit.
    """
    return edit * (relative * torch.linalg.vector_norm(W) / torch.linalg.vector_norm(edit))


def make_inputs(kind: str, keys: Float[Tensor, "d m"], *, seed: int) -> Float[Tensor, "d k"] | None:
    """Inputs of one of the `INPUTS`, in float64.

    "orthonormal": a basis of the whole space (None, which stands for it); "partial": 64 random
    orthonormal columns; "activations": all the real keys.

    Parameters
    ----------
    kind
        One of `INPUTS`.
    keys
        Real keys, (d, m).
    seed
        Seed of the draw.

    Returns
    -------
    Tensor or None
        X, (d, k).
    """
    if kind == "orthonormal":
        return None
    if kind == "activations":
        return keys.double()
    return _partial_basis(keys, seed)


def _partial_basis(keys: Float[Tensor, "d m"], seed: int) -> Float[Tensor, "d k"]:
    generator = torch.Generator().manual_seed(seed + 1)
    gauss = torch.randn((len(keys), min(64, len(keys) // 2)), generator=generator, dtype=torch.float64)
    return torch.linalg.qr(gauss).Q.to(keys.device)
