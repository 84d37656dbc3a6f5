"""Controls of SPHERE: the same plug-in with an operator that should do no better if U is the right space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import ClassVar

from torch import Tensor

from sphere_theory.arrays import as_choice, as_count, as_real, full_precision
from sphere_theory.editing.editor import Editor, as_editor
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import RangeError
from sphere_theory.projection import edit_norm, suppressed
from sphere_theory.spectrum import bottom_space, principal_space, random_space
from sphere_theory.updates import LowRankUpdate

# Kind of control: how figures and tables call it.
KINDS: Mapping[str, str] = {
    "shrink": "same-norm shrinkage",
    "random": "random subspace",
    "bottom": "bottom-r directions",
}


@dataclass(frozen=True)
class Control(Editor):
    """Another editor's ΔW under a control of P = I − αUUᵀ, after each batch's solve (ledger O7).

    U, (d, r), are the principal directions of W0 that SPHERE would take. The update of a batch becomes

    - "shrink": cΔW with c = ‖ΔWP‖_F/‖ΔW‖_F, as small as SPHERE's, in no particular direction; 0 stays 0;
    - "random": ΔW(I − αQQᵀ), Q a uniformly random (d, r);
    - "bottom": ΔW(I − αBBᵀ), B the r least principal directions of the space that the neurons span.

    It is of the rank of the editor's own update.

    Parameters
    ----------
    editor
        Whose updates are changed.
    kind
        "shrink", "random" or "bottom".
    eta
        η in (0, 1]: the share that decides r. Default 0.5.
    alpha
        α in [0, 2]. Default 0.8.
    seed
        Of Q; the others have no use for it.

    Raises
    ------
    RangeError
        A number outside its interval, an unknown kind, or a `Sphere` or `Control` to be changed.
    DTypeError
        Not an editor.
    """

    editor: Editor = field(default_factory=MemitSequential)
    kind: str = "shrink"
    eta: float = 0.5
    alpha: float = 0.8
    seed: int = 0

    name: ClassVar[str] = "control"

    def __post_init__(self) -> None:
        if isinstance(as_editor(self.editor, "editor"), Sphere | Control):
            got = type(self.editor).__name__
            raise RangeError("editor", "an editor that is not projected yet", f"a {got}")
        as_choice(self.kind, "kind", tuple(KINDS))
        as_real(self.eta, "eta", low=0, high=1, low_open=True)
        as_real(self.alpha, "alpha", low=0, high=2)
        as_count(self.seed, "seed", low=0, high=2**63 - 1)

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The editor's step under the control: low-rank if that is, else dense.

        Parameters
        ----------
        memory
            The layer, with W0 and what earlier batches left.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            The changed update; the editor's state, and "control.basis" U, Q or B.

        Raises
        ------
        RangeError
            The pretrained weights are zero.
        InputError
            As the editor raises.
        """
        step = self.editor.solve(memory, batch)
        basis = memory.remembered("control.basis", lambda: self._basis(memory.W0))
        start = perf_counter()
        update = suppressed(step.update, basis, self.alpha)
        if self.kind == "shrink":
            update = _scaled(step.update, edit_norm(update))
        state = {**step.state, "control.basis": basis}
        return Step(update, state, {**step.seconds, "project": perf_counter() - start})

    def _basis(self, W: Tensor) -> Tensor:
        principal = principal_space(W, eta=self.eta)
        if self.kind == "random":
            return random_space(principal, seed=self.seed).basis
        if self.kind == "bottom":
            return bottom_space(W, principal.rank).basis
        return principal.basis


def _scaled(update: LowRankUpdate | Tensor, norm: float) -> LowRankUpdate | Tensor:
    """The update with another norm."""
    before = edit_norm(update)
    scale = norm / before if before else 1.0
    if isinstance(update, LowRankUpdate):
        return LowRankUpdate(update.left * scale, update.right)
    return update * scale
