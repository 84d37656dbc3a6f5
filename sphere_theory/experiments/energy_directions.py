"""Why directions of variance should matter to an energy of angles: how much of it SPHERE's space holds.

Of the energy's gradient, and of what real edits do to the energy, beside other spaces of as many directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_real, frobenius, full_precision
from sphere_theory.editing.alphaedit import AlphaEdit, null_space
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.editing.registry import find_editor
from sphere_theory.energy import energy_gradient, uniform_energy
from sphere_theory.errors import SingularError
from sphere_theory.experiments.base import OnHost, Row
from sphere_theory.experiments.space_overlap import inside, overlap, with_null_space
from sphere_theory.gram import gram_matrix
from sphere_theory.motion import energy_change
from sphere_theory.neurons import as_neurons
from sphere_theory.projection import NormMatchedShrinkage, SparseProjector, edit_norm
from sphere_theory.spectrum import Subspace, bottom_space, principal_space, random_space
from sphere_theory.updates import LowRankUpdate, dense_tensor

# Spaces that the energy is asked about, of r directions but for the mean's, and how figures call them.
SPACES: Mapping[str, str] = {
    "principal": "SPHERE: top-r of W",
    "unit": "top-r of unit rows",
    "gradient": "top-r of ∇HE itself",
    "mean": "mean direction (r = 1)",
    "random": "random in the neurons' span",
    "bottom": "bottom-r of W",
}


@full_precision()
def moment_gradient(
    W: Float[Tensor, "n d"], *, s: float = 1.0
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """Gradient of the energy to second order in the cosines: what mean and covariance alone explain.

    HE_s = Σ f(c_ij) with f(c) = (2 − 2c)^(−s/2) ≈ 2^(−s/2)(1 + (s/2)c + (s/4)(s/2 + 1)c²), so that but for a
    constant HE_s ≈ 2^(−s/2)((s/2)‖Σû_i‖² + (s/4)(s/2 + 1)‖ÛᵀÛ‖_F²): the length of the mean direction, and how
    uneven the variances of the directions are. With T_i = I − û_iû_iᵀ the gradients of the two parts are

        (2^(1−s/2)(s/2)/‖w_i‖) T_i Σ_j û_j   and   (2^(1−s/2)(s/2)(s/2 + 1)/‖w_i‖) T_i ÛᵀÛ û_i.

    Parameters
    ----------
    W
        Weights, (n, d), no zero row.
    s
        Exponent, positive. Default 1.

    Returns
    -------
    mean, covariance
        (n, d) each, float64.

    Raises
    ------
    RangeError
        s not positive.
    """
    s = as_real(s, "s", low=0, low_open=True)
    neurons = as_neurons(W)
    norms = neurons.true_norms()[:, None].to(W.device, torch.float64)
    units = W.double() / norms
    factor = 2 ** (1 - s / 2) * (s / 2)
    pulls = units.sum(dim=0).expand_as(units), (s / 2 + 1) * gram_matrix(units) @ units
    mean, covariance = (
        (factor / norms) * (pull - (pull * units).sum(dim=1, keepdim=True) * units) for pull in pulls
    )
    return mean, covariance


@full_precision()
def rival_spaces(
    W: Float[Tensor, "n d"], gradient: Float[Tensor, "n d"], *, eta: float, seed: int
) -> dict[str, Subspace]:
    """Spaces that SPHERE's could have been, of as many directions, and the mean direction alone.

    Parameters
    ----------
    W
        Weights, (n, d).
    gradient
        ∇HE at W.
    eta
        η of SPHERE's space.
    seed
        Of the random one, which lies in the space of the neurons: every gradient does, if n < d.

    Returns
    -------
    dict of str to Subspace
        By the names of `SPACES`.
    """
    own = principal_space(W, eta=eta)
    rank = own.rank
    mean = (W / torch.linalg.vector_norm(W, dim=1, keepdim=True)).sum(dim=0)
    of_neurons = principal_space(W, eta=1.0).basis
    drawn = random_space(Subspace(torch.zeros((of_neurons.shape[1], rank), dtype=torch.float64)), seed=seed)
    return {
        "principal": own,
        "unit": Subspace(principal_space(W, eta=1.0, rows="unit").basis[:, :rank]),
        "gradient": Subspace(principal_space(gradient, eta=1.0).basis[:, :rank]),
        "mean": Subspace((mean / torch.linalg.vector_norm(mean))[:, None]),
        "random": Subspace(of_neurons @ drawn.basis.to(of_neurons)),
        "bottom": bottom_space(W, rank),
    }


@dataclass(frozen=True)
class EnergyDirections(OnHost):
    """How much of the energy's gradient, and of what edits do to the energy, is in SPHERE's space.

    Parameters
    ----------
    eta, alpha
        Of SPHERE.
    editors
        Whose first batches are measured, each from the pretrained weights.
    batch, batches
        Edits a batch, and batches.
    ridge, l2, threshold
        λ of MEMIT, L2 and threshold of AlphaEdit.
    """

    eta: float = 0.5
    alpha: float = 0.8
    editors: tuple[str, ...] = ("memit-seq", "alphaedit", "ft")
    batch: int = 100
    batches: int = 3
    ridge: float = 15.0
    l2: float = 1.0
    threshold: float = 2e-2

    name: ClassVar[str] = "energy-directions"

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
            kind "gradient": for each of `SPACES` the share of ‖∇HE‖² inside, its rank, of how many directions
            of the neurons' span; and overlap, its own share inside SPHERE's. kind "model": for part "mean",
            "covariance" and "both" of `moment_gradient` the cosine with ∇HE, and the share of ‖·‖² inside
            SPHERE's space. kind "edit": for each editor, draw of a batch and space: change, ΔHE(ΔW) over the
            uniform expectation; edit_inside, share of ‖ΔW‖²; change_inside = ΔHE(ΔWUUᵀ)/ΔHE(ΔW), which may be
            below 0 or above 1; norm_left = ‖ΔWP‖/‖ΔW‖; change_left = |ΔHE(ΔWP)/ΔHE(ΔW)|; and change_shrunk,
            the same for ΔW scaled to ‖ΔWP‖. AlphaEdit is left out where the threshold leaves no null space.
        """
        memory, stream = self.made(folder, self.batch * self.batches)
        W = memory.W.double()
        slope = energy_gradient(W)
        spaces = rival_spaces(W, slope, eta=self.eta, seed=self.seed)
        own = spaces["principal"]
        rows: list[Row] = [
            {
                "kind": "gradient",
                "space": name,
                "rank": space.rank,
                "directions": min(W.shape),
                "share": inside(slope, space),
                "overlap": overlap(space, own),
            }
            for name, space in spaces.items()
        ]
        rows += self._models(W, slope, own)
        for editor, known in self._editors(memory):
            for draw in range(self.batches):
                update = editor.update(known, stream.batch(draw * self.batch, (draw + 1) * self.batch))
                told = {"kind": "edit", "edit": editor.name, "draw": draw}
                rows += [told | effect for effect in self._effects(W, update, spaces)]
        return rows

    def _models(self, W: Tensor, slope: Tensor, own: Subspace) -> Iterator[Row]:
        mean, covariance = moment_gradient(W)
        for part, model in (("mean", mean), ("covariance", covariance), ("both", mean + covariance)):
            cosine = float((model * slope).sum()) / (frobenius(model) * frobenius(slope))
            yield {"kind": "model", "part": part, "cosine": cosine, "share": inside(model, own)}

    def _editors(self, memory: LayerMemory) -> Iterator[tuple[Editor, LayerMemory]]:
        settings = {"ridge": self.ridge, "l2": self.l2, "threshold": self.threshold}
        for name in self.editors:
            known = find_editor(name).record()
            editor = find_editor(name, **{key: value for key, value in settings.items() if key in known})
            if not isinstance(editor, AlphaEdit):
                yield editor, memory
                continue
            with suppress(SingularError):
                yield editor, with_null_space(memory, null_space(memory, self.threshold))

    def _effects(
        self, W: Tensor, update: LowRankUpdate | Tensor, spaces: Mapping[str, Subspace]
    ) -> Iterator[Row]:
        edit, uniform = dense_tensor(update), uniform_energy(*W.shape)
        change = energy_change(W, edit).change
        for name, space in spaces.items():
            projector = SparseProjector(space, self.alpha)
            kept = projector(edit)
            within = edit - SparseProjector(space, 1.0)(edit)
            shrunk = NormMatchedShrinkage(projector)(edit)
            yield {
                "space": name,
                "change": change / uniform,
                "edit_inside": (edit_norm(within) / edit_norm(edit)) ** 2,
                "change_inside": energy_change(W, within).change / change,
                "norm_left": edit_norm(kept) / edit_norm(edit),
                "change_left": abs(energy_change(W, kept).change / change),
                "change_shrunk": abs(energy_change(W, shrunk).change / change),
            }
