"""RECT: only the entries that change most, relative to what they were (Gu et al. 2024, arXiv 2401.04700)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from sphere_theory.arrays import as_real, full_precision
from sphere_theory.editing.editor import Editor, as_editor
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.updates import dense_tensor


@dataclass(frozen=True)
class Rect(Editor):
    """Another editor's ΔW with all but the entries of largest |ΔW/W| set to zero; dense.

    W are the weights before the batch. An entry of W that is zero has an infinite ratio, unless ΔW is
    zero there too. Ties at the threshold are all kept. No ε is added to W, as the released code does.

    Parameters
    ----------
    editor
        Whose edits are thinned out. Default `Memit()`, as in the paper.
    keep
        Share of the entries that is kept, in (0, 1]. Default 0.4.

    Raises
    ------
    RangeError
        `keep` outside (0, 1].
    DTypeError
        Not an editor.
    """

    editor: Editor = field(default_factory=Memit)
    keep: float = 0.4

    name: ClassVar[str] = "rect"

    def __post_init__(self) -> None:
        as_editor(self.editor, "editor")
        as_real(self.keep, "keep", low=0, high=1, low_open=True)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch, dense.

        Parameters
        ----------
        memory
            The layer.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            ΔW, (n, d), of keep·nd entries, rounded (at least one, more at ties); the state of the editor.

        Raises
        ------
        InputError
            As the editor raises.
        """
        step = self.editor.solve(memory, batch)
        delta = dense_tensor(step.update)
        return Step(delta * _largest(delta, memory.W, self.keep), step.state)


def _largest(delta: Tensor, W: Tensor, keep: float) -> Tensor:
    ratios = (delta / W).abs().nan_to_num_(nan=0.0, posinf=torch.inf)  # 0/0 is no change
    kept = max(1, round(keep * ratios.numel()))
    return ratios >= ratios.flatten().kthvalue(ratios.numel() - kept + 1).values
