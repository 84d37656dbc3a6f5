"""What is measured along a stream: a row after every batch, the costly columns every so often.

Of the weights themselves energy, norms, spectrum and the bound; of what they do, the columns of the host's
own `Judge`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_count, as_real, frobenius, full_precision
from sphere_theory.bound import KINDS, BoundAudit, audit_bound
from sphere_theory.constants import larger_end
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.energy import uniform_energy
from sphere_theory.errors import CoincidentNeuronsError
from sphere_theory.gram import GramTracker, gram_matrix
from sphere_theory.hosts.base import Edits, Judge
from sphere_theory.motion import as_motion
from sphere_theory.projection import edit_norm
from sphere_theory.spectrum import principal_space
from sphere_theory.updates import LowRankUpdate

Row = dict[str, Any]


@dataclass(frozen=True)
class Measures:
    """Which measures are taken, and how often.

    Parameters
    ----------
    every
        Batches between two rows with all columns. Default 10; the last batch has them too.
    early
        Whether rows 1, 2, 5, 10, 20, 50, … before the first of those have them as well: what ends early in a
        long stream would be seen too late. Default False.
    candidates
        Values among which an edited key's nearest is sought. Default 1,000, or all if there are fewer.
    preserved_candidates
        The same for preserved keys. Default 100, or all if there are fewer.
    eta
        Share η of the principal space whose part in ΔW is measured. Default 0.5.
    audits
        Whether full rows have the audits of the step and of the whole way. Default True.
    certificate
        Whether the change of HE is bounded step by step, which the path bound needs: O(n²d). Default True.
    seed
        Of the candidates.

    Raises
    ------
    RangeError
        A number outside its range.
    """

    every: int = 10
    early: bool = False
    candidates: int = 1000
    preserved_candidates: int = 100
    eta: float = 0.5
    audits: bool = True
    certificate: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        as_count(self.every, "every", low=1)
        as_count(self.candidates, "candidates", low=2)
        as_count(self.preserved_candidates, "preserved_candidates", low=2)
        as_real(self.eta, "eta", low=0, high=1, low_open=True)
        as_count(self.seed, "seed", low=0, high=2**63 - 1)

    def record(self) -> Row:
        """The settings as plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Everything about a stream and its layer that stays as it was before the first edit.

    Made once by `Evaluator.prepare`; it holds no state of the run.
    """

    measures: Measures
    judge: Judge
    W0: Float[Tensor, "n d"]
    energy: float
    uniform: float
    norms: Float[Tensor, " n"]
    left: Float[Tensor, "n q"]
    singular: Float[Tensor, " q"]
    right: Float[Tensor, "d q"]
    basis: Float[Tensor, "d r"]

    @classmethod
    @full_precision()
    def prepare(cls, measures: Measures, stream: Edits, memory: LayerMemory) -> Evaluator:
        """Measure the layer before any edit.

        Parameters
        ----------
        measures
            What will be measured.
        stream
            The edits.
        memory
            The layer before any edit.

        Returns
        -------
        Evaluator
            Ready for every row of the run.
        """
        W0 = memory.W0
        n, d = W0.shape
        judge = stream.judge(
            W0,
            candidates=measures.candidates,
            preserved_candidates=measures.preserved_candidates,
            seed=measures.seed,
        )
        left, singular, right = _singular(W0)
        tracker = GramTracker(W0)
        return cls(
            measures=measures,
            judge=judge,
            W0=W0,
            energy=tracker.energy(),
            uniform=uniform_energy(n, d),
            norms=tracker.row_norms(),
            left=left,
            singular=singular,
            right=right,
            basis=principal_space(W0, eta=measures.eta).basis,
        )

    def due(self, batch: int, last: bool) -> bool:
        """Whether a batch's row has all columns."""
        count, measures = batch + 1, self.measures
        return (
            last
            or count % measures.every == 0
            or (measures.early and _is_round(count) and count < measures.every)
        )

    @full_precision()
    def every_batch(self, before: LayerMemory, after: LayerMemory, tracker: GramTracker) -> Row:
        """Columns that every row has, the bound's apart.

        Parameters
        ----------
        before, after
            The layer before and after the batch.
        tracker
            The energy after the batch.

        Returns
        -------
        dict
            Plain numbers by column.
        """
        energy, norms = tracker.energy(), tracker.row_norms()
        size = frobenius(self.W0)
        return {
            "edits": after.edits,
            "energy": energy,
            "energy_uniform": energy / self.uniform,
            "energy_change": energy - self.energy,
            "step_norm": frobenius(after.W - before.W) / size,
            "edit_norm": frobenius(after.W - self.W0) / size,
            "row_norm_min": float(norms.min()),
            "row_norm_mean": float(norms.mean()),
            "row_norm_max": float(norms.max()),
            "row_norm_growth": float((norms / self.norms).log().mean().exp()) - 1,
        } | self.judge.newest(before, after)

    @full_precision()
    def now_and_then(self, before: LayerMemory, after: LayerMemory, update: LowRankUpdate | Tensor) -> Row:
        """The costly columns: all edits so far, preserved keys, spectrum, and the audits.

        Parameters
        ----------
        before, after
            The layer before and after the batch.
        update
            The batch's ΔW.

        Returns
        -------
        dict
            Plain numbers and verdicts by column.
        """
        total = (after.W - self.W0).double()
        row = self.judge.everything(before.edits, after) | self._spectrum(after, total)
        if self.measures.audits:
            row |= _audited("step", audit_bound(before.W, update))
            row |= _audited("total", audit_bound(self.W0, total))
        return row

    def _spectrum(self, after: LayerMemory, total: Float[Tensor, "n d"]) -> Row:
        """Singular values, and how ΔW and the principal space of W lie to those of W0."""
        singular = _singular_values(after.W)
        # c_k, the part of ΔW along u_k v_kᵀ, the k-th singular direction of W0.
        along = ((total.T @ self.left) * self.right).sum(dim=0)
        ratio = math.sqrt(len(total)) * along.abs() / self.singular
        rank = self.basis.shape[1]
        size = frobenius(total)
        newest = principal_space(after.W, eta=self.measures.eta)
        now = newest.basis[:, :rank].double()
        then = self.basis.double()
        shared = then.T @ now
        cosines, sines = torch.linalg.svdvals(shared), torch.linalg.svdvals(now - then @ shared)
        return {
            "sigma_max": float(singular[0]),
            "condition": float(singular[0] / singular[-1]) if singular[-1] > 0 else math.inf,
            "singular_drift": _relative(singular - self.singular, self.singular),
            "R_max": float(ratio[:rank].max()),
            "R_mean": float(ratio[:rank].mean()),
            "principal_share": (frobenius(total @ then) / size) ** 2 if size else math.nan,
            "principal_rank": newest.rank,
            # Of the r directions before any edit: at most principal_rank/r.
            "principal_overlap": float(cosines.square().sum()) / rank,
            # Of the two that one tells a small angle, the other a large one.
            "principal_angle": math.atan2(float(sines.max()), float(cosines.min())),
        }


