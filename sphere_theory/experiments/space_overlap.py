"""How SPHERE's space lies to the null space that AlphaEdit edits in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import frobenius, full_precision
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.editing.registry import find_editor
from sphere_theory.experiments.base import OnHost, Row
from sphere_theory.hosts.base import Edits
from sphere_theory.spectrum import Subspace, principal_space
from sphere_theory.updates import dense_tensor

# Points of a curve over d directions: it is drawn, not tabulated.
_POINTS = 48


def inside(matrix: Float[Tensor, "n d"], space: Subspace) -> float:
    """Share of ‖A‖_F² inside a space: ‖AU‖_F²/‖A‖_F².

    Parameters
    ----------
    matrix
        A, (n, d), not zero.
    space
        With basis U.

    Returns
    -------
    float
        Between 0 and 1.
    """
    basis = torch.as_tensor(space.basis).to(matrix)
    return (frobenius(matrix @ basis) / frobenius(matrix)) ** 2


def overlap(space: Subspace, other: Subspace) -> float:
    """Share of one space inside another: ‖QᵀU‖_F²/r, the mean squared cosine of its principal angles.

    Parameters
    ----------
    space
        With basis U, (d, r).
    other
        With basis Q, (d, q).

    Returns
    -------
    float
        Between 0 and 1; q/d for a random U.
    """
    return inside(torch.as_tensor(space.basis).T, other)


def with_null_space(memory: LayerMemory, space: Float[Tensor, "d q"]) -> LayerMemory:
    """A layer before any edit, with what AlphaEdit would make for every first batch anew.

    Parameters
    ----------
    memory
        The layer.
    space
        Q, as `null_space` returns it.

    Returns
    -------
    LayerMemory
        The same weights and C0.
    """
    return LayerMemory(memory.weight, memory.second_moment, memory.samples, state={"null_space": space})


@dataclass(frozen=True)
class SpaceOverlap(OnHost):
    """How much of SPHERE's space lies in the null space that AlphaEdit edits in.

    Parameters
    ----------
    eta
        Of SPHERE's space.
    thresholds
        Of AlphaEdit; the released one is 2e-2.
    l2
        Of AlphaEdit.
    ridge
        λ of MEMIT, beside it.
    batch, batches
        Edits a batch, and batches, each from the pretrained weights.
    """

    eta: float = 0.5
    thresholds: tuple[float, ...] = (2e-3, 2e-2, 2e-1)
    l2: float = 1.0
    ridge: float = 15.0
    batch: int = 100
    batches: int = 3

    name: ClassVar[str] = "space-overlap"

    @full_precision()
    def rows(self, folder: Path) -> list[Row]:
        """Measure it.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            kind "curve": with Q the q eigenvectors of C0 with the smallest eigenvalues, kept = q, chance =
            q/d and inside = ‖QᵀU‖²/r, for q from 1 to d. kind "threshold": the same at each threshold (0 for
            an empty null space). kind "edit": edit_inside = ‖ΔWU‖²/‖ΔW‖² by draw of a batch, of "alphaedit"
            at each threshold and of "memit-seq", beside chance: inside·r/q for an edit anywhere in the null
            space, r/d for one anywhere.
        """
        memory, stream = self.made(folder, self.batch * self.batches)
        U = principal_space(memory.W.double(), eta=self.eta)
        values, vectors = torch.linalg.eigh(memory.moment())
        d, rank = len(values), U.rank
        within = (vectors.T @ U.basis).square().sum(dim=1).cumsum(dim=0) / rank
        known = {"rank": rank, "dimension": d}
        curve = sorted({max(1, round(d * k / _POINTS)) for k in range(_POINTS + 1)})
        rows = [self._at(within, q) | {"kind": "curve"} for q in curve]
        memit = find_editor("memit-seq", ridge=self.ridge)
        rows += self._edits(memit, memory, stream, U, {"chance": rank / d})
        for threshold in self.thresholds:
            at = self._at(within, int((values < threshold).sum())) | {"threshold": threshold}
            rows.append(at | {"kind": "threshold"})
            if at["kept"]:
                editor = AlphaEdit(self.l2, threshold)
                chance = {"threshold": threshold, "chance": at["inside"] * rank / at["kept"]}
                ready = with_null_space(memory, vectors[:, : at["kept"]].contiguous())
                rows += self._edits(editor, ready, stream, U, chance)
        return [known | row for row in rows]

    @staticmethod
    def _at(within: Tensor, kept: int) -> Row:
        return {
            "kept": kept,
            "chance": kept / len(within),
            "inside": float(within[kept - 1]) if kept else 0.0,
        }

    def _edits(
        self, editor: Editor, memory: LayerMemory, stream: Edits, U: Subspace, told: Row
    ) -> Iterator[Row]:
        for draw in range(self.batches):
            batch = stream.batch(draw * self.batch, (draw + 1) * self.batch)
            share = inside(dense_tensor(editor.update(memory, batch)), U)
            yield {"kind": "edit", "edit": editor.name, "draw": draw, "edit_inside": share} | told
