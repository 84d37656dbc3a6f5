"""NAS: values brought back to the norm they had in the original model (Liu et al. 2026, arXiv 2602.02543)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_real, full_precision, like
from sphere_theory.editing.editor import Editor, as_editor
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step, require_nonzero_columns, wide_product


@dataclass(frozen=True)
class Nas(Editor):
    """Another editor on values rescaled to one norm: v* ← n̄ v*/‖v*‖.

    Parameters
    ----------
    editor
        Which editor. Default `MemitSequential()`.
    norm
        n̄, the mean norm of values in the original model. None: their root mean square,
        √tr(W0 C0 W0ᵀ), which C0 gives and which is at least the mean.

    Raises
    ------
    RangeError
        n̄ not positive.
    DTypeError
        Not an editor.
    """

    editor: Editor = field(default_factory=MemitSequential)
    norm: float | None = None

    name: ClassVar[str] = "nas"

    def __post_init__(self) -> None:
        as_editor(self.editor, "editor")
        if self.norm is not None:
            as_real(self.norm, "norm", low=0, low_open=True)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The editor's step for the rescaled values.

        Parameters
        ----------
        memory
            The layer; with C0 and W0 if `norm` is None.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            As of the editor; its state, and "nas.norm", n̄.

        Raises
        ------
        RangeError
            A value of zeros.
        InputError
            As the editor raises.
        """
        _, V = memory.keys_and_values(batch)
        require_nonzero_columns(V, "batch.values")
        norm = memory.remembered("nas.norm", lambda: self._norm(memory))
        scaled = V * (norm / torch.linalg.vector_norm(V, dim=0))
        step = self.editor.solve(memory, EditBatch(batch.keys, like(scaled, batch.values)))
        return Step(step.update, {**step.state, "nas.norm": norm})

    def _norm(self, memory: LayerMemory) -> Float[Tensor, ""]:
        if self.norm is not None:
            return torch.tensor(self.norm, dtype=torch.float64, device=memory.W.device)
        image = wide_product(memory.W0, memory.moment())
        return (image * memory.W0).sum(dtype=torch.float64).sqrt()