@full_precision()
def step_bound(before: Float[Tensor, "n d"], update: LowRankUpdate | Tensor) -> float:
    """What |ΔHE| of one step cannot exceed, whatever its size; the path bound adds it up (ledger B6, B8).

    Parameters
    ----------
    before
        Weights before the step.
    update
        ΔW.

    Returns
    -------
    float
        K*‖ΔW‖_F, with the larger of the constants at the two ends of the step; infinite where neurons
        coincide at one of them.
    """
    try:
        return larger_end(as_motion(before, update), s=1.0) * edit_norm(update)
    except CoincidentNeuronsError:
        return math.inf


def _audited(name: str, audit: BoundAudit) -> Row:
    row: Row = {
        f"{name}_energy_change": audit.energy_change,
        f"{name}_first_order_error": audit.first_order_error,
        f"{name}_smallest_gap": audit.smallest_gap,
        f"{name}_largest_turn": audit.largest_turn,
        f"{name}_enclosed_low": audit.enclosure.low,
        f"{name}_enclosed_high": audit.enclosure.high,
        f"{name}_sign": audit.enclosure.sign,
    }
    for kind in KINDS:
        check = audit.check(kind)
        row[f"{name}_{kind}"] = check.verdict
        row[f"{name}_{kind}_tightness"] = check.tightness
    return row


def _relative(error: Tensor, reference: Tensor) -> float:
    size = frobenius(reference)
    return frobenius(error) / size if size else math.nan


def _singular(W: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor, Tensor]:
    """Thin singular value decomposition W = Σ σ_k u_k v_kᵀ, from the smaller Gram matrix."""
    wide = W.double()
    turned = len(wide) > wide.shape[1]
    rows = wide.T if turned else wide
    squares, left = torch.linalg.eigh(gram_matrix(rows))
    singular, left = squares.flip(0).clamp_min(0).sqrt(), left.flip(1)
    right = rows.T @ (left / singular.clamp_min(torch.finfo(torch.float64).tiny))
    return (right, singular, left) if turned else (left, singular, right)


def _singular_values(W: Float[Tensor, "n d"]) -> Float[Tensor, " q"]:
    rows = W.double() if len(W) <= W.shape[1] else W.double().T
    return torch.linalg.eigvalsh(gram_matrix(rows)).flip(0).clamp_min(0).sqrt()


def _is_round(count: int) -> bool:
    """Whether a count is 1, 2 or 5 times a power of ten."""
    return str(count).rstrip("0") in {"1", "2", "5"}
