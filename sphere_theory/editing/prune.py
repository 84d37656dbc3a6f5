"""PRUNE: the condition number of what was added, restrained (Ma et al. 2024, arXiv 2405.16821)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import frobenius, full_precision
from sphere_theory.editing.editor import Editor, as_editor
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.errors import RangeError
from sphere_theory.gram import gram_matrix
from sphere_theory.updates import LowRankUpdate, add_update, dense_tensor


@dataclass(frozen=True)
class Prune(Editor):
    """Singular values σ of the cumulative ΔW = W − W0 above σ_max(W0) become log σ − log σ_max + σ_max.

    After every batch, so that the next one is solved with the restrained weights, and a later batch
    restrains what an earlier one left above σ_max. The paper restrains once, after the last edit: one
    batch, or a run's first, does the same. Only the singular directions above σ_max change, which adds a
    low-rank term to the editor's update and leaves it low-rank if it was.

    Parameters
    ----------
    editor
        Whose edits are restrained. Default `Memit()`.

    Raises
    ------
    DTypeError
        Not an editor.
    """

    editor: Editor = field(default_factory=Memit)

    name: ClassVar[str] = "prune"

    def __post_init__(self) -> None:
        as_editor(self.editor, "editor")

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch: O(nd), or O(min(n, d)·nd) once the cumulative ΔW has grown beyond W0.

        Parameters
        ----------
        memory
            The layer, with W0.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            The editor's update, with a correction of as many ranks as there are singular values above
            σ_max(W0); the editor's state, and "prune.limit", σ_max(W0).

        Raises
        ------
        RangeError
            W0 is zero.
        InputError
            As the editor raises.
        """
        step = self.editor.solve(memory, batch)
        limit = memory.remembered("prune.limit", lambda: _largest_singular_value(memory.W0))
        total = add_update(memory.W - memory.W0, step.update)
        state = {**step.state, "prune.limit": limit}
        # No singular value exceeds the Frobenius norm: the usual case, and it costs no decomposition.
        if frobenius(total) <= float(limit):
            return Step(step.update, state)
        return Step(_sum(step.update, _restraint(total, float(limit))), state)


def _largest_singular_value(W: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    thin = W if W.shape[0] <= W.shape[1] else W.T
    limit = torch.linalg.eigvalsh(gram_matrix(thin))[-1].clamp_min(0).sqrt()
    if limit == 0:
        raise RangeError("memory.pretrained", "a matrix that is not zero", f"zeros of shape {tuple(W.shape)}")
    return limit


def _restraint(total: Float[Tensor, "n d"], limit: float) -> LowRankUpdate | None:
    """What has to be added to a matrix to bring its singular values down; None for nothing."""
    if total.shape[0] > total.shape[1]:
        turned = _restraint(total.T, limit)
        return None if turned is None else LowRankUpdate(turned.right, turned.left)
    values, vectors = torch.linalg.eigh(gram_matrix(total))
    sigma = values.clamp_min(0).sqrt()
    above = sigma > limit
    if not bool(above.any()):
        return None
    sigma, vectors = sigma[above], vectors[:, above]
    factor = ((sigma / limit).log() + limit) / sigma - 1
    return LowRankUpdate((vectors * factor).to(total), total.T @ vectors.to(total))


def _sum(update: LowRankUpdate | Tensor, more: LowRankUpdate | None) -> LowRankUpdate | Tensor:
    if more is None:
        return update
    if isinstance(update, LowRankUpdate):
        left = torch.cat([update.left, more.left], dim=1)
        return LowRankUpdate(left, torch.cat([update.right, more.right], dim=1))
    return update + dense_tensor(more)
