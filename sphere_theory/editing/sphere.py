"""SPHERE: a plug-in that keeps edits off the principal directions of the weights (arXiv 2510.01172)."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, ClassVar

import torch
from torch import Tensor

from sphere_theory.arrays import as_choice, as_real, full_precision
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.editor import Editor, as_editor
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import EditBatch, LayerMemory, State, Step, low_rank_step
from sphere_theory.editing.prune import Prune
from sphere_theory.errors import RangeError
from sphere_theory.projection import shrink_rows, suppressed
from sphere_theory.spectrum import principal_space
from sphere_theory.updates import LowRankUpdate


@dataclass(frozen=True)
class Sphere(Editor):
    """Another editor's ΔW times P = I − αUUᵀ, U the top-r eigenvectors of WᵀW that hold a share η.

    The projection comes after each batch's solve, so that the next batch sees projected weights. That
    breaks the equality of sequential and one-time editing (ledger M2). Two ways keep it: `compensate`, and
    solve_on="unprojected", where the editor goes on from its own weights W0 + T, T the sum of its own
    updates, and only what is handed out is projected, W0 + TP. For `Prune` it is the whole update of the
    batch that is projected, restraint included.

    Compensated: with A_t = A_0 + K_pK_pᵀ + KKᵀ and E_0 = 0, Δ = (RKᵀ − E)A_t⁻¹, ΔW = ΔP and
    E ← (ΔW − Δ)A_t. Since ΔW − Δ = −αΔUUᵀ and A_{t−1} = A_t − KKᵀ, with D = Δ_{t−1}U, (n, r),

        Δ = (R − αD UᵀK)(A_t⁻¹K)ᵀ + αD Uᵀ,

    of rank b + r; neither A nor E is formed. Before its last projection the total of all updates equals
    one-time editing.

    Parameters
    ----------
    editor
        Whose updates are projected.
    eta
        η in (0, 1]. Default 0.5, the paper's.
    alpha
        α in [0, 2]. Default 0.8, the paper's for all editors but AlphaEdit, which has 0.5.
    basis
        "pretrained": U of W0, once; "current": of the weights before each batch.
    rows, rank_rule
        As in `principal_space`.
    solve_on
        "projected", as in the paper: each batch starts from the projected weights; "unprojected": from
        those that the editor would have reached alone. The latter needs basis="pretrained".
    compensate
        Whether the next batch makes up for what the projection took. Only for `MemitSequential`, `Encore`
        and `RlsEdit` with basis="pretrained" and solve_on="projected".

    Raises
    ------
    RangeError
        A number outside its interval, an unknown name, a `Sphere` in a `Sphere`, or compensation of an
        editor or a basis for which it is not defined.
    DTypeError
        Not an editor.
    """

    editor: Editor = field(default_factory=MemitSequential)
    eta: float = 0.5
    alpha: float = 0.8
    basis: str = "pretrained"
    rows: str = "raw"
    rank_rule: str = "paper"
    solve_on: str = "projected"
    compensate: bool = False

    name: ClassVar[str] = "sphere"

    def __post_init__(self) -> None:
        if isinstance(as_editor(self.editor, "editor"), Sphere):
            raise RangeError("editor", "an editor that is not projected yet", "a Sphere")
        as_real(self.eta, "eta", low=0, high=1, low_open=True)
        as_real(self.alpha, "alpha", low=0, high=2)
        as_choice(self.basis, "basis", ("pretrained", "current"))
        as_choice(self.rows, "rows", ("raw", "unit"))
        as_choice(self.rank_rule, "rank_rule", ("paper", "released"))
        as_choice(self.solve_on, "solve_on", ("projected", "unprojected"))
        if self.solve_on == "unprojected" and self.basis != "pretrained":
            raise RangeError("solve_on", '"projected", or basis="pretrained"', f"basis={self.basis!r}")
        if self.compensate:
            self._require_compensable()

    def _require_compensable(self) -> None:
        if not isinstance(self.editor, MemitSequential):
            expected = "False, or an editor that solves with all past keys (memit-seq, encore, rlsedit)"
            raise RangeError("compensate", expected, f"True for {self.editor.name}")
        if self.basis != "pretrained":
            raise RangeError("compensate", 'False, or basis="pretrained"', f"True with basis={self.basis!r}")
        if self.solve_on != "projected":
            expected = 'False, or solve_on="projected"'
            raise RangeError("compensate", expected, f"True with solve_on={self.solve_on!r}")

    @classmethod
    def paper(cls, editor: Editor, **changes: Any) -> Sphere:
        """The settings of the paper's text: η = 0.5, α = 0.5 on AlphaEdit and 0.8 elsewhere.

        Parameters
        ----------
        editor
            Whose updates are projected.
        **changes
            Hyperparameters to set otherwise.

        Returns
        -------
        Sphere
            With U of the pretrained weights, as they are, by the paper's rank rule.
        """
        return cls(editor, **{"alpha": _alpha(editor), **changes})

    @classmethod
    def released(cls, editor: Editor, **changes: Any) -> Sphere:
        """The settings of the authors' code, with the same η and α.

        Parameters
        ----------
        editor
            Whose updates are projected.
        **changes
            Hyperparameters to set otherwise.

        Returns
        -------
        Sphere
            With U of the row-normalised weights by the released rank rule: of the current weights before
            each batch, but for `Prune` of the pretrained ones.
        """
        basis = "pretrained" if isinstance(editor, Prune) else "current"
        policy = {"alpha": _alpha(editor), "basis": basis, "rows": "unit", "rank_rule": "released"}
        return cls(editor, **{**policy, **changes})

    @full_precision()
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The editor's step, projected: low-rank if that is, else dense.

        Parameters
        ----------
        memory
            The layer, with W0 and what earlier batches left.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            ΔW·P; the editor's state, "sphere.basis" U if it is that of the pretrained weights,
            "sphere.carry" D if compensated, and "sphere.own" TU if solved on unprojected weights.

        Raises
        ------
        ZeroRowError
            rows="unit" and a neuron is zero.
        RangeError
            The weights are zero.
        InputError
            As the editor raises.
        """
        if self.basis == "current":
            return self._projected(self.editor.solve(memory, batch), self._principal(memory.W), {})
        U = memory.remembered("sphere.basis", lambda: self._principal(memory.W0))
        if self.compensate:
            return self._compensated(memory, batch, U)
        if self.solve_on == "unprojected":
            return self._on_unprojected(memory, batch, U)
        return self._projected(self.editor.solve(memory, batch), U, {"sphere.basis": U})

    def _projected(self, step: Step, U: Tensor, state: State) -> Step:
        start = perf_counter()
        update = suppressed(step.update, U, self.alpha)
        return Step(update, {**step.state, **state}, {**step.seconds, "project": perf_counter() - start})

    def _on_unprojected(self, memory: LayerMemory, batch: EditBatch, U: Tensor) -> Step:
        # W0 + T = W + αTUUᵀ: of the editor's own weights only TU, (n, r), has to be remembered.
        own = memory.remembered("sphere.own", lambda: memory.W.new_zeros((len(memory.W), U.shape[1])))
        step = self.editor.solve(memory.at(torch.addmm(memory.W, own, U.T, alpha=self.alpha)), batch)
        update = step.update
        if isinstance(update, LowRankUpdate):
            left, right = update.factors()
            moved = left @ (right.T @ U)
        else:
            moved = update @ U
        return self._projected(step, U, {"sphere.basis": U, "sphere.own": own + moved})

    def _principal(self, W: Tensor) -> Tensor:
        return principal_space(W, eta=self.eta, rows=self.rows, rank_rule=self.rank_rule).basis

    def _compensated(self, memory: LayerMemory, batch: EditBatch, basis: Tensor) -> Step:
        if not isinstance(self.editor, MemitSequential):  # excluded at construction
            raise AssertionError
        K, R = memory.keys_and_residual(batch)
        solution = self.editor.solution(memory, K)
        U = basis.double()
        D = memory.remembered("sphere.carry", lambda: R.new_zeros((len(R), U.shape[1])))
        left = R - self.alpha * D @ (U.T @ K)
        carry = left @ (solution.right.T @ U) + self.alpha * D
        right = shrink_rows(solution.right.T, U, self.alpha).T
        # P U = (1 − α)U: what the second term of Δ keeps of itself.
        factors = torch.cat([left, self.alpha * (1 - self.alpha) * D], dim=1), torch.cat([right, U], dim=1)
        return low_rank_step(
            memory, *factors, {**solution.state, "sphere.basis": basis, "sphere.carry": carry}
        )


def _alpha(editor: Editor) -> float:
    return 0.5 if isinstance(editor, AlphaEdit) else 0.8
