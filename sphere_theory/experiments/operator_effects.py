"""SPHERE's projector beside its controls, on edits of a real layer.

What it does to an edit is measured three ways: to the energy, to the outputs on keys that are to be
preserved, and to the edit itself on its own keys. Shrinking an edit lowers all three alike, so that only
interference per surviving edit tells a good direction from a small step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.experiments.edits import counterfactual_batch, finetune_update, memit_update, of_size
from sphere_theory.models.moments import second_moment
from sphere_theory.motion import energy_change
from sphere_theory.projection import NormMatchedShrinkage, SparseProjector
from sphere_theory.spectrum import PrincipalSpace, Subspace, bottom_space, random_space
from sphere_theory.updates import LowRankUpdate

OPERATORS = ("SPHERE", "same norm", "random subspace", "bottom-r")
EDITS = ("memit", "fine-tuning", "random")

BATCH = 100
RIDGE = 1500.0  # about half of the wanted change of values arrives; λ = 15000 is usual at d = 14336

# Share of the keys that C0 and the edits are taken from; the rest is held out and to be preserved.
KNOWN = 0.75

Operator = SparseProjector | NormMatchedShrinkage


@dataclass(frozen=True)
class Effect:
    """What an operator makes of an edit: each after/before.

    Attributes
    ----------
    energy
        Of |ΔHE|.
    interference
        Of ‖ΔW K0‖_F on keys held out, to be preserved.
    survival
        Of ⟨ΔW K, R⟩, the wanted change of values on the edit's own keys: 1 if nothing of it is lost.
    """

    energy: float
    interference: float | None = None
    survival: float | None = None

    @property
    def price(self) -> float | None:
        """Interference per surviving edit: 1 for plain shrinkage, below 1 where directions help."""
        if self.interference is None or not self.survival:
            return None
        return self.interference / self.survival

    def record(self) -> dict[str, Any]:
        """Everything as plain numbers."""
        return asdict(self) | {"price": self.price}


@dataclass(frozen=True)
class ControlTrial:
    """One edit, and what each operator makes of it.

    Attributes
    ----------
    edit
        One of `EDITS`.
    trial
        Which draw.
    relative_edit
        ‖ΔW‖_F/‖W‖_F before.
    effects
        By name of the operator.
    """

    edit: str
    trial: int
    relative_edit: float
    effects: dict[str, Effect]

    def record(self) -> dict[str, Any]:
        """Everything as plain numbers."""
        effects = {name: effect.record() for name, effect in self.effects.items()}
        return {
            "edit": self.edit,
            "trial": self.trial,
            "relative_edit": self.relative_edit,
            "effects": effects,
        }


@dataclass(frozen=True)
class SplitKeys:
    """Keys of a layer, some known to the editor and the rest held out to be preserved.

    Attributes
    ----------
    known, kept
        (d, ·), float64.
    moment
        C0, the second moment of the known ones.
    """

    known: Float[Tensor, "d m"]
    kept: Float[Tensor, "d k"]
    moment: Float[Tensor, "d d"]


def split_keys(keys: Float[Tensor, "d m"]) -> SplitKeys:
    """Hold out the last quarter of the keys: neither C0 nor an edit has seen their sentences.

    Parameters
    ----------
    keys
        Real keys in the order of their sentences, (d, m).

    Returns
    -------
    SplitKeys
        Both parts.
    """
    cut = int(KNOWN * keys.shape[1])
    known = keys[:, :cut].double()
    return SplitKeys(known, keys[:, cut:].double(), second_moment(known))


def control_trials(
    W: Float[Tensor, "n d"],
    keys: SplitKeys,
    space: PrincipalSpace,
    *,
    alpha: float,
    trials: int,
    seed: int,
) -> Iterator[ControlTrial]:
    """Put edits of a layer through the projector and its controls.

    Three kinds of edits a trial: "memit" and "fine-tuning" on 100 of the known keys, and "random", a
    Gaussian matrix of relative size 1e-2, which has no keys and is measured by energy alone.

    Parameters
    ----------
    W
        Weights, (n, d).
    keys
        Real keys, the known ones spanning the space.
    space
        The principal space of W.
    alpha
        α of the projector and of the controls that are projectors.
    trials
        Draws of each kind.
    seed
        Seed of the first; the others follow it.

    Yields
    ------
    ControlTrial
        Trial by trial, in the order of `EDITS`.
    """
    wide = W.double()
    bottom = bottom_space(wide, space.rank)
    projector = SparseProjector(space, alpha)
    for trial in range(trials):
        draw = seed + trial
        operators: dict[str, Operator] = {
            "SPHERE": projector,
            "same norm": NormMatchedShrinkage(projector),
            "random subspace": SparseProjector(random_space(space, seed=draw), alpha),
            "bottom-r": SparseProjector(bottom, alpha),
        }
        batch = counterfactual_batch(wide, keys.known, batch=BATCH, seed=draw)
        for kind in EDITS[:2]:
            update = _update(kind, wide, keys, draw)
            before = _measure(wide, update, keys.kept, batch)
            effects = {}
            for name, operator in operators.items():
                after = _measure(wide, operator(update), keys.kept, batch)
                effects[name] = Effect(*(new / old for new, old in zip(after, before, strict=True)))
            yield ControlTrial(kind, trial, _relative(update.dense(), wide), effects)
        yield _random_trial(wide, operators, trial, draw)


def _update(kind: str, W: Tensor, keys: SplitKeys, seed: int) -> LowRankUpdate:
    if kind == "memit":
        return memit_update(W, keys.known, batch=BATCH, ridge=RIDGE, seed=seed, moment=keys.moment)
    return finetune_update(W, keys.known, batch=BATCH, seed=seed)


def _measure(
    W: Tensor, update: LowRankUpdate, kept: Tensor, batch: tuple[Tensor, Tensor]
) -> tuple[float, float, float]:
    """|ΔHE|, ‖ΔW K0‖_F and ⟨ΔW K, R⟩ of one edit."""
    left, right = update.factors()
    K, wanted = batch
    interference = torch.linalg.vector_norm(left @ (right.T @ kept))
    arrived = (left @ (right.T @ K) * wanted).sum()
    return abs(energy_change(W, update.dense()).change), float(interference), float(arrived)


def _random_trial(W: Tensor, operators: dict[str, Operator], trial: int, seed: int) -> ControlTrial:
    gauss = torch.randn(tuple(W.shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    delta = of_size(gauss.to(W.device), W, 1e-2)
    before = energy_change(W, delta).change
    effects = {
        name: Effect(abs(energy_change(W, operator(delta)).change / before))
        for name, operator in operators.items()
    }
    return ControlTrial("random", trial, _relative(delta, W), effects)


def _relative(delta: Tensor, W: Tensor) -> float:
    return float(torch.linalg.vector_norm(delta) / torch.linalg.vector_norm(W))


def invariance_defect(space: Subspace, moment: Float[Tensor, "d d"]) -> float:
    """How far span(U) is from invariant under C0: ‖(I − UUᵀ)C0 U‖_F/‖C0 U‖_F (ledger P2).

    Parameters
    ----------
    space
        The subspace, with orthonormal basis U, (d, r).
    moment
        C0, (d, d).

    Returns
    -------
    float
        0 if C0 U = U S for some S; at most 1.
    """
    U = torch.as_tensor(space.basis).to(moment)
    image = moment @ U
    outside = image - U @ (U.T @ image)
    return float(torch.linalg.vector_norm(outside) / torch.linalg.vector_norm(image))
