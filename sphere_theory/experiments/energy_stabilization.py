"""Does it help to bring the energy back after every batch of edits? Copies of a layer with and without.

The paper takes a stable energy for what keeps edits sound; then holding it still must help, and a change of
the outputs that is just as large and leaves the energy alone must not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import frobenius, full_precision
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.energy import energy, energy_gradient
from sphere_theory.experiments.base import Row
from sphere_theory.experiments.edited import EditingExperiment
from sphere_theory.experiments.perturbations import balanced_signs, clipped, levelling, stretched

ARMS = ("none", "HE held", "mirror", "signs", "norms held", "pulled back", "peaks clipped")

# Differences that answer the question: the first arm less the second, on the same stream.
CONTRASTS = (
    ("HE held", "none"),
    ("HE held", "signs"),
    ("mirror", "signs"),
    ("norms held", "none"),
    ("pulled back", "none"),
    ("peaks clipped", "none"),
    ("HE held", "pulled back"),
    ("HE held", "peaks clipped"),
)


@dataclass(frozen=True)
class EnergyStabilization(EditingExperiment):
    """A stream of edits with a step after every batch, one kind of step for each copy of the layer.

    All copies get the same batches.

    - "none": nothing else;
    - "HE held": the step S along ∓∇HE after which HE is that of the unedited layer (`levelling`);
    - "mirror": −S; "signs": diag(ε)S with random signs that leave HE where it is to first order. Both move
      the output of every key exactly as far as S does;
    - "norms held": every row gets the norm back that it had before any edit, which leaves HE as it is;
    - "pulled back": a step as long as S towards the weights before any edit;
    - "peaks clipped": a step as long as S that cuts the largest singular values, with no thought of HE.

    Parameters
    ----------
    every
        Batches between two rows of a copy.
    """

    every: int = 1

    name: ClassVar[str] = "energy-stabilization"

    @full_precision()
    def rows(self, folder: Path) -> list[Row]:
        """Measure them.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            A row a measured batch and arm: arm, edits, planned; ΔHE so far over the uniform energy, before
            the step and after it; the length of the step over that of the batch's own ΔW, and its cosine with
            the way back to W0; ‖W − W0‖_F/‖W0‖_F; and the metrics.
        """
        start = self.start(folder)
        generator = torch.Generator().manual_seed(self.seed)
        layers = dict.fromkeys(ARMS, start.memory)
        rows = []
        for batch in range(math.ceil(self.edits / self.batch)):
            edited = {arm: start.edit(layer) for arm, layer in layers.items()}
            steps = stabilizing_steps(edited, start.energy, generator)
            after = {arm: layer.at(layer.W + steps[arm]) for arm, layer in edited.items()}
            if (batch + 1) % self.every == 0 or after["none"].edits == self.edits:
                for arm in ARMS:
                    fixed = {"arm": arm, "planned": self.edits}
                    course = (layers[arm], edited[arm], after[arm])
                    rows.append(fixed | _course(*course, start.uniform) | start.metrics(after[arm]))
            layers = after
        return rows


def _course(before: LayerMemory, edited: LayerMemory, after: LayerMemory, uniform: float) -> Row:
    """What a batch and the step after it did."""
    W0, step = before.W0, after.W - edited.W
    size, back = frobenius(step), W0 - edited.W
    level = energy(W0)
    return {
        "edits": after.edits,
        "energy_before_step": (energy(edited.W) - level) / uniform,
        "energy_change": (energy(after.W) - level) / uniform,
        "step_share": size / frobenius(edited.W - before.W),
        "undoing": float((step * back).sum()) / size / frobenius(back) if size else 0.0,
        "edit_norm": frobenius(after.W - W0) / frobenius(W0),
    }


def stabilizing_steps(
    layers: Mapping[str, LayerMemory], level: float, generator: torch.Generator
) -> dict[str, Float[Tensor, "n d"]]:
    """The step that each copy of an edited layer gets after a batch.

    Parameters
    ----------
    layers
        The copies, by arm.
    level
        HE before any edit.
    generator
        Of the signs.

    Returns
    -------
    dict
        By arm, (n, d).
    """
    S = levelling(layers["HE held"].W, level)
    parts = (S * energy_gradient(layers["signs"].W)).sum(dim=1)
    scaled, pulled = layers["norms held"], layers["pulled back"]
    logs = (scaled.W0.norm(dim=1) / scaled.W.norm(dim=1)).log()
    back, peaked = pulled.W0 - pulled.W, layers["peaks clipped"].W
    return {
        "none": torch.zeros_like(S),
        "HE held": S,
        "mirror": -S,
        "signs": balanced_signs(parts, generator)[:, None] * S,
        "norms held": stretched(scaled.W, logs, 1.0) - scaled.W,
        "pulled back": min(1.0, frobenius(S) / frobenius(back)) * back,
        "peaks clipped": clipped(peaked, frobenius(S)) - peaked if S.any() else torch.zeros_like(S),
    }
