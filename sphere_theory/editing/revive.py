"""REVIVE: edits kept out of the dominant singular subspaces (arXiv 2601.11042)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from sphere_theory.arrays import as_count, as_real, full_precision
from sphere_theory.editing.editor import Editor, as_editor
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.errors import RangeError
from sphere_theory.projection import suppressed
from sphere_theory.spectrum import principal_space
from sphere_theory.updates import transposed


@dataclass(frozen=True)
class Revive(Editor):
    """Another editor's ΔW as (I − U_kU_kᵀ)ΔW(I − V_kV_kᵀ), with top-k singular vectors of W0.

    U_k on the left and V_k on the right belong to the pretrained weights, so that edits do not move what
    they are kept out of.

    Parameters
    ----------
    editor
        Whose edits are projected. Default `MemitSequential()`.
    rank
        k, or None for `share` to decide.
    share
        The smallest k whose squared singular values hold this share of ‖W0‖_F², in (0, 1]. Default 0.5.
        Not used if `rank` is given.

    Raises
    ------
    RangeError
        `rank` < 1, `share` outside (0, 1].
    DTypeError
        Not an editor.
    """

    editor: Editor = field(default_factory=MemitSequential)
    rank: int | None = None
    share: float = 0.5

    name: ClassVar[str] = "revive"

    def __post_init__(self) -> None:
        as_editor(self.editor, "editor")
        if self.rank is not None:
            as_count(self.rank, "rank", low=1)
        as_real(self.share, "share", low=0, high=1, low_open=True)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch, of the editor's rank.

        Parameters
        ----------
        memory
            The layer, with W0.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            The projected update; the editor's state, and "revive.left" U_k and "revive.right" V_k.

        Raises
        ------
        RangeError
            `rank` larger than that of W0, or W0 = 0.
        InputError
            As the editor raises.
        """
        step = self.editor.solve(memory, batch)
        right = memory.remembered("revive.right", lambda: self._right(memory.W0))
        left = memory.remembered("revive.left", lambda: torch.linalg.qr(memory.W0 @ right).Q)
        inner = suppressed(step.update, right, 1.0)
        update = transposed(suppressed(transposed(inner), left, 1.0))
        return Step(update, {**step.state, "revive.right": right, "revive.left": left})

    def _right(self, W: Tensor) -> Tensor:
        space = principal_space(W, eta=1.0 if self.rank is not None else self.share)
        if self.rank is not None and self.rank > space.rank:
            raise RangeError("rank", f"at most the rank {space.rank} of the weights", repr(self.rank))
        return space.basis[:, : self.rank].clone()
